"""How losses fell while a network was trained."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mcdrop.errors import InputError
from mcdrop.plots.given import finite
from mcdrop.plots.palette import BLUE, ORANGE, ink
from mcdrop.training import History


def losses_against_epochs(history: History, ax: Axes, *, unit: str = "nats per row") -> Axes:
    """Training and validation losses after each epoch.

    The first is that of single sub-networks while they learn, so that it may lie above the others: dropout costs it
    more than it costs the whole network.

    Args:
        history: Of `mcdrop.training.fit`.
        ax: To draw on.
        unit: Of the objective.

    Returns:
        `ax`.

    Raises:
        InputError: There is no epoch, or a loss is NaN or infinite.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = History(train_loss=(2.0, 1.5, 1.2), weight_scaled_loss=(1.9, 1.6, 1.7))
        >>> ax = losses_against_epochs(history, Figure().subplots())
        >>> ax.get_legend_handles_labels()[1]
        ['sub-networks, training', 'weight-scaled, validation', 'lowest: epoch 2']
    """
    if not len(history):
        raise InputError("A history of no epochs was given, so that there is nothing to draw.")
    lines = [
        ("train_loss", "sub-networks, training", ORANGE, ":"),
        ("weight_scaled_loss", "weight-scaled, validation", ink(), "-"),
        ("mc_loss", "MC dropout, validation", BLUE, "--"),
    ]
    for field, label, colour, line in lines:
        if getattr(history, field):
            losses = finite(getattr(history, field), field)
            ax.plot(range(1, len(losses) + 1), losses, color=colour, linestyle=line, label=label)
    best = history.best_epoch
    if best is not None:
        lowest = history.weight_scaled_loss[best]
        ax.plot(best + 1, lowest, "o", color=ink(), markersize=5, label=f"lowest: epoch {best + 1}")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.set(xlabel="epoch", ylabel=f"loss ({unit})")
    ax.legend(frameon=False)
    return ax
