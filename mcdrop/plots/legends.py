"""Legends that cover nothing of what is drawn."""

from matplotlib.axes import Axes


def legend_above(ax: Axes, *, columns: int, labelled: Axes | None = None) -> None:
    """A legend above the axis, where a title would be.

    Args:
        ax: Where it stands.
        columns: Entries side by side.
        labelled: Whose artists it names; by default those of `ax`.
    """
    handles, labels = (labelled or ax).get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=columns,
        columnspacing=1.2,
        handlelength=1.6,
        frameon=False,
    )
