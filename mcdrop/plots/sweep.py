"""A sweep over dropout rates, drawn."""

from typing import Literal

from matplotlib.axes import Axes

from mcdrop.errors import InputError
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import BLUE, GREY, ORANGE, ink
from mcdrop.training import Sweep


def loss_against_rate(sweep: Sweep, ax: Axes, *, quantity: Literal["loss", "error"] = "loss") -> Axes:
    """Train and test loss of one tree, of the weight-scaled net and of the forest, against the rate.

    Test lines are solid, train lines dashed; bars are the total errors. The vertical line is the rate where the
    weight-scaled net has its lowest test loss: left of it test and train losses of that net part where it overfits,
    right of it they rise together where it underfits. Which rates do, `sweep.fits` says.

    Args:
        sweep: Of `mcdrop.training.sweep`.
        ax: To draw on.
        quantity: "loss" in nats, or "error": the error rate, or the RMSE in the unit of the targets.

    Returns:
        `ax`.

    Raises:
        InputError: quantity is neither.

    Example:
        >>> from functools import partial
        >>> import matplotlib.pyplot as plt, mcdrop, torch
        >>> from torch import nn
        >>> from mcdrop.training import sweep
        >>> data = torch.randn(20, 4), torch.arange(20) % 3
        >>> def build(p):
        ...     return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 3))
        >>> found = sweep(build, [0.0, 0.5], data, mcdrop.Categorical(), test=data, num_samples=10, epochs=1,
        ...               optimizer=partial(torch.optim.SGD, lr=0.1), batch_size=10)
        >>> ax = loss_against_rate(found, plt.figure().subplots())
        >>> ax.get_xlabel()
        'rate p'
    """
    if quantity not in ("loss", "error"):
        raise InputError(f"quantity={quantity!r} was given; expected 'loss' or 'error'.")
    points = sorted(sweep.points, key=lambda point: point.rate)
    rates = [point.rate for point in points]
    for part, line in (("test", "-"), ("train", "--")):
        for name, colour in (("one tree", ORANGE), ("weight-scaled net", ink()), ("forest", BLUE)):
            measured = [getattr(point, f"{part}_{quantity}")[name] for point in points]
            values, errors = [each.value for each in measured], [each.total_error for each in measured]
            label = f"{name}, test" if part == "test" else None
            ax.errorbar(rates, values, errors, color=colour, linestyle=line, marker="o", capsize=3, label=label)
    ax.plot([], [], color=GREY, linestyle="--", label="dashed: training")
    ax.axvline(sweep.best.rate, color=GREY, linestyle=":", label="lowest")
    ax.set_xlabel("rate p")
    ax.set_ylabel("-log p(y), nats" if quantity == "loss" else sweep.error_name)
    legend_above(ax, columns=2)
    return ax
