"""What dropout makes of weights: their laws."""

import numpy as np
from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.given import finite
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import BLUE, VERMILION, ink
from mcdrop.posterior import EffectiveWeights

BINS = 40


def weight_law(weights: EffectiveWeights, entry: tuple[int, ...], ax: Axes) -> Axes:
    """The law of one weight: 0 where its unit is dropped, and w/q otherwise, with their probabilities 1 - q and q.

    Args:
        weights: Of the layer.
        entry: Which weight: (output, input), and the place in the kernel of a convolution.
        ax: To draw on.

    Returns:
        `ax`.

    Raises:
        InputError: There is no such weight, or it is 0, NaN or infinite.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> law = EffectiveWeights(torch.tensor([[2.0, -1.0]]), p_in=0.5)
        >>> ax = weight_law(law, (0, 1), Figure().subplots())
        >>> ax.containers[0].markerline.get_xydata()
        array([[ 0. ,  0.5], [-2. ,  0.5]])
    """
    shape = tuple(weights.weight.shape)
    if len(entry) != len(shape) or not all(0 <= place < size for place, size in zip(entry, shape, strict=True)):
        raise InputError(f"entry={entry} was given; expected a place in a weight of shape {shape}.")
    w, q = float(finite(weights.weight[entry].reshape(1), "weight")[0]), weights.probability_in_use
    if w == 0:
        raise InputError(f"The weight at {entry} is 0, and so it is with every mask: there is no law to draw.")
    drawn = ax.stem([0, w / q], [weights.probability_of_zero, q], basefmt="none", label="dropped, or kept: w/q")
    drawn.markerline.set(color=BLUE, markersize=6)
    drawn.stemlines.set(color=BLUE, linewidth=3)
    ax.plot(w, 0, "^", color=ink(), markersize=8, clip_on=False, zorder=3, label=f"mean: w = {w:.3g}")
    ax.set(xlabel=f"effective weight; kept with q = {q:.3g}", ylabel="probability", ylim=(0, 1))
    ax.margins(x=0.15)
    ax.legend(loc="upper center", frameon=False)
    return ax


def layer_law(weights: EffectiveWeights, ax: Axes) -> Axes:
    """The law of a weight of the layer picked at random: a spike at 0 and the weights themselves, drawn out by 1/q.

    Args:
        weights: Of the layer.
        ax: To draw on; the axis of probabilities is logarithmic, so that spike and weights are both seen.

    Returns:
        `ax`.

    Raises:
        InputError: There is no weight, or one is NaN or infinite.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = layer_law(EffectiveWeights(torch.randn(30, 20), p_in=0.5), Figure().subplots())
        >>> ax.get_legend_handles_labels()[1]
        ['dropped: exactly 0', 'kept: w/q', 'weight-scaled: w']
    """
    values, q = finite(weights.weight, "weight", axes=None).ravel(), weights.probability_in_use
    edges = np.histogram_bin_edges(np.concatenate([values / q, values]), BINS)
    kept, scaled = (np.histogram(each, edges)[0] / len(values) for each in (values / q, values))
    ax.vlines(0, 0, 1 - q, color=VERMILION, linewidth=3, label="dropped: exactly 0")
    ax.stairs(kept * q, edges, fill=True, facecolor=(BLUE, 0.35), edgecolor=BLUE, label="kept: w/q")
    ax.stairs(scaled, edges, color=ink(), linestyle="--", label="weight-scaled: w")
    ax.set_yscale("log")
    ax.set(xlabel=f"effective weight; kept with q = {q:.3g}", ylabel="probability in the bin")
    ax.set_ylim(0.5 * q / len(values), 1)
    legend_above(ax, columns=2)
    return ax
