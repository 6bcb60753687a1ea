"""What all pictures of calibration share: the line on which a calibrated predictor lies, and bars of two errors."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from mcdrop.calibration import Score
from mcdrop.errors import InputError
from mcdrop.plots.given import check_same_length, finite
from mcdrop.plots.palette import GREY, next_style

CALIBRATED = "calibrated"
"""The label of the line."""


def draw_diagonal(ax: Axes) -> None:
    """The line y = x, unless it is there already."""
    if CALIBRATED not in [line.get_label() for line in ax.get_lines()]:
        ax.axline((0, 0), slope=1, color=GREY, linewidth=1, zorder=1, label=CALIBRATED)


def draw_shares(levels: Sequence[float], scores: Sequence[Score], ax: Axes, *, label: str | None) -> Axes:
    """Observed shares against levels, both from 0 to 1, with bars of two errors and the diagonal."""
    at = finite(levels, "levels")
    values, errors = values_and_errors(scores, "shares")
    check_same_length(levels=at, shares=values)
    draw_diagonal(ax)
    draw_points(at, values, errors, ax, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(loc="upper left", frameon=False)
    return ax


def draw_points(x: np.ndarray, y: np.ndarray, errors: np.ndarray, ax: Axes, *, label: str | None) -> None:
    """Points with bars in the next free style; `errors` are what the bars reach from y, twice the error of each."""
    style = next_style(ax)
    ax.errorbar(
        x,
        y,
        errors,
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        markersize=3.5,
        linewidth=1.2,
        elinewidth=1,
        label=label,
    )


def values_and_errors(scores: Sequence[Score], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The values of scores and twice their errors: of the rows and of the draws, squares added.

    Raises:
        InputError: There is none, or a value is not finite.

    Example:
        >>> values_and_errors([Score(0.5, 0.03, 0.04), Score(0.7, None, None)], "shares")
        (array([0.5, 0.7]), array([0.1, nan]))
    """
    if not scores:
        raise InputError(f"{name}: no values were given, so that there is nothing to draw.")
    return finite([score.value for score in scores], name), np.array([_two_errors(score) for score in scores])


def _two_errors(score: Score) -> float:
    known = [error for error in (score.standard_error, score.mc_error) if error is not None]
    return 2 * math.hypot(*known) if known else math.nan
