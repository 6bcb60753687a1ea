"""Whether what is uncertain is wrong, and errors are as large as predicted."""

import numpy as np
from matplotlib.axes import Axes

from mcdrop.calibration import ErrorBins
from mcdrop.errors import InputError
from mcdrop.plots.calibrated import draw_diagonal, draw_points, values_and_errors
from mcdrop.plots.given import Numbers, check_same_length, finite
from mcdrop.plots.palette import BLUE, GREEN, VERMILION
from mcdrop.types import ArrayLike

BINS = 25


def right_against_wrong(
    uncertainty: Numbers,
    is_right: ArrayLike,
    ax: Axes,
    *,
    name: str = "predictive entropy",
    unit: str = "nats",
    foreign: Numbers | None = None,
) -> Axes:
    """Histograms of the uncertainty of right and of wrong answers, each as shares of its own number.

    The less they overlap, the better uncertainty tells which answers to distrust. As shares, few wrong answers are
    seen beside many right ones; how many there are of each, the legend says.

    Args:
        uncertainty: One number for each answer, at least 0 for the usual measures.
        is_right: Whether the answer is right, boolean, in the shape of the uncertainty.
        ax: To draw on.
        name: Of the measure.
        unit: Of the measure; "" for none.
        foreign: Uncertainty of rows that are not of the model's kind, drawn as a third group.

    Returns:
        `ax`.

    Raises:
        InputError: There is no answer, an uncertainty is NaN or infinite, or `is_right` does not fit.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = right_against_wrong(torch.tensor([0.1, 0.9]), torch.tensor([True, False]), Figure().subplots())
        >>> ax.get_xlabel(), ax.get_legend_handles_labels()[1]
        ('predictive entropy (nats)', ['right: 1', 'wrong: 1'])
    """
    values = finite(uncertainty, "uncertainty", axes=None).ravel()
    right = np.asarray(is_right.cpu() if hasattr(is_right, "cpu") else is_right)
    if right.dtype != np.bool_:
        raise InputError(f"is_right of type {right.dtype} was given; expected booleans, such as `labels == targets`.")
    right = right.ravel()
    check_same_length(uncertainties=values, answers=right)
    groups = [(values[right], "right", BLUE, "-"), (values[~right], "wrong", VERMILION, "-")]
    if foreign is not None:
        groups.append((finite(foreign, "foreign", axes=None).ravel(), "foreign", GREEN, "--"))
    edges = np.histogram_bin_edges(np.concatenate([[0.0], *(group for group, *_ in groups)]), BINS)
    for group, which, colour, line in groups:
        counts = np.histogram(group, edges)[0]
        ax.stairs(
            counts / max(len(group), 1),
            edges,
            fill=which == "right",
            facecolor=(colour, 0.35),
            edgecolor=colour,
            linestyle=line,
            linewidth=1.4,
            label=f"{which}: {len(group)}",
        )
    ax.set(xlabel=f"{name} ({unit})" if unit else name, ylabel="share of its group", ylim=(0, None))
    ax.margins(x=0)
    ax.legend(frameon=False)
    return ax


def error_against_uncertainty(bins: ErrorBins, ax: Axes, *, label: str | None = None, unit: str = "") -> Axes:
    """The root mean squared error of each bin of rows against the standard deviation that was predicted for it.

    Of a calibrated predictor the points lie on the line; above it, errors are larger than predicted. Both are roots of
    what the record holds, and so are the ends of the bars, two errors of the mean square.

    Args:
        bins: Of `mcdrop.calibration.error_against_uncertainty`.
        ax: To draw on; further bins on it take another colour and marker.
        label: In the legend, for several predictors.
        unit: Of the targets.

    Returns:
        `ax`.

    Raises:
        InputError: There is no bin, a number is NaN, infinite or below 0, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import error_against_uncertainty as binned
        >>> draws = torch.tensor([[-1.0, -3.0], [1.0, 3.0]])  # two draws of y for each of two rows
        >>> bins = binned(draws, torch.tensor([1.0, -2.0]), bins=2)
        >>> ax = error_against_uncertainty(bins, Figure().subplots(), unit="m")
        >>> ax.get_xlabel(), ax.containers[0][0].get_xydata()
        ('predicted sd (m)', array([[1., 1.], [3., 2.]]))
    """
    predicted, _ = values_and_errors(bins.predicted, "predicted variances")
    squares, errors = values_and_errors(bins.error, "squared errors")
    check_same_length(**{"predicted variances": predicted, "squared errors": squares})
    if min(predicted.min(), squares.min()) < 0:
        raise InputError("A predicted variance or a squared error below 0 was given.")
    x, y = np.sqrt(predicted), np.sqrt(squares)
    reach = np.stack([y - np.sqrt((squares - errors).clip(min=0)), np.sqrt(squares + errors) - y])
    draw_diagonal(ax)
    draw_points(x, y, reach, ax, label=label)
    ax.set_xlim(left=0, auto=None)  # None: further bins may lie further out
    ax.set_ylim(bottom=0, auto=None)
    after = f" ({unit})" if unit else ""
    ax.set(xlabel=f"predicted sd{after}", ylabel=f"RMSE{after}, ± 2 errors")
    ax.legend(loc="upper left", frameon=False)
    return ax
