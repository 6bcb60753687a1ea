"""UCI regression: table 1 of Gal and Ghahramani (2016), the single net beside the forest, tau fitted, coverage.

A network d-50-1 with dropout on the inputs and on the hidden layer is trained for 400 epochs in batches of 32 on each
of 20 splits, with the rate p, precision tau and length scale behind the published table. Its test rows are predicted by
the mixture of T draws, the forest, and by one pass with weights scaled, the single net; each is read with the published
tau and with one fitted to held-out training rows. Without dropout, p = 0, boston is trained once more.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

import mcdrop
from examples.experiments import published
from examples.experiments.experiment import SEEDS, Experiment
from examples.experiments.uci_page import LEVELS, WITHOUT_DROPOUT, pictures, tables
from examples.experiments.uci_runs import PUBLISHED, Setting, Trained, seeds_of, train, train_on
from mcdrop.calibration import Precision, coverage_curve, negative_log_likelihood, rmse
from mcdrop.data import uci
from mcdrop.prediction import Prediction

NUM_SAMPLES = 1000  # T. The paper takes 10,000.
HELD_OUT = 0.2  # of the training rows, the last in the order of the files, as in the published search
QUICK_SETS = ("boston", "energy", "wine", "yacht")
QUICK_FITTED = ("boston", "yacht")  # small enough for a second training in a quick run
MEASURED = {  # in each split, by predictor
    "forest": ("rmse", "ll", "coverage"),
    "forest, fitted": ("ll", "coverage"),
    "single net": ("rmse", "ll"),
    "single net, fitted": ("ll",),
}


def parts(quick: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """What was published, then a set and a seed each; no set has its second seed before all have one."""
    sets = QUICK_SETS if quick else tuple(PUBLISHED)
    found: dict[str, Callable[[], dict[str, Any]]] = {"published": partial(published_scores, sets)}
    for seed in SEEDS[:1] if quick else SEEDS:
        for name in sets:
            found[f"{name}, seed {seed}"] = partial(measure, name, seed, fitted=not quick or name in QUICK_FITTED)
        found[f"{WITHOUT_DROPOUT}, seed {seed}"] = partial(without_dropout, seed)
    return found


def published_scores(sets: tuple[str, ...]) -> dict[str, Any]:
    """RMSE and log-likelihood in each split, and tau, by set."""
    return {
        name: {"scores": published.scores(name, "400 epochs").tolist(), "tau": PUBLISHED[name].tau} for name in sets
    }


def measure(name: str, seed: int, *, fitted: bool) -> dict[str, Any]:
    """Scores by predictor, in each split."""
    tau = PUBLISHED[name].tau
    whole = train(name, seed, PUBLISHED[name])
    first = train_on_first(name, seed, PUBLISHED[name]) if fitted else [None] * len(whole)
    found: dict[str, list[dict[str, Any]]] = {}
    # masks of their own for each split: an error that all splits shared would not show between them
    for trained, earlier, own in zip(whole, first, seeds_of(seed, range(uci.NUM_SPLITS)), strict=True):
        for predictor, predict in (("forest", partial(forest, own)), ("single net", single_net)):
            test, targets = predict(trained, tau), trained.split.test_y
            found.setdefault(predictor, []).append(scores(test, targets, MEASURED[predictor]))
            if earlier is not None:
                precision = Precision.fit(predict(earlier, tau), earlier.split.test_y)
                measured = scores(precision(test), targets, MEASURED[f"{predictor}, fitted"])
                found.setdefault(f"{predictor}, fitted", []).append({"tau": precision.precisions[0], **measured})
    return {predictor: by_score(splits) for predictor, splits in found.items()}


def without_dropout(seed: int) -> dict[str, Any]:
    """Scores in each split of boston of nets that were trained without dropout."""
    setting = replace(PUBLISHED["boston"], p=0.0)
    nets = train("boston", seed, setting)
    measured = [scores(single_net(net, setting.tau), net.split.test_y, MEASURED["single net"]) for net in nets]
    return {"single net": by_score(measured)}


def train_on_first(name: str, seed: int, setting: Setting) -> list[Trained]:
    """Nets like those of `train`, trained on the first rows of each training part; the last are their test rows."""
    splits = range(uci.NUM_SPLITS)
    return train_on([first_part(uci.load(name, split=split)) for split in splits], seeds_of(seed, splits), setting)


def first_part(split: uci.Split) -> uci.Split:
    """The training rows alone: the first of them to train on, the last, which are held out, to test on."""
    x, y, border = split.train_x, split.train_y, int((1 - HELD_OUT) * len(split.train_x))
    return replace(split, train_x=x[:border], train_y=y[:border], test_x=x[border:], test_y=y[border:])


def forest(seed: int, trained: Trained, tau: float) -> Prediction:
    """T draws for the test rows, in the units of the targets."""
    return trained.forest(tau, NUM_SAMPLES, seed)(trained.rows(trained.split.test_x))


def single_net(trained: Trained, tau: float) -> Prediction:
    """One pass for the test rows with dropout off: an ensemble of one member, with weights scaled."""
    likelihood, restore = mcdrop.Gaussian(tau), trained.of_y.restore
    net = mcdrop.MCDropout(mcdrop.Ensemble([trained.net]), likelihood=likelihood, output=restore)
    return net(trained.rows(trained.split.test_x))


def scores(prediction: Prediction, targets: torch.Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    """RMSE; log-likelihood, the mean over rows in nats; coverage of the central intervals."""
    measures: dict[str, Callable[[], Any]] = {
        "rmse": lambda: rmse(prediction, targets).value,
        "ll": lambda: -negative_log_likelihood(prediction, targets).value,
        "coverage": lambda: [
            share.value for share in coverage_curve(prediction, targets, levels=LEVELS, widths=False).coverage
        ],
    }
    return {name: measures[name]() for name in names}


def by_score(splits: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """A list for each score with a value for each split, to six digits: there are many."""
    return {score: [rounded(split[score]) for split in splits] for score in splits[0]}


def rounded(value: float | list[float]) -> Any:
    return [rounded(one) for one in value] if isinstance(value, list) else float(f"{value:.6g}")


EXPERIMENT = Experiment("uci", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
