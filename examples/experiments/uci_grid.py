"""UCI regression, the search of 2018: dropout rate and precision chosen by held-out training rows, split by split."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.experiments.estimates import BOUND, mean_and_error, plus_minus
from examples.experiments.experiment import SEEDS, Experiment, Numbers
from examples.experiments.page import table
from examples.experiments.published import paired, scores
from examples.experiments.published_winners import winners
from examples.experiments.uci_runs import Net
from mcdrop.calibration import negative_log_likelihood, rmse
from mcdrop.data import scaling, uci
from mcdrop.plots.palette import BLUE, GREY, MAP
from mcdrop.posterior import Prior
from mcdrop.training import Choice, search

# From net/net.py and experiment.py of https://github.com/yaringal/DropoutUncertaintyExps at 6eb4497. The grid of a set
# stands in its files: four rates, three precisions.
PRIOR = Prior(1e-2)
ADAM = partial(torch.optim.Adam, lr=1e-3)
EPOCHS = 4000
BATCH_SIZE = 128
HELD_OUT = 0.2

NUM_SAMPLES = 1000
"""Of the mixtures that choose and of those that are tested, where the authors drew 10000."""

SETS = ("boston", "energy", "yacht", "wine", "kin8nm")

SCORES = ("RMSE", "log-likelihood")


def parts(quick: bool) -> dict[str, Callable[[], Any]]:
    """The published figures, then a part for each set and seed; no set has its second seed before all have one."""
    if quick:
        small = partial(measure, "yacht", 0, splits=range(5), epochs=600)
        return {"published": partial(published, ["yacht"]), "yacht, seed 0": small}
    runs = {
        f"{name}, seed {seed}": partial(measure, name, seed, splits=range(uci.NUM_SPLITS), epochs=EPOCHS)
        for seed in SEEDS
        for name in SETS
    }
    return {"published": partial(published, SETS), **runs}


def published(names: Sequence[str]) -> dict[str, Any]:
    """What the authors chose in each split and how it scored on the test rows, by set."""
    return {name: {"winners": winners(name).tolist(), "test": scores(name, "grid search").tolist()} for name in names}


def measure(name: str, seed: int, *, splits: Sequence[int], epochs: int) -> dict[str, Any]:
    """Searches the grid in each split, and tests the network that is trained on all training rows with the winner."""
    data = [uci.load(name, split=split) for split in splits]
    found = search(
        partial(Net, data[0].train_x.shape[1]),
        [(split.train_x, split.train_y) for split in data],
        rates=data[0].dropout_rates,
        precisions=data[0].precisions,
        prior=PRIOR,
        optimizer=ADAM,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        protocol="gal2016",
        scaling=scaling.measure,
        held_out=HELD_OUT,
        num_samples=NUM_SAMPLES,
        seed=uci.NUM_SPLITS * seed,
    )
    return {
        "splits": list(splits),
        "rates": data[0].dropout_rates,
        "precisions": data[0].precisions,
        "validation": [choice.log_likelihood.tolist() for choice in found.choices],
        "winners": [(choice.rate, choice.precision) for choice in found.choices],
        "ties": [len(choice.ties) for choice in found.choices],
        "test": [tested(choice, split, seed) for choice, split in zip(found.choices, data, strict=True)],
    }


def tested(choice: Choice, split: uci.Split, seed: int) -> tuple[float, float]:
    """RMSE and mean log-likelihood of the test rows."""
    prediction = choice.predict(split.test_x, num_samples=NUM_SAMPLES, seed=seed)
    return rmse(prediction, split.test_y).value, -negative_log_likelihood(prediction, split.test_y).value


def by_set(numbers: Numbers) -> dict[str, list[dict[str, Any]]]:
    """What the seeds of each set measured."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part, measured in numbers.items():
        if part != "published":
            found.setdefault(part.split(",")[0], []).append(measured)
    return found


def theirs(numbers: Numbers, name: str, what: str) -> np.ndarray:
    """The authors' `test` scores or `winners`, (splits, 2), in the splits that we measured."""
    return np.array(numbers["published"][name][what])[by_set(numbers)[name][0]["splits"]]


def ours(numbers: Numbers, name: str) -> np.ndarray:
    """Our test scores in each split, averaged over seeds, (splits, 2)."""
    return np.mean([seed["test"] for seed in by_set(numbers)[name]], axis=0)


def tables(numbers: Numbers) -> dict[str, str]:
    """Test scores beside the published ones, and how often the same was chosen."""
    return {"scores": score_table(numbers), "winners": winner_table(numbers)}


