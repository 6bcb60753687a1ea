"""Reliability diagrams: how often what was forecast happened."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mcdrop.calibration import BinnedReliability, CorpReliability
from mcdrop.errors import InputError
from mcdrop.plots.calibrated import draw_diagonal
from mcdrop.plots.given import check_same_length, finite, real
from mcdrop.plots.palette import BLUE, GREY


def reliability_bars(reliability: BinnedReliability, ax: Axes) -> Axes:
    """How often the event happened in each bin, at the mean forecast of the bin, with the number of forecasts above.

    Bars that end below the line say that the forecasts were too high: the predictor is overconfident. Error bars are
    two standard errors, cut at 0 and 1; a bin with one forecast has none, and one where all or none happened has 0.

    Args:
        reliability: Of `mcdrop.calibration.binned_reliability`.
        ax: To draw on. The numbers of forecasts stand on an axis of their own, a child of it.

    Returns:
        `ax`.

    Raises:
        InputError: No bin has a forecast, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import binned_reliability
        >>> binned = binned_reliability(torch.tensor([0.2, 0.4, 0.9]), torch.tensor([0, 1, 1]), event=1, num_bins=2)
        >>> ax = reliability_bars(binned, Figure().subplots())
        >>> [float(bar.get_height()) for bar in ax.patches]
        [0.5, 1.0]
    """
    counts = finite(reliability.counts, "counts")
    edges = np.array([0.0, *reliability.borders.tolist(), 1.0])
    frequency, forecast, errors = (
        real(getattr(reliability, part), part) for part in ("frequency", "forecast", "standard_error")
    )
    check_same_length(counts=counts, bins=edges[1:], frequencies=frequency, forecasts=forecast, errors=errors)
    filled = counts > 0
    if not filled.any():
        raise InputError("No bin has a forecast, so that there is nothing to draw.")
    height, at = finite(frequency[filled], "frequency"), finite(forecast[filled], "forecast")
    left, width = edges[:-1][filled], np.diff(edges)[filled]
    ax.bar(left, height, width, align="edge", facecolor=(BLUE, 0.3), edgecolor=BLUE, linewidth=0.8)
    draw_diagonal(ax)
    reach = np.stack([np.fmin(2 * errors[filled], limit.clip(min=0)) for limit in (height, 1 - height)])
    reach[:, np.isnan(errors[filled])] = np.nan
    ax.errorbar(at, height, reach, fmt="o", color=BLUE, markersize=3.5)
    ax.set(xlim=(0, 1), ylim=(0, 1.27), xlabel="forecast probability", ylabel="frequency, ± 2 errors")
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0.82), frameon=False)
    _draw_counts(edges, counts, ax)
    return ax


def _draw_counts(edges: np.ndarray, counts: np.ndarray, ax: Axes) -> None:
    # within the frame, since titles keep clear of what is inside alone
    strip = ax.inset_axes((0, 0.83, 1, 0.17), sharex=ax)
    strip.bar(edges[:-1], counts, np.diff(edges), align="edge", color=GREY)
    strip.set_ylabel("count")
    strip.yaxis.set_major_locator(MaxNLocator(1, integer=True))
    strip.tick_params(labelbottom=False, bottom=False)
    strip.spines[["top", "right", "left"]].set_visible(False)
    strip.set(ylim=(0, 1.15 * counts.max()), facecolor="none")


def reliability_curve(reliability: CorpReliability, ax: Axes) -> Axes:
    """How often the event happened against its forecast, by isotonic regression, over the band of calibrated forecasts.

    Where the curve leaves the band, the forecasts are off by more than chance: below it they were too high. The parts
    of the Brier score are written in the corner: score = miscalibration - discrimination + uncertainty.

    Args:
        reliability: Of `mcdrop.calibration.corp_reliability`.
        ax: To draw on.

    Returns:
        `ax`.

    Raises:
        InputError: A field is empty, NaN or infinite, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import corp_reliability
        >>> corp = corp_reliability(torch.tensor([0.9, 0.1, 0.5]), torch.tensor([1, 1, 0]), event=1)
        >>> ax = reliability_curve(corp, Figure().subplots())
        >>> ax.get_lines()[-1].get_ydata()
        array([0.5, 0.5, 1. ])
    """
    parts = ("forecast", "frequency", "lower", "upper")
    forecast, frequency, lower, upper = (finite(getattr(reliability, part), part) for part in parts)
    check_same_length(forecasts=forecast, frequencies=frequency, **{"lower bounds": lower, "upper bounds": upper})
    label = f"{100 * reliability.level:g} % if calibrated"
    ax.fill_between(forecast, lower, upper, color=GREY, alpha=0.3, linewidth=0, label=label)
    draw_diagonal(ax)
    ax.plot(forecast, frequency, color=BLUE, label="observed")
    brier = reliability.brier
    rows = [("Brier score", brier.score), ("miscalibration", brier.miscalibration)]
    rows += [("discrimination", brier.discrimination), ("uncertainty", brier.uncertainty)]
    text = "\n".join(f"{name} {score.value:.3f}" for name, score in rows)
    ax.text(0.98, 0.03, text, fontsize="small", horizontalalignment="right", transform=ax.transAxes)
    ax.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="forecast probability", ylabel="observed frequency")
    ax.legend(loc="upper left", frameon=False)
    return ax
