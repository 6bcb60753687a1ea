"""The pictures of the experiment `no_gain`."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.experiments.experiment import Numbers
from examples.experiments.no_gain_found import (
    PUBLISHED_GAIN,
    added_by_split,
    by_split,
    over_seeds,
    over_splits,
    runs,
    sets,
)
from examples.experiments.no_gain_mnist import ANGLES, AVERAGED, NUM_BINS, SCALED, STATES
from examples.experiments.no_gain_uci import WHERE
from mcdrop.calibration import BinnedReliability
from mcdrop.plots.palette import BLUE, GREY, SERIES, VERMILION
from mcdrop.plots.reliability import reliability_bars

FEWEST = 20
"""Labels in a bin that is drawn."""


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """RMSE split by split, diagrams before and after, and turned digits."""
    return {
        "splits": (
            "What averaging adds to the RMSE of weight scaling in each split, by set and by where the masks are",
            draw_splits(numbers),
        ),
        "reliability": (
            "How often labels are right against how sure they are: weight scaling and the average, as trained and "
            "at another temperature",
            draw_reliability(numbers),
        ),
        "turned": (
            "What averaging adds to the negative log-likelihood of weight scaling when the digits are turned",
            draw_turned(numbers),
        ),
    }


def draw_splits(numbers: Numbers) -> Figure:
    """A panel for each set: points are splits, averaged over seeds; bars two errors of their mean."""
    names = sets(numbers)
    figure = Figure(figsize=(2.6 * len(names) + 0.6, 4), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for name, ax in zip(names, axes, strict=True):
        draw_set(numbers, name, ax)
    axes[0].set_ylabel("added to the RMSE, % of weight scaling's")
    axes[0].legend(frameon=False, loc="lower left", fontsize=8)
    return figure


def draw_set(numbers: Numbers, name: str, ax: Axes) -> None:
    """One set, on an axis."""
    found = runs(numbers, f"averaging, {name}")
    scale = by_split(found, SCALED, "rmse").mean() / 100
    ax.axhline(0, color=GREY, linewidth=1)
    for place, where in enumerate(WHERE):
        added = added_by_split(found, where) / scale
        mean = over_splits(added)
        ax.plot(place + np.linspace(-0.2, 0.2, len(added)), added, "o", color=BLUE, markersize=3.5, alpha=0.6,
                label="a split" if place == 0 else None)  # fmt: skip
        ax.errorbar(place + 0.33, mean.value, 2 * mean.error, fmt="s", color=BLUE, markersize=5, capsize=3,
                    label="their mean, ± 2 errors" if place == 0 else None)  # fmt: skip
    published = PUBLISHED_GAIN[name]
    theirs = published.added.value, 2 * published.added.error
    ax.errorbar(-0.33, *(100 * of / published.scaled for of in theirs), fmt="D", color=VERMILION, markersize=5,
                capsize=3, label="published, 20 splits")  # fmt: skip
    ax.set_xticks(range(len(WHERE)), ["everywhere", "inputs", "hidden"])
    ax.set(title=name, xlabel="masks", xlim=(-0.6, len(WHERE) - 0.4))


def draw_reliability(numbers: Numbers) -> Figure:
    """A row for each reading, a column for each state."""
    found = runs(numbers, "digits")
    figure = Figure(figsize=(9, 8), layout="constrained")
    for row, reading in zip(figure.subplots(2, len(STATES)), (SCALED, AVERAGED), strict=True):
        for ax, state in zip(row, STATES, strict=True):
            judged = [seed["scores"][reading][state] for seed in found]
            reliability_bars(pooled([of["bins"] for of in judged]), ax)
            ece, modesty = (np.mean([of[score] for of in judged]) for score in ("ece", "modesty"))
            ax.set_title(
                f"{reading}, {state}\nECE {ece:.4f}, accuracy - confidence {100 * modesty:+.2f} %", fontsize=10
            )
            ax.set(xlabel="confidence", ylabel="share right, ± 2 errors")
    return figure


def pooled(bins: list[dict[str, list[float]]]) -> BinnedReliability:
    """The mean diagram over seeds; its errors are those of one, for they see the same images.

    Args:
        bins: By seed, in each bin the number of labels and the sums of their confidences and of those that are right.
            Bins of fewer than 20 labels, on average over seeds, are left empty.
    """
    counts, forecast, happened = (
        torch.tensor([seed[name] for seed in bins], dtype=torch.float64).mean(dim=0)
        for name in ("counts", "forecast", "happened")
    )
    counts, enough = torch.where(counts < FEWEST, 0.0, counts), counts >= FEWEST
    share, mean = (torch.where(enough, of / counts, torch.nan) for of in (happened, forecast))
    errors = (share * (1 - share) / (counts - 1)).sqrt()
    borders = torch.linspace(0, 1, NUM_BINS + 1, dtype=torch.float64)[1:-1]
    return BinnedReliability(borders, counts, mean, share, errors)


def draw_turned(numbers: Numbers) -> Figure:
    """A line for each state over the angle, with two errors."""
    found = runs(numbers, "digits")
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    ax = figure.subplots()
    ax.axhline(0, color=GREY, linewidth=1)
    for state, style in zip(STATES, SERIES, strict=False):
        added = [over_seeds([seed["turned"][place][state]["nll"] for seed in found]) for place in range(len(ANGLES))]
        ax.errorbar(ANGLES, [of.value for of in added], [2 * of.error for of in added], color=style.colour,
                    linestyle=style.line, marker=style.marker, markersize=4, capsize=3, label=state)  # fmt: skip
    ax.set_xticks(ANGLES)
    ax.set(xlabel="digits turned by, degrees", ylabel="added to the NLL, nats, ± 2 errors")
    ax.legend(frameon=False, loc="lower left")
    return figure
