"""What mcdrop adds to networks trained as those of table 1 of 2016 were: designed draws, and noise fitted again.

Networks, their training (400 epochs, batches of 32) and the published p, tau and length scale are those of Gal &
Ghahramani 2016, "Dropout as a Bayesian approximation", table 1, https://arxiv.org/abs/1506.02142; the length scales and
taus stand in the files of https://github.com/yaringal/DropoutUncertaintyExps. What is fitted to data is fitted by
cross-validation inside the training part of each split.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from torch import Tensor

import mcdrop
from examples.experiments import fewer_passes, published
from examples.experiments.cross_validated import SeveralPrecisions, held_out, predicted, train_folds
from examples.experiments.experiment import SEEDS, Experiment
from examples.experiments.uci_runs import PUBLISHED, Setting, Trained, seeds_of, train
from examples.experiments.what_is_added_page import (
    ALPHA,
    DESIGNED,
    MANY,
    PLAIN,
    PRECISION,
    SCALED,
    SEVERAL,
    WORTH,
    pictures,
    tables,
)
from mcdrop.calibration import CdfRecalibration, Precision, ResidualIntervals, VarianceScaling
from mcdrop.data import uci

SETS, QUICK_SETS = ("boston", "energy", "yacht", "wine"), ("boston", "yacht")
QUICK_SPLITS = 10
EPOCHS, BATCH_SIZE, RUN = 400, 32, "400 epochs"
REPEATED_SPLITS = 5
"""Of one seed, on which draws are repeated."""


def measure_split(net: Trained, folds: Sequence[Trained], setting: Setting, seed: int) -> dict[str, Any]:
    """RMSE and mean log-likelihood of the test rows by step, what intervals hold and how wide they are, and tau.

    Args:
        net: Trained on all training rows.
        folds: For each fold a network trained on the others.
        setting: What they were trained with.
        seed: Of the masks; each split has its own, as an error that all shared would not show between them.
    """
    plain, y = predicted(net, setting.tau, MANY, mcdrop.Independent(), seed)
    drawn = (setting.tau, MANY, fewer_passes.blocks(setting.p), seed)
    before, targets = held_out(folds, *drawn)
    designed, _ = predicted(net, *drawn)
    precision, scaled = Precision.fit(before, targets), VarianceScaling.fit(before, targets)
    several, mapped = SeveralPrecisions.fit(before, targets), CdfRecalibration.fit(precision(before), targets)
    log_likelihoods = {
        DESIGNED: designed.log_prob(y),
        PRECISION: precision(designed).log_prob(y),
        SEVERAL: several.log_prob(designed, y),
        SCALED: scaled(designed).log_prob(y),
    }
    intervals = {
        DESIGNED: designed.interval(1 - ALPHA),
        PRECISION: precision(designed).interval(1 - ALPHA),
        f"{PRECISION}, quantiles mapped": mapped(precision(designed)).interval(1 - ALPHA),
        SCALED: scaled(designed).interval(1 - ALPHA),
    }
    for name, normalised in (("residuals", False), ("residuals by their deviation", True)):
        conformal = ResidualIntervals.fit(before, targets, alpha=ALPHA, normalised=normalised)(designed)
        intervals[name] = (conformal.lower, conformal.upper)
    return {
        "scores": {PLAIN: _scores(plain.mean, plain.log_prob(y), y)}
        | {step: _scores(designed.mean, value, y) for step, value in log_likelihoods.items()},
        "intervals": {
            name: [_short(((low <= y) & (y <= high)).double().mean()), _short((high - low).mean())]
            for name, (low, high) in intervals.items()
        },
        "tau": _short(precision.precisions[0]),
    }


def _scores(mean: Tensor, log_likelihood: Tensor, targets: Tensor) -> list[float]:
    return [_short((mean - targets).square().mean().sqrt()), _short(log_likelihood.mean())]


def _short(value: Tensor | float) -> float:
    return float(f"{float(value):.5g}")


def measure(name: str, seed: int, splits: Sequence[int]) -> dict[str, Any]:
    """A set with one seed: lists of what is found in each split, beside the published scores."""
    setting = PUBLISHED[name]
    nets = train(name, seed, setting, splits=splits, epochs=EPOCHS, batch_size=BATCH_SIZE)
    folds = train_folds(name, seed, setting, splits=splits, epochs=EPOCHS, batch_size=BATCH_SIZE)
    found = [
        measure_split(net, of_split, setting, own)
        for net, of_split, own in zip(nets, folds, seeds_of(seed, splits), strict=True)
    ]
    return {
        "published": [[_short(score) for score in of_split] for of_split in published.scores(name, RUN)[list(splits)]],
        "scores": {step: [one["scores"][step] for one in found] for step in found[0]["scores"]},
        "intervals": {method: [one["intervals"][method] for one in found] for method in found[0]["intervals"]},
        "tau": [one["tau"] for one in found],
    }


def measure_passes(name: str, splits: Sequence[int]) -> dict[str, dict[str, float]]:
    """What passes are worth, by way, averaged over the networks of some splits."""
    setting = PUBLISHED[name]
    nets = train(name, SEEDS[0], setting, splits=splits, epochs=EPOCHS, batch_size=BATCH_SIZE)
    found = [fewer_passes.measure(net, setting.p, setting.tau) for net in nets]
    return {
        way: {quantity: _short(fmean(one[way][quantity] for one in found)) for quantity in found[0][way]}
        for way in found[0]
    }


def parts(quick: bool) -> Mapping[str, Callable[[], Any]]:
    """A part for each set and seed, and one for the passes of each set."""
    names, seeds = (QUICK_SETS, SEEDS[:1]) if quick else (SETS, SEEDS)
    splits, repeated = range(QUICK_SPLITS if quick else uci.NUM_SPLITS), range(1 if quick else REPEATED_SPLITS)
    scored = {f"{name}, seed {seed}": partial(measure, name, seed, splits) for name in names for seed in seeds}
    return scored | {f"{name}, {WORTH}": partial(measure_passes, name, repeated) for name in names}


EXPERIMENT = Experiment("what_is_added", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
