"""Which images to label: those that sub-networks disagree about, against images picked at random.

Gal, Islam and Ghahramani 2017, "Deep Bayesian active learning with image data", section 5.1, arXiv:1703.02910, cut
down to minutes. A network learns MNIST from 20 labelled images. Then, again and again, the ten images of a pool that
score highest by an acquisition function are labelled too, and it is trained anew. With T sub-networks and their p_t:

    BALD                I[y, z | x] = H[1/T sum_t p_t] - 1/T sum_t H[p_t]      what the sub-networks disagree about
    variation ratios    1 - max_y 1/T sum_t p_t(y)                             what the forest is least confident of
    max entropy         H[1/T sum_t p_t]                                       all the doubt there is
    random              a uniform number                                       what the others have to beat

With masks shared by the rows, all images of the pool are scored by the same T sub-networks. A score is of one image
alone, so its law is what it would be with masks of its own, and images are ranked by one jury instead of by many.
"""

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import mcdrop
from examples.experiments.active_learning_page import pictures, tables
from examples.experiments.experiment import SEEDS, Experiment
from mcdrop.data import images
from mcdrop.posterior import Prior
from mcdrop.prediction import CategoricalPrediction
from mcdrop.training import Objective, fit, initialise

# Of the paper, section 5.1: images of each class at the start, images labelled at once
INITIAL, STEP = 2, 10
# Of the authors' code, https://github.com/Riashat/Deep-Bayesian-Active-Learning at e4e970c: passes over the pool, and
# c of the penalty c / N |W|^2 for N labels, on the first dense layer alone
NUM_SAMPLES, DECAY = 100, 3.5
# Passes over the test images; how long a network is trained (epochs as theirs), seen on training images to be enough
TEST_SAMPLES, EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 50, 32, 1e-3

DENSE, P_DENSE = "7.weight", 0.25

ACQUISITION: Mapping[str, Callable[[CategoricalPrediction], Tensor]] = {
    "BALD": lambda prediction: prediction.mutual_information,
    "variation ratios": lambda prediction: 1 - prediction.confidence,
    "max entropy": lambda prediction: prediction.predictive_entropy,
}


@dataclass(frozen=True)
class Size:
    """How much is run: images in the pool and to test on, labels in the end, acquisition functions."""

    pool: int
    test: int
    labels: int
    functions: tuple[str, ...]


FULL = Size(pool=5000, test=10_000, labels=300, functions=(*ACQUISITION, "random"))
QUICK = Size(pool=1000, test=1000, labels=80, functions=("variation ratios", "random"))


def build() -> nn.Sequential:
    """The paper's network, but for a stride of 2 in the first convolution: a fifth of the arithmetic."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 4, stride=2), nn.ReLU(), nn.Conv2d(32, 32, 4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Dropout(P_DENSE), nn.Flatten(), nn.Linear(800, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )


def objective() -> Objective:
    """Cross-entropy and c / N |W|^2, as a prior: c = (1 - p) l^2 / 2 at length scale l."""
    prior = Prior(length_scale=(2 * DECAY / (1 - P_DENSE)) ** 0.5)
    return Objective(mcdrop.Categorical(), prior, rates={DENSE: P_DENSE})


def train(x: Tensor, y: Tensor, seed: int) -> nn.Module:
    """A network from its first weights on."""
    net = initialise(build, seed)
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE)
    fit(net, (x, y), objective(), optimizer=adam, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=seed)
    return net


def score(function: str, net: nn.Module, x: Tensor, seed: int) -> Tensor:
    """What an acquisition function says of each image (N,): the largest are worth most."""
    if function == "random":
        return torch.rand(len(x), generator=torch.Generator().manual_seed(seed))
    prediction = mcdrop.predict(net, x, likelihood=mcdrop.Categorical(), num_samples=NUM_SAMPLES, seed=seed)
    return ACQUISITION[function](prediction)


def start(labels: Tensor, num_pool: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows that are labelled at the start, equally many of each class, and rows of the pool: functions of the seed."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    of_class = [order[labels[order] == label] for label in range(10)]
    initial = torch.cat([rows[:INITIAL] for rows in of_class])
    return initial, order[~torch.isin(order, initial)][:num_pool]


def measure(function: str, seed: int, size: Size) -> dict[str, Any]:
    """The test error at each number of labels, and what was labelled on the way.

    Weights, masks and orders depend on the seed and the step alone, so all functions begin with the same network.
    """
    train_set, test_set = images.load("mnist", part="train"), images.load("mnist", part="test")
    x, y = train_set.images[:, None], train_set.labels
    test_x, test_y = test_set.images[: size.test, None], test_set.labels[: size.test]
    labelled, pool = start(y, size.pool, seed)
    counts, errors = list(range(len(labelled), size.labels + 1, STEP)), []
    for step, count in enumerate(counts):
        of_step = 1000 * seed + step
        net = train(x[labelled], y[labelled], of_step)
        forest = mcdrop.MCDropout(net, likelihood=mcdrop.Categorical(), num_samples=TEST_SAMPLES, seed=of_step)
        misread = (forest(test_x).labels != test_y).nonzero().flatten()
        errors.append(len(misread) / size.test)
        if count < counts[-1]:
            chosen = score(function, net, x[pool], of_step).topk(STEP).indices
            labelled = torch.cat([labelled, pool[chosen]])
            pool = pool[~torch.isin(pool, labelled)]
    first = x[labelled[counts[0] : counts[0] + STEP], 0]
    return {
        "labels": counts,
        "error": errors,
        "digits": "".join(map(str, y[labelled].tolist())),  # in the order of their labelling
        "first": base64.b64encode(zlib.compress((first * 255).round().byte().numpy().tobytes())).decode(),
        "test": size.test,
        "misread": " ".join(map(str, misread.tolist())),  # rows of the test set, by the last network
    }


def parts(quick: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """One for each acquisition function and seed."""
    size = QUICK if quick else FULL
    return {
        f"{function}, seed {seed}": partial(measure, function, seed, size)
        for seed in SEEDS
        for function in size.functions
    }


EXPERIMENT = Experiment("active_learning", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
