"""Predictions of numbers: bands and functions over one input, and predictions against targets."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.given import Numbers, check_same_length, finite
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import BLUE, GREY, SERIES, VERMILION, ink
from mcdrop.prediction import RecalibratedPrediction, RegressionPrediction
from mcdrop.types import ArrayLike

MANY = 1000
"""Rows from which on points are drawn as an image also in vector formats, so that files stay small."""

PredictedNumbers: TypeAlias = RegressionPrediction | RecalibratedPrediction


def bands(
    x: Numbers,
    prediction: PredictedNumbers,
    ax: Axes,
    *,
    coverages: Sequence[float] = (0.5, 0.95),
    data: tuple[Numbers, Numbers] | None = None,
) -> Axes:
    """The mean of a prediction over one input, with the central intervals of the mixture of its draws.

    Args:
        x: (N,) or (N, 1) inputs of the rows, in any order.
        prediction: Of one output, with samples; draws make a band smooth in x if they share their masks.
        ax: To draw on.
        coverages: Of the bands, between 0 and 1.
        data: x and y of points to draw with it, those of the training, say.

    Returns:
        `ax`.

    Raises:
        InputError: Lengths differ, there are several outputs, a coverage is not between 0 and 1, or x is NaN.
        UnavailableError: The prediction has no samples.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.randn(20, 5), Gaussian(precision=4.0))
        >>> ax = bands(torch.linspace(0, 1, 5), prediction, Figure().subplots())
        >>> ax.get_legend_handles_labels()[1]
        ['95 %', '50 %', 'mean']
    """
    at, mean = _column(x, "x"), _column(prediction.mean, "mean")
    check_same_length(**{"x": at, "predicted rows": mean})
    if not coverages:
        raise InputError("coverages=() was given; expected at least one, such as (0.5, 0.95).")
    order = at.argsort(kind="stable")
    opacities = np.linspace(0.25, 0.5, len(coverages))
    for coverage, opacity in zip(sorted(coverages, reverse=True), opacities, strict=True):
        lower, upper = (_column(bound, "interval")[order] for bound in prediction.interval(coverage))
        label = f"{100 * coverage:g} %"
        ax.fill_between(at[order], lower, upper, facecolor=(BLUE, opacity), linewidth=0, label=label)
    ax.plot(at[order], mean[order], color=BLUE, label="mean")
    if data is not None:
        points = [_column(part, name) for part, name in zip(data, ("x of the data", "y of the data"), strict=True)]
        check_same_length(**{"x of the data": points[0], "y of the data": points[1]})
        ax.plot(*points, linestyle="none", marker=".", markersize=4, color=ink(), label="data")
    ax.set(xlabel="x", ylabel="y")
    ax.margins(x=0)
    legend_above(ax, columns=4)
    return ax


def functions(x: Numbers, draws: ArrayLike, ax: Axes, *, how_many: int = 20) -> Axes:
    """The first draws of a model over one input as lines: what single sub-networks say.

    Lines are functions only if all rows shared their masks; of masks of their own they are noise about a mean.

    Args:
        x: (N,) or (N, 1) inputs of the rows, in any order.
        draws: (T, N) or (T, N, 1), as `mc.sample(x)`.
        ax: To draw on.
        how_many: At most; at least 1.

    Returns:
        `ax`.

    Raises:
        InputError: Shapes differ, a number is NaN or infinite, or `how_many` is below 1.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = functions(torch.linspace(0, 1, 5), torch.randn(30, 5, 1), Figure().subplots(), how_many=3)
        >>> len(ax.get_lines())
        3
    """
    if isinstance(how_many, bool) or not isinstance(how_many, int) or how_many < 1:
        raise InputError(f"how_many={how_many!r} was given; expected an integer >= 1.")
    at, lines = _column(x, "x"), finite(draws, "draws", axes=None)
    lines = lines[..., 0] if lines.ndim == 3 and lines.shape[2] == 1 else lines
    if lines.ndim != 2 or lines.shape[1] != len(at):
        raise InputError(f"draws of shape {tuple(draws.shape)} were given for {len(at)} x; expected (T, {len(at)}).")
    order = at.argsort(kind="stable")
    shown = lines[:how_many]
    for number, line in enumerate(shown):
        style = SERIES[number % len(SERIES)]
        label = f"{len(shown)} of {len(lines)} draws" if number == 0 else None
        ax.plot(at[order], line[order], color=style.colour, alpha=0.6, linewidth=0.9, label=label)
    ax.set(xlabel="x", ylabel="y")
    ax.margins(x=0)
    ax.legend(frameon=False)
    return ax


def predicted_against_target(
    prediction: PredictedNumbers, targets: ArrayLike, ax: Axes, *, coverage: float = 0.9, unit: str = ""
) -> Axes:
    """Predicted means against targets, each with the central interval of its mixture.

    An interval that reaches the line holds its target; those that do not are drawn in another colour.

    Args:
        prediction: With samples. Outputs of several columns are drawn alike.
        targets: In the shape of the mean.
        ax: To draw on.
        coverage: Of the intervals, between 0 and 1.
        unit: Of the targets.

    Returns:
        `ax`.

    Raises:
        InputError: The targets do not fit, a number is NaN or infinite, or the coverage is not between 0 and 1.
        UnavailableError: The prediction has no samples.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 3), Gaussian(precision=1.0))
        >>> ax = predicted_against_target(prediction, torch.tensor([0.0, 1.0, 5.0]), Figure().subplots(), unit="m")
        >>> ax.get_xlabel(), ax.get_legend_handles_labels()[1]
        ('target (m)', ['inside 90 %: 2', 'outside: 1', 'equal'])
    """
    mean, bounds = prediction.mean, prediction.interval(coverage)
    parts = {"mean": mean, "lower": bounds[0], "upper": bounds[1], "targets": targets}
    predicted, lower, upper, y = (finite(part, name, axes=None).ravel() for name, part in parts.items())
    check_same_length(**{"predicted numbers": predicted, "targets": y})
    inside = (lower <= y) & (y <= upper)
    many, fade = len(y) > MANY, max(0.1, min(1.0, MANY / 2 / len(y)))
    groups = ((inside, BLUE, "o", f"inside {100 * coverage:g} %"), (~inside, VERMILION, "s", "outside"))
    for chosen, colour, marker, label in groups:
        shown = f"{label}: {int(chosen.sum())}"
        ax.vlines(
            y[chosen], lower[chosen], upper[chosen], color=colour, alpha=0.4 * fade, linewidth=0.8, rasterized=many
        )
        ax.plot(y[chosen], predicted[chosen], marker, color=colour, markersize=2.5, alpha=fade, rasterized=many)
        ax.plot([], [], marker, color=colour, markersize=3.5, label=shown)
    ax.axline((y.mean(), y.mean()), slope=1, color=GREY, linewidth=1, label="equal")
    after = f" ({unit})" if unit else ""
    ax.set(xlabel=f"target{after}", ylabel=f"predicted mean{after}")
    legend_above(ax, columns=2)
    return ax


def _column(values: Numbers, name: str) -> np.ndarray:
    """(N,) or (N, 1) as (N,)."""
    array = finite(values, name, axes=None)
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} of shape {array.shape} was given; expected one number for each row, (N,) or (N, 1).")
    return array