def score_table(numbers: Numbers) -> str:
    """For each set and score: ours, theirs, and the paired difference."""
    rows = []
    for name, seeds in by_set(numbers).items():
        own, other = ours(numbers, name), theirs(numbers, name, "test")
        for place, (score, difference) in enumerate(zip(SCORES, paired(own, other), strict=True)):
            better = difference.z < 0 if score == "RMSE" else difference.z > 0
            verdict = "no difference" if abs(difference.z) <= BOUND else "ours is better" if better else "ours is worse"
            means = [plus_minus(*mean_and_error(tests[:, place])) for tests in (own, other)]
            error = plus_minus(difference.difference, difference.error, sign="+")
            rows.append([f"{name}, {score}", str(len(seeds)), *means, error, verdict])
    return table(["set, score", "seeds", "ours", "published", "paired difference", "verdict"], rows)


def winner_table(numbers: Numbers) -> str:
    """How often two searches of one split chose the same: ours and theirs, and two seeds of ours."""
    rows = []
    for name, seeds in by_set(numbers).items():
        choices, reference = [np.array(seed["winners"]) for seed in seeds], theirs(numbers, name, "winners")
        with_theirs = agreement([(chosen, reference) for chosen in choices])
        between_seeds = agreement(list(combinations(choices, 2))) if len(seeds) > 1 else ["-"] * 2
        ties = np.mean([seed["ties"] for seed in seeds])
        rows.append([name, *with_theirs, *between_seeds, f"{ties:.1f}"])
    same = [f"{what} as {whom}" for whom in ("theirs", "another seed") for what in ("p", "tau")]
    return table(["set", *same, "points as good, of 11"], rows)


def agreement(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Share of splits in which two choices have the same p, and the same tau, in percent over all pairs."""
    return [f"{share:.0%}" for share in np.mean([np.isclose(one, other) for one, other in pairs], axis=(0, 1))]


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """Test scores in each split against the published ones, and the grid."""
    split_by_split = "Test scores in each split: published on the horizontal axis, ours on the vertical one"
    grid = "Mean validation log-likelihood of each rate and precision, and how often it was chosen by us and by them"
    return {"splits": (split_by_split, draw_splits(numbers)), "grid": (grid, draw_grids(numbers))}


def draw_splits(numbers: Numbers) -> Figure:
    """A row for each score, a column for each set, a point for each split."""
    names = list(by_set(numbers))
    figure = Figure(figsize=(2.9 * len(names), 5.6), layout="constrained")
    panels = figure.subplots(len(SCORES), len(names), squeeze=False)
    for name, column in zip(names, panels.T, strict=True):
        points = zip(column, SCORES, ours(numbers, name).T, theirs(numbers, name, "test").T, strict=True)
        for ax, score, own, other in points:
            ax.axline((other[0], other[0]), slope=1, color=GREY, linewidth=1)
            ax.scatter(other, own, color=BLUE, s=18)
            ax.set(title=f"{name}, {score}", xlabel="published", ylabel="ours", aspect="equal", adjustable="datalim")
            ax.locator_params(nbins=3)
    return figure


def draw_grids(numbers: Numbers) -> Figure:
    """For each set a map of the grid; numbers in a field: validation score, share of splits of ours and of theirs."""
    runs = by_set(numbers)
    figure = Figure(figsize=(3.2 * len(runs), 3.6), layout="constrained")
    for ax, (name, seeds) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        draw_grid(ax, name, seeds, theirs(numbers, name, "winners"))
    return figure


def draw_grid(ax: Axes, name: str, seeds: Sequence[dict[str, Any]], reference: np.ndarray) -> None:
    """The grid of one set, on an axis."""
    rates, precisions = seeds[0]["rates"], seeds[0]["precisions"]
    means = np.mean([seed["validation"] for seed in seeds], axis=(0, 1))
    chosen = np.concatenate([seed["winners"] for seed in seeds])
    ax.imshow(means, cmap=MAP, aspect="auto")
    for (i, j), mean in np.ndenumerate(means):
        point = rates[i], precisions[j]
        shares = [np.isclose(winners, point).all(axis=1).mean() for winners in (chosen, reference)]
        colour = "black" if mean > (means.min() + means.max()) / 2 else "white"
        text = f"{mean:.3f}\n{shares[0]:.0%} | {shares[1]:.0%}"
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    ax.set_xticks(range(len(precisions)), [f"{tau:g}" for tau in precisions])
    ax.set_yticks(range(len(rates)), [f"{p:g}" for p in rates])
    seeds_said = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    ax.set(xlabel="precision tau", ylabel="dropout rate p", title=f"{name}, {seeds_said}")


EXPERIMENT = Experiment("uci_grid", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
