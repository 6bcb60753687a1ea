"""Heavy dropout on MNIST in three readings, as trained and at another temperature: how sure, and how often right."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import mcdrop
from examples.experiments.differences import added
from examples.experiments.image_nets import network
from mcdrop.calibration import (
    Score,
    Temperature,
    binned_reliability,
    error_rate,
    expected_calibration_error,
    negative_log_likelihood,
)
from mcdrop.data import digits, images
from mcdrop.prediction import CategoricalPrediction
from mcdrop.training import fit

NUM_SAMPLES = 100
TRAIN_ROWS = 50_000
"""The last 10,000 training images choose temperatures."""

TURNED_ROWS, ANGLES = 2000, (0, 15, 30, 45, 60)
"""Test images that are turned as well, and by how many degrees."""

NUM_BINS = 10
"""Of the diagrams; of the calibration error 15, as its sources have it."""

SCALED, TREE, AVERAGED = READINGS = "weight scaling", "one sub-network", "average"
STATES = "as trained", "tempered"
SCORES: dict[str, Callable[..., Score]] = {
    "error": error_rate,
    "nll": negative_log_likelihood,
    "ece": expected_calibration_error,
}


def measure(seed: int, *, train_rows: int, epochs: int) -> dict[str, Any]:
    """A network read in three ways, each as trained and at the temperature that images held out choose."""
    train, test = (images.load("mnist", part=part) for part in ("train", "test"))
    net = trained(seed, train.images[:train_rows], train.labels[:train_rows], epochs)
    held_out = train.images[TRAIN_ROWS:], train.labels[TRAIN_ROWS:]
    readers = read_by(net, seed)
    temperatures = {reading: Temperature.fit(read(held_out[0]), held_out[1]) for reading, read in readers.items()}

    def predicted(reading: str, inputs: Tensor) -> list[CategoricalPrediction]:
        prediction = readers[reading](inputs)
        return [prediction, temperatures[reading](prediction)]

    found: dict[str, Any] = {"temperatures": {reading: of.temperature for reading, of in temperatures.items()}}
    upright = {reading: predicted(reading, test.images) for reading in READINGS}
    found["scores"] = {
        reading: {state: judged(one, test.labels) for state, one in zip(STATES, both, strict=True)}
        for reading, both in upright.items()
    }
    found["averaging"] = averaging(upright[AVERAGED], upright[SCALED], test.labels)
    found["turned"] = []
    for angle in ANGLES:
        turned = digits.rotate(test.images[:TURNED_ROWS], angle)
        average, weight_scaled = predicted(AVERAGED, turned), predicted(SCALED, turned)
        found["turned"].append(averaging(average, weight_scaled, test.labels[:TURNED_ROWS]))
    return found


def averaging(
    average: list[CategoricalPrediction], weight_scaled: list[CategoricalPrediction], labels: Tensor
) -> dict[str, dict[str, tuple[float, float]]]:
    """What averaging adds to the scores of weight scaling, in both states."""
    return {
        state: added(scores(one, labels), scores(other, labels))
        for state, one, other in zip(STATES, average, weight_scaled, strict=True)
    }


def trained(seed: int, inputs: Tensor, labels: Tensor, epochs: int) -> nn.Module:
    """784-512-512-10 with dropout .2, .5 and .5, trained as `image_nets.train` trains it."""
    net, sgd = network("mnist", seed), partial(torch.optim.SGD, lr=0.5)
    fit(net, (inputs, labels), mcdrop.Categorical(), optimizer=sgd, epochs=epochs, batch_size=256, seed=seed)
    return net.eval()


def read_by(net: nn.Module, seed: int) -> dict[str, mcdrop.MCDropout]:
    """Dropout off; on, with a sub-network of its own for each image; and averaged."""
    off = mcdrop.MCDropout(mcdrop.Ensemble([net]), likelihood=mcdrop.Categorical())
    on = partial(mcdrop.MCDropout, net, likelihood=mcdrop.Categorical(), seed=seed)
    return {SCALED: off, TREE: on(num_samples=1, shared_masks=False), AVERAGED: on(num_samples=NUM_SAMPLES)}


def judged(prediction: CategoricalPrediction, labels: Tensor) -> dict[str, Any]:
    """Each score, how much more often labels are right than the confidence says, and the diagram in sums over bins."""
    right = (prediction.labels == labels).double()
    bins = binned_reliability(prediction, labels, num_bins=NUM_BINS)
    sums = {"forecast": bins.forecast.nan_to_num() * bins.counts, "happened": bins.frequency.nan_to_num() * bins.counts}
    return {
        **{name: score.value for name, score in scores(prediction, labels).items()},
        "modesty": float((right - prediction.confidence).mean()),
        "bins": {"counts": bins.counts.tolist(), **{name: of_bin.tolist() for name, of_bin in sums.items()}},
    }


def scores(prediction: CategoricalPrediction, labels: Tensor) -> dict[str, Score]:
    """Each of `SCORES`."""
    return {name: score(prediction, labels) for name, score in SCORES.items()}
