"""Sub-networks as graphs: which units a mask keeps."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from mcdrop.errors import InputError
from mcdrop.plots.images import ManyAxes
from mcdrop.plots.palette import BLUE, GREY
from mcdrop.posterior import Mask

MOST_IN_COLUMN = 16
MOST_LINES = 400


def subnetwork_gallery(masks: Sequence[Mask], axes: ManyAxes) -> ManyAxes:
    """One sub-network on each axis: a column of dots for each site, filled where a unit is kept, rings where not.

    Sites stand from left to right in the order of the mask; units of one site beyond 16 fill further columns. Between
    neighbouring sites of one column each, kept units are joined, though the model may connect them otherwise.

    Args:
        masks: Of sites with units that are kept or dropped; sites of uniform numbers are left out.
        axes: At least as many; those beyond the masks are left empty.

    Returns:
        `axes`.

    Raises:
        InputError: There is no mask, one has no such site, or there are too few axes.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> mask = Mask({"drop:dropout": torch.tensor([True, False, True])}, {"drop:dropout": 0.5})
        >>> axes = subnetwork_gallery([mask], [Figure().subplots()])
        >>> axes[0].get_title()
        '2 of 3 kept'
    """
    if not masks:
        raise InputError("No masks were given, so that there is nothing to draw.")
    places = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(places) < len(masks):
        raise InputError(f"{len(masks)} masks were given for {len(places)} axes; expected at least as many axes.")
    for mask in masks:
        if not _layers(mask):
            raise InputError(f"{mask!r} was given; expected one with a site whose units are kept or dropped.")
    for ax, mask in zip(places, masks, strict=False):
        _draw(_layers(mask), ax)
        ax.set_title(f"{mask.num_kept} of {mask.num_units} kept", fontsize="medium")
    for ax in places[len(masks) :]:
        ax.set_axis_off()
    return axes


def _layers(mask: Mask) -> list[np.ndarray]:
    return [mask.values[name].numpy().ravel() for name, p in mask.p.items() if p is not None]


def _draw(layers: list[np.ndarray], ax: Axes) -> None:
    left, places = 0.0, []
    for kept in layers:
        column, row = np.divmod(np.arange(len(kept)), MOST_IN_COLUMN)
        height = min(len(kept), MOST_IN_COLUMN)
        places.append(np.stack([left + 0.35 * column, (height - 1) / 2 - row], axis=1))
        left = places[-1][:, 0].max() + 1
    for (one, kept_one), (two, kept_two) in pairwise(zip(places, layers, strict=True)):
        lines = [(a, b) for a in one[kept_one] for b in two[kept_two]]
        if max(len(one), len(two)) <= MOST_IN_COLUMN and len(lines) <= MOST_LINES:
            ax.add_collection(LineCollection(lines, colors=[GREY], linewidths=0.5, zorder=1))
    for at, kept in zip(places, layers, strict=True):
        shown: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4, "zorder": 2}
        ax.plot(*at[kept].T, color=BLUE, **shown)
        ax.plot(*at[~kept].T, markerfacecolor="none", markeredgecolor=GREY, **shown)
    ax.margins(0.1)
    ax.set_axis_off()
