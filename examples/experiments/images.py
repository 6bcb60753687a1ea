"""Images: how many trees make a forest, how sure it is, and whether it knows what it has never seen.

A network trained on Fashion-MNIST and one trained on MNIST are read in two ways: with weights scaled, dropout off, and
as averages of k sub-networks. Measured are error and negative log-likelihood as k grows; calibration before and after a
temperature; and how well entropies tell test images of the network's own set from those of two others.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import mcdrop
from examples.experiments.differences import added
from examples.experiments.experiment import SEEDS, Experiment
from examples.experiments.image_nets import ARCHITECTURES, train
from examples.experiments.images_pictures import pictures
from examples.experiments.images_tables import tables
from mcdrop.calibration import (
    BinnedReliability,
    Score,
    Temperature,
    auroc_ood,
    binned_reliability,
    error_rate,
    expected_calibration_error,
    negative_log_likelihood,
    smooth_calibration_error,
)
from mcdrop.data import images
from mcdrop.data.idx import LabelledImages
from mcdrop.prediction import CategoricalPrediction
from mcdrop.training import compare

TREES = (1, 2, 5, 10, 20, 50, 100)
"""Averaged; Srivastava et al. 2014, figure 11, goes to 120."""

DRAWN, QUICK_DRAWN = 200, 100
"""Trees of which 20 random subsets of each size are taken."""

CALIBRATED, FOREIGN = 100, 20
"""Trees of the forest that is calibrated, and of that which meets images of other sets."""

SCORES: dict[str, Callable[..., Score]] = {
    "error": error_rate,
    "nll": negative_log_likelihood,
    "ece": expected_calibration_error,
    "smooth ece": smooth_calibration_error,
}

ENTROPIES = torch.linspace(0, float(torch.tensor(10.0).log()), 26)
"""Borders of the bins of entropies that are drawn, nats: from certain to uniform over ten classes."""


def parts(quick: bool) -> dict[str, Callable[[], Any]]:
    """Each network by itself: a set and a seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    return {f"{name} seed {seed}": partial(measure, name, seed, quick) for name in ARCHITECTURES for seed in seeds}


def measure(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """One network, trained and asked all three questions."""
    net = train(name, seed, quick)
    tests = {of: images.load(of, part="test") for of in images.NAMES}
    own = tests.pop(name)
    return {
        "averaging": averaging(net, own, seed, QUICK_DRAWN if quick else DRAWN),
        "calibration": {
            reading: calibration(read, own) for reading, read in readings(net, seed, CALIBRATED).items()
        },
        "foreign": {of: foreign(net, own.images, other.images, seed) for of, other in tests.items()},
    }  # fmt: skip


def readings(net: nn.Module, seed: int, trees: int) -> dict[str, mcdrop.MCDropout]:
    """Dropout off, and averages of trees."""
    likelihood = mcdrop.Categorical()
    return {
        "weight scaling": mcdrop.MCDropout(mcdrop.Ensemble([net]), likelihood=likelihood),
        "average": mcdrop.MCDropout(net, likelihood=likelihood, num_samples=trees, seed=seed),
    }


def averaging(net: nn.Module, test: LabelledImages, seed: int, drawn: int) -> dict[str, Any]:
    """Error and loss of weight scaling and of averages of k trees; for each k means and deviations over subsets."""
    found = compare(
        net, (test.images, test.labels), likelihood=mcdrop.Categorical(), num_samples=drawn, sizes=TREES, seed=seed
    )
    scaled, forest, curve = found.test["weight-scaled net"], found.test["forest"], found.curve
    return {
        "weight scaling": {"error": scaled.error.value, "nll": scaled.loss.value},
        "trees": list(curve.num_samples),
        "error": curve.error.mean(dim=1).tolist(),
        "nll": curve.loss.mean(dim=1).tolist(),
        "spread": {"error": curve.error.std(dim=1).tolist(), "nll": curve.loss.std(dim=1).tolist()},
        "all trees less weight scaling": added(
            {"error": forest.error, "nll": forest.loss}, {"error": scaled.error, "nll": scaled.loss}
        ),
    }


def calibration(read: mcdrop.MCDropout, test: LabelledImages) -> dict[str, Any]:
    """Scores of every second test image before and after the temperature that the others choose."""
    # alternately: the first half of MNIST's test images is easier than the second
    choosing, judged = (read(test.images[first::2]) for first in (0, 1))
    temperature = Temperature.fit(choosing, test.labels[::2])
    labels = test.labels[1::2]
    states = {"before": judged, "after": temperature(judged)}
    scores = {state: {name: score(of, labels) for name, score in SCORES.items()} for state, of in states.items()}
    return {
        "temperature": temperature.temperature,
        **{state: {name: score.value for name, score in of.items()} for state, of in scores.items()},
        "change": added(scores["after"], scores["before"]),
        "bins": {state: in_bins(binned_reliability(of, labels)) for state, of in states.items()},
    }


def in_bins(of: BinnedReliability) -> dict[str, list[float]]:
    """A reliability diagram as sums over its bins, which add up over networks."""
    sums = {"confidence": of.forecast * of.counts, "right": of.frequency * of.counts}
    return {"counts": of.counts.tolist(), **{name: values.nan_to_num().tolist() for name, values in sums.items()}}


def foreign(net: nn.Module, own: Tensor, other: Tensor, seed: int) -> dict[str, Any]:
    """How well three uncertainties tell own images from foreign ones, and how the entropies lie."""
    predicted = {reading: (read(own), read(other)) for reading, read in readings(net, seed, FOREIGN).items()}
    scaled = auroc_ood(*predicted["weight scaling"])
    averaged = {
        "entropy": auroc_ood(*predicted["average"]),
        "mutual information": auroc_ood(*predicted["average"], uncertainty="mutual_information"),
    }
    return {
        "weight scaling": scaled.value,
        "average": {name: area.value for name, area in averaged.items()},
        "average less weight scaling": added(averaged, dict.fromkeys(averaged, scaled)),
        "entropies": {reading: [shares(of) for of in pair] for reading, pair in predicted.items()},
    }


def shares(prediction: CategoricalPrediction) -> list[float]:
    """Shares of the images in bins of their entropy."""
    entropy = prediction.predictive_entropy.float()
    return (torch.histogram(entropy, ENTROPIES).hist / len(entropy)).tolist()


EXPERIMENT = Experiment("images", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
