"""A value over a plane of two inputs."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.given import Numbers, check_same_length, finite
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import MAP, PURPLE, SERIES, VERMILION
from mcdrop.types import ArrayLike


def plane(
    x1: Numbers,
    x2: Numbers,
    values: ArrayLike,
    ax: Axes,
    *,
    points: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    name: str = "probability of class 1",
    unit: str = "",
) -> Axes:
    """A value at each point of a grid, in colour: the probability of a class, or how uncertain it is.

    Args:
        x1: (W,) the grid along the first input, ascending.
        x2: (H,) along the second.
        values: (H, W), `values[i, j]` at `x1[j]` and `x2[i]`.
        ax: To draw on; the figure gets an axis for the bar of colours beside it.
        points: (M, 2) points to draw on it, those of the training, say.
        classes: (M,) class of each point, shown by its marker; at most four different ones.
        name: Of the value.
        unit: Of the value; "" for none.

    Returns:
        `ax`.

    Raises:
        InputError: Shapes do not fit, a number is NaN or infinite, the grid does not ascend, or there are classes
            without points or more than four.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> x1, x2 = torch.linspace(-2, 2, 5), torch.linspace(-1, 1, 3)
        >>> ax = plane(x1, x2, torch.rand(3, 5), Figure().subplots(), name="mutual information", unit="nats")
        >>> ax.collections[0].get_array().shape, ax.figure.axes[1].get_ylabel()
        ((3, 5), 'mutual information (nats)')
    """
    across, up, shown = finite(x1, "x1"), finite(x2, "x2"), finite(values, "values", axes=2)
    if shown.shape != (len(up), len(across)):
        raise InputError(
            f"values of shape {shown.shape} were given; expected (len(x2), len(x1)), ({len(up)}, {len(across)})."
        )
    if (np.diff(across) <= 0).any() or (np.diff(up) <= 0).any():
        raise InputError("x1 and x2 must ascend: give the axes of the grid, not its points.")
    mesh = ax.pcolormesh(across, up, shown, cmap=MAP, shading="nearest", rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label=f"{name} ({unit})" if unit else name)
    if points is not None:
        _draw_points(points, classes, ax)
    elif classes is not None:
        raise InputError("classes were given without points.")
    ax.set(xlabel="first input", ylabel="second input")
    return ax


def _draw_points(points: ArrayLike, classes: ArrayLike | None, ax: Axes) -> None:
    at = finite(points, "points", axes=2)
    if at.shape[1] != 2:
        raise InputError(f"points of shape {at.shape} were given; expected (M, 2).")
    of = np.zeros(len(at)) if classes is None else finite(classes, "classes")
    check_same_length(points=at, classes=of)
    kinds = np.unique(of)
    if len(kinds) > len(SERIES):
        raise InputError(f"{len(kinds)} classes were given; at most {len(SERIES)} are told apart by their markers.")
    # filled and edged, so that a point is seen on every colour of the map
    fills = (("white", "black"), ("black", "white"), (VERMILION, "white"), (PURPLE, "black"))
    for kind, style, (fill, edge) in zip(kinds, SERIES, fills, strict=False):
        label = None if classes is None else f"class {kind:g}"
        shown: dict[str, Any] = {"linestyle": "none", "marker": style.marker, "markersize": 4, "label": label}
        ax.plot(*at[of == kind].T, markerfacecolor=fill, markeredgecolor=edge, markeredgewidth=0.6, **shown)
    if classes is not None:
        legend_above(ax, columns=len(kinds))
