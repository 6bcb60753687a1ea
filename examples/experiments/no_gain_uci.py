"""UCI networks read in two ways, by weight scaling and by averages over masks: as trained, and recalibrated.

Both readings share the network, the precision tau and the test rows, so that their scores are compared in pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

import mcdrop
from examples.experiments.differences import added
from examples.experiments.uci_runs import PUBLISHED, Net, Setting, Trained, seeds_of, train, train_on
from mcdrop.calibration import (
    CdfRecalibration,
    Precision,
    Score,
    interval_coverage,
    negative_log_likelihood,
    quantile_calibration_error,
    rmse,
)
from mcdrop.data import uci
from mcdrop.prediction import Prediction

NUM_SAMPLES, DESIGN = 1000, mcdrop.Stratified(100)
"""Each unit is dropped equally often in every 100 draws. On the first split of kin8nm this lowers the Monte Carlo error
of the RMSE from .0005 to .0001, where averaging adds .0023."""

COVERAGE = 0.9
HELD_OUT = 0.2
"""The last rows of a training part in the order of the files, which the authors held out as well."""

SCALED, AVERAGED = "weight scaling", "average"
WHERE = {AVERAGED: mcdrop.Sites(), "average, inputs": mcdrop.Sites(only=0), "average, hidden": mcdrop.Sites(only=1)}
"""Averages over masks at both sites of a network, and over masks at one of them, the other one scaled."""


def hidden_only(inputs: int, p: float) -> nn.Module:
    """The published network without dropout on its inputs."""
    return nn.Sequential(*list(Net(inputs, p))[1:])


def averaging(name: str, seed: int, *, splits: Sequence[int], epochs: int) -> dict[str, Any]:
    """The published networks of a set, trained on all training rows, in both readings."""
    setting = PUBLISHED[name]
    return compared(train(name, seed, setting, splits=splits, epochs=epochs), setting.tau, seed, WHERE)


def ablation(seed: int, *, splits: Sequence[int], epochs: int) -> dict[str, Any]:
    """On kin8nm, networks that were trained without dropout, and without dropout on the inputs."""
    name, of = "kin8nm", PUBLISHED["kin8nm"]
    run = partial(train, name, seed, splits=splits, epochs=epochs)
    return {
        "p = 0": compared(run(replace(of, p=0.0)), of.tau, seed, {}),
        "hidden only": compared(run(of, build=hidden_only), of.tau, seed, {AVERAGED: mcdrop.Sites()}),
    }


def recalibration(name: str, seed: int, *, splits: Sequence[int], epochs: int) -> dict[str, Any]:
    """Networks that saw the first four fifths of the training rows; the others choose tau, and map ranks."""
    setting, found = PUBLISHED[name], []
    for of, (x, y) in train_held_out(name, seed, setting, splits, epochs):
        readers = {SCALED: scaled(of, setting.tau), AVERAGED: averaged(of, setting.tau, seed)}
        held_out = {reading: read(of.rows(x)) for reading, read in readers.items()}
        test = {reading: read(of.rows(of.split.test_x)) for reading, read in readers.items()}
        found.append({reading: recalibrated(held_out[reading], y, test[reading], of.split.test_y) for reading in test})
    return {"tau": setting.tau, "test_rows": len(of.split.test_y), "splits": found}


def scaled(of: Trained, tau: float) -> mcdrop.MCDropout:
    """One pass with dropout off."""
    return mcdrop.MCDropout(mcdrop.Ensemble([of.net]), likelihood=mcdrop.Gaussian(tau), output=of.of_y.restore)


def averaged(of: Trained, tau: float, seed: int, sites: mcdrop.Sites = mcdrop.Sites()) -> mcdrop.MCDropout:  # noqa: B008
    """MC dropout at some sites."""
    return mcdrop.MCDropout(
        of.net,
        likelihood=mcdrop.Gaussian(tau),
        num_samples=NUM_SAMPLES,
        design=DESIGN,
        seed=seed,
        sites=sites,
        output=of.of_y.restore,
    )


def compared(nets: Sequence[Trained], tau: float, seed: int, where: Mapping[str, mcdrop.Sites]) -> dict[str, Any]:
    """By reading what it says of each split, and what averages add to the scores of weight scaling."""
    found: dict[str, list[dict[str, Any]]] = {reading: [] for reading in (SCALED, *where)}
    for of in nets:
        reference, explained = read_out(scaled(of, tau), of)
        found[SCALED].append(explained)
        for reading, sites in where.items():
            scores, explained = read_out(averaged(of, tau, seed, sites), of)
            found[reading].append(explained | {"added": added(scores, reference)})
    return found


def read_out(read: Callable[[Tensor], Prediction], of: Trained) -> tuple[dict[str, Score], dict[str, float]]:
    """Root mean squared error and negative log-likelihood of the test rows; and what explains them.

    `slope` is that of the least-squares line of the targets over the predicted means: above 1 the means are too flat.
    `train_rmse` is of the first training rows, as many as there are test rows.
    """
    y, many = of.split.test_y, len(of.split.test_y)
    test, seen = read(of.rows(of.split.test_x)), read(of.rows(of.split.train_x[:many]))
    scores = {"rmse": rmse(test, y), "nll": negative_log_likelihood(test, y)}
    explained = {"slope": slope(test.mean, y), "train_rmse": rmse(seen, of.split.train_y[:many]).value}
    return scores, {name: score.value for name, score in scores.items()} | explained


def slope(means: Tensor, targets: Tensor) -> float:
    """Of the least-squares line of the targets over the means."""
    off = means - means.mean()
    return float((off * (targets - targets.mean())).sum() / off.square().sum())


def train_held_out(
    name: str, seed: int, setting: Setting, splits: Sequence[int], epochs: int
) -> list[tuple[Trained, tuple[Tensor, Tensor]]]:
    """A network for each split, trained as `uci_runs.train` does but on the first rows, and the rows held out."""
    whole = [uci.load(name, split=split) for split in splits]
    first = len(whole[0].train_x) - round(HELD_OUT * len(whole[0].train_x))
    parts = [replace(part, train_x=part.train_x[:first], train_y=part.train_y[:first]) for part in whole]
    nets = train_on(parts, seeds_of(seed, splits), setting, epochs=epochs)
    return [(of, (part.train_x[first:], part.train_y[first:])) for of, part in zip(nets, whole, strict=True)]


def recalibrated(held_out: Prediction, held_out_y: Tensor, test: Prediction, y: Tensor) -> dict[str, dict[str, float]]:
    """Scores of the test rows as predicted, with tau chosen by the rows held out, and with ranks mapped by these."""
    precision, ranks = (kind.fit(held_out, held_out_y) for kind in (Precision, CdfRecalibration))
    after = precision(test)
    return {
        "as trained": judged(test, y) | {"nll": negative_log_likelihood(test, y).value},
        "tau": judged(after, y) | {"nll": negative_log_likelihood(after, y).value, "fitted": precision.precisions[0]},
        "ranks": judged(ranks(test), y),
    }


def judged(prediction: Prediction, y: Tensor) -> dict[str, float]:
    """The mean distance of the share of targets below the q-quantile from q, and the share inside intervals of 90 %."""
    return {
        "coverage_error": quantile_calibration_error(prediction, y, absolute=True).value,
        "covered": interval_coverage(prediction, y, coverage=COVERAGE).value,
    }
