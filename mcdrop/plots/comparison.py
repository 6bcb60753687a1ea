"""Two predictors beside each other, score by score."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.given import Numbers, check_same_length, finite, real
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import GREY, SERIES, Style, ink

MINUS = "\N{MINUS SIGN}"

_DOTS, _NUMBERS = 0.6, 0.64
"""Where dots end and numbers begin, in parts of the width."""


def scores_side_by_side(
    names: Sequence[str],
    first: Numbers,
    second: Numbers,
    errors_first: Numbers,
    errors_second: Numbers,
    ax: Axes,
    *,
    labels: tuple[str, str],
) -> Axes:
    """The scores of two predictors as dots with bars of two errors and as numbers, one row a score.

    Scores have different units and sizes, so that each row has a scale of its own: rows do not compare with each other,
    and a bar is long or short beside the distance of its two dots. Bars that overlap say little, since most of both
    errors is common to both predictors: `differences` shows the paired error.

    Args:
        names: Of the scores, with their units.
        first: Scores of the first predictor.
        second: Of the second.
        errors_first: The total error of each; NaN where it is not known.
        errors_second: Of the second.
        ax: To draw on, half an inch high for each row; each row is an axis of its own, a child of it.
        labels: Names of the two predictors.

    Returns:
        `ax`.

    Raises:
        InputError: There is no score, lengths differ, a score is NaN or infinite, or an error is below 0.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = scores_side_by_side(
        ...     ["NLL (nats)", "error rate"], [0.51, 0.104], [0.39, 0.107], [0.05, 0.007], [0.03, 0.008],
        ...     Figure().subplots(), labels=("one pass", "MC dropout"))
        >>> [[text.get_text() for text in row.texts] for row in ax.child_axes]
        [['0.510 ± 0.050', '0.390 ± 0.030'], ['0.1040 ± 0.0070', '0.1070 ± 0.0080']]
    """
    columns = (_checked(names, first, errors_first, "first"), _checked(names, second, errors_second, "second"))
    _empty(ax)
    rows = [_row(ax, place, name, len(names)) for place, name in enumerate(names)]
    for place, row in enumerate(rows):
        for (values, errors), style, label, y in zip(columns, SERIES, labels, (1.0, 0.0), strict=False):
            _dot(row, values[place], errors[place], y, style, label)
        row.set_ylim(-0.7, 1.7)
        row.margins(x=0.1)
    legend_above(ax, columns=2, labelled=rows[0])
    return ax


def differences(
    names: Sequence[str], differences: Numbers, errors: Numbers, ax: Axes, *, labels: tuple[str, str] | None = None
) -> Axes:
    """Paired differences of scores with bars of two errors beside the line of no difference, one row a score.

    A bar that crosses the line says that the two predictors may be equally good. Each row has a scale of its own, with
    0 in the middle.

    Args:
        names: Of the scores, with their units.
        differences: Second predictor less first, as `(second - first).value` of two `Score`.
        errors: The total error of each difference; NaN where it is not known.
        ax: To draw on, half an inch high for each row; each row is an axis of its own, a child of it.
        labels: Names of the first and of the second predictor.

    Returns:
        `ax`.

    Raises:
        InputError: There is no difference, lengths differ, one is NaN or infinite, or an error is below 0.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = differences(["NLL (nats)"], [-0.12], [0.018], Figure().subplots())
        >>> [text.get_text() for text in (*ax.texts, *ax.child_axes[0].texts)]
        ['NLL (nats)', '−0.120 ± 0.018']
    """
    values, reach = _checked(names, differences, errors, "differences")
    _empty(ax, pad=20.0)  # clear of the tick below the last row
    if labels is not None:
        ax.set_xlabel(f"{labels[1]} less {labels[0]}\n{ax.get_xlabel()}")
    for place, name in enumerate(names):
        row = _row(ax, place, name, len(names))
        row.axvline(0, color=GREY, linewidth=1)
        _dot(row, values[place], reach[place], 0.5, Style(ink(), "-", "o"))
        furthest = abs(values[place]) + 2 * np.nan_to_num(reach[place])
        row.set(xlim=np.array([-1.1, 1.1]) * (furthest or 1.0), ylim=(0, 1))
    row.set_xticks([0], ["no difference"])
    return ax


def _checked(names: Sequence[str], values: Numbers, errors: Numbers, which: str) -> tuple[np.ndarray, np.ndarray]:
    scores, reach = finite(values, which), real(errors, f"errors of {which}")
    check_same_length(names=names, **{which: scores, f"errors of {which}": reach})
    if (reach < 0).any():
        raise InputError(f"errors of {which}: one below 0 was given; expected standard errors.")
    return scores, reach


def _empty(ax: Axes, *, pad: float = 4.0) -> None:
    ax.set(xticks=[], yticks=[])
    meaning = "bars ± 2 errors, numbers ± 1; each row has its scale"
    ax.set_xlabel(meaning, loc="left", multialignment="left", labelpad=pad)
    ax.spines[:].set_visible(False)


def _row(ax: Axes, place: int, name: str, count: int) -> Axes:
    """The axis of one row, below its name; the first row is on top."""
    top = 1 - place / count
    ax.text(0, top - 0.02 / count, name, transform=ax.transAxes, verticalalignment="top")
    row = ax.inset_axes((0, top - 0.95 / count, _DOTS, 0.62 / count))
    row.set(xticks=[], yticks=[], facecolor="none")
    row.spines[["left", "right", "top"]].set_visible(False)
    row.spines["bottom"].set_color((GREY, 0.4))
    return row


def _dot(row: Axes, value: float, error: float, y: float, style: Style, label: str | None = None) -> None:
    row.errorbar(value, y, xerr=2 * error, fmt=style.marker, color=style.colour, markersize=4.5, label=label)
    beside = row.get_yaxis_transform()  # x in parts of the width of the row, y in its data
    row.text(_NUMBERS / _DOTS, y, with_error(value, error), transform=beside, verticalalignment="center")


def with_error(value: float, error: float) -> str:
    """The value to the second digit of its error; to four digits without one.

    Example:
        >>> with_error(-0.12345, 0.0187), with_error(1234.5, 56.7), with_error(0.5, float("nan"))
        ('−0.123 ± 0.019', '1234 ± 57', '0.5')
    """
    if not math.isfinite(error) or error == 0:
        return f"{value:.4g}".replace("-", MINUS)
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", MINUS)
