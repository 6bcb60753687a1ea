"""A comparison of single network and forest, drawn."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.palette import BLUE, GREEN, GREY, ORANGE, VERMILION, ink
from mcdrop.training import Comparison


def loss_against_samples(comparison: Comparison, ax: Axes, *, quantity: Literal["loss", "error"] = "loss") -> Axes:
    """Test loss of the average of k trees against k, with the single tree and the weight-scaled net beside it.

    The band holds the middle 90 % of 20 subsets of k trees. Horizontal lines are the weight-scaled net, one tree and,
    where the comparison has training data, one tree there: the loss that training sees.

    Args:
        comparison: Of `mcdrop.training.compare`.
        ax: To draw on; its x axis becomes logarithmic.
        quantity: "loss" in nats, or "error": the error rate, or the RMSE in the unit of the targets.

    Returns:
        `ax`.

    Raises:
        InputError: quantity is neither.

    Example:
        >>> import matplotlib.pyplot as plt, mcdrop, torch
        >>> from torch import nn
        >>> from mcdrop.training import compare
        >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
        >>> comparison = compare(model, (torch.randn(20, 4), torch.arange(20) % 3), likelihood=mcdrop.Categorical())
        >>> ax = loss_against_samples(comparison, plt.figure().subplots())
        >>> ax.get_xlabel()
        'trees averaged, k'
    """
    if quantity not in ("loss", "error"):
        raise InputError(f"quantity={quantity!r} was given; expected 'loss' or 'error'.")
    curve = comparison.curve
    values = getattr(curve, quantity).numpy()
    low, high = np.quantile(values, [0.05, 0.95], axis=1)
    ax.fill_between(curve.num_samples, low, high, color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(curve.num_samples, values.mean(axis=1), color=BLUE, marker="o", label="forest: k trees averaged, test")
    lines = [("one tree", comparison.test, "one tree, test", ORANGE, "--")]
    if comparison.train is not None:
        lines += [("one tree", comparison.train, "one tree, train: what training sees", VERMILION, ":")]
        lines += [("forest", comparison.train, "forest, train", GREY, ":")]
    lines += [("weight-scaled net", comparison.test, "weight-scaled net, test", ink(), "-")]
    if "members, averaged" in comparison.test:
        lines += [("members, averaged", comparison.test, "weight-scaled members, averaged, test", GREEN, "-")]
    for name, contenders, label, colour, style in lines:
        ax.axhline(getattr(contenders[name], quantity).value, color=colour, linestyle=style, label=label)
    ax.set_xscale("log")
    ax.set_xticks(curve.num_samples, [str(k) for k in curve.num_samples])
    ax.minorticks_off()
    ax.set_xlabel("trees averaged, k")
    ax.set_ylabel("-log p(y), nats" if quantity == "loss" else comparison.error_name)
    ax.legend(frameon=False)
    return ax
