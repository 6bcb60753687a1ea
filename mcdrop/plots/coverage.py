"""Whether intervals and quantiles hold what they promise."""

import numpy as np
from matplotlib.axes import Axes

from mcdrop.calibration import CoverageCurve, PitHistogram, QuantileCurve
from mcdrop.plots.calibrated import CALIBRATED, draw_points, draw_shares, values_and_errors
from mcdrop.plots.given import check_same_length, finite
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import BLUE, GREY


def coverage_against_nominal(curve: CoverageCurve, ax: Axes, *, label: str | None = None) -> Axes:
    """The share of targets inside the central intervals against the share that they promise.

    Below the line the intervals are too narrow, above it too wide.

    Args:
        curve: Of `mcdrop.calibration.coverage_curve`.
        ax: To draw on; a further curve on it takes another colour, line and marker.
        label: In the legend, for several predictors.

    Returns:
        `ax`.

    Raises:
        InputError: There is no level, a share is NaN, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import coverage_curve
        >>> draws = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
        >>> curve = coverage_curve(draws, torch.tensor([6.0, 9.0]), levels=(0.4, 0.9))
        >>> coverage_against_nominal(curve, Figure().subplots()).containers[0][0].get_xydata()
        array([[0.4, 0.5], [0.9, 1. ]])
    """
    draw_shares(curve.levels, curve.coverage, ax, label=label)
    ax.set(xlabel="coverage promised", ylabel="share inside, ± 2 errors")
    return ax


def width_against_nominal(curve: CoverageCurve, ax: Axes, *, label: str | None = None, unit: str = "") -> Axes:
    """The mean width of the central intervals against the share that they promise; of two that hold it, less is better.

    Args:
        curve: Of `mcdrop.calibration.coverage_curve` with widths.
        ax: To draw on; a further curve on it takes another colour, line and marker.
        label: In the legend, for several predictors.
        unit: Of the targets.

    Returns:
        `ax`.

    Raises:
        InputError: The curve has no widths, or one is NaN.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import coverage_curve
        >>> draws = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
        >>> curve = coverage_curve(draws, torch.tensor([6.0, 9.0]), levels=(0.4, 0.9))
        >>> width_against_nominal(curve, Figure().subplots(), unit="m").containers[0][0].get_xydata()
        array([[0.4, 4. ], [0.9, 9. ]])
    """
    values, errors = values_and_errors(curve.width, "widths")
    check_same_length(levels=curve.levels, widths=values)
    draw_points(np.array(curve.levels), values, errors, ax, label=label)
    ax.set_ylim(bottom=0, auto=None)  # None: a further curve may lie higher
    ax.set(xlim=(0, 1), xlabel="coverage promised", ylabel=f"mean width{f' ({unit})' if unit else ''}, ± 2 errors")
    if label is not None:
        ax.legend(loc="upper left", frameon=False)
    return ax


def quantiles_against_nominal(curve: QuantileCurve, ax: Axes, *, label: str | None = None) -> Axes:
    """The share of targets below each predicted quantile against the level of the quantile.

    A curve above the line says that targets are lower than predicted; one that is steeper in the middle, that the
    predictions are too wide.

    Args:
        curve: Of `mcdrop.calibration.quantile_curve`.
        ax: To draw on; a further curve on it takes another colour, line and marker.
        label: In the legend, for several predictors.

    Returns:
        `ax`.

    Raises:
        InputError: There is no level, a share is NaN, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import quantile_curve
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 4), Gaussian(1.0))
        >>> curve = quantile_curve(prediction, torch.arange(4.0), levels=(0.4, 0.9))
        >>> quantiles_against_nominal(curve, Figure().subplots()).containers[0][0].get_xydata()
        array([[0.4, 0. ], [0.9, 0.5]])
    """
    draw_shares(curve.levels, curve.observed, ax, label=label)
    ax.set(xlabel="level of the quantile", ylabel="share below, ± 2 errors")
    return ax


def pit_bars(histogram: PitHistogram, ax: Axes) -> Axes:
    """The histogram of the probability integral transform: where targets fall in their predictive distributions.

    Calibrated predictions make it flat. High ends say that they are too narrow, a high middle that they are too wide,
    a slope that they are off to one side. Bars of error are two errors.

    Args:
        histogram: Of `mcdrop.calibration.pit_histogram`.
        ax: To draw on.

    Returns:
        `ax`.

    Raises:
        InputError: There is no bin, a share is NaN, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import pit_histogram
        >>> draws = torch.tensor([[0.0], [1.0], [2.0]])
        >>> ax = pit_bars(pit_histogram(draws, torch.tensor([0.5]), bins=4), Figure().subplots())
        >>> [float(bar.get_height()) for bar in ax.containers[0]]
        [0.0, 1.0, 0.0, 0.0]
    """
    values, errors = values_and_errors(histogram.shares, "shares")
    edges = finite(histogram.edges, "edges")
    check_same_length(bins=edges[1:], shares=values)
    width = np.diff(edges)
    ax.bar(edges[:-1], values, width, align="edge", facecolor=(BLUE, 0.3), edgecolor=BLUE, linewidth=0.8)
    ax.errorbar(edges[:-1] + width / 2, values, errors, fmt="none", ecolor=BLUE, label="± 2 errors")
    ax.stairs(width, edges, baseline=None, color=GREY, linestyle="--", linewidth=1.4, label=CALIBRATED)
    ax.set_ylim(bottom=0, auto=None)  # None: an axis that shares this scale may need more
    ax.set(xlim=(edges[0], edges[-1]), xlabel="F(y): place of the target in its prediction", ylabel="share of targets")
    legend_above(ax, columns=2)
    return ax
