"""The source documents' network on Fashion-MNIST, with seeds 0, 1 and 2 fixed beforehand."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.data import images
from mcdrop.scratch.layer import HandDropout
from mcdrop.training import Comparison, compare, fit

SEEDS = (0, 1, 2)
pytestmark = pytest.mark.slow


def network(layer, seed: int) -> nn.Module:
    """784-256-256-10, dropout .2 and .5, weights N(0, .01^2)."""
    first, second = nn.Linear(784, 256), nn.Linear(256, 256)
    net = nn.Sequential(
        nn.Flatten(), first, nn.ReLU(), layer(0.2), second, nn.ReLU(), layer(0.5), last := nn.Linear(256, 10)
    )
    generator = torch.Generator().manual_seed(seed)
    for linear in (first, second, last):
        nn.init.normal_(linear.weight, std=0.01, generator=generator)
        nn.init.zeros_(linear.bias)
    return net


@pytest.fixture(scope="module")
def found(data_dir) -> dict[str, list[Comparison]]:
    """Ten epochs of SGD at .5 in batches of 256, by the layer written out by hand and by nn.Dropout."""
    train, test = (images.load("fashion-mnist", part=part) for part in ("train", "test"))
    comparisons = {}
    for name, layer in (("by hand", HandDropout), ("built in", nn.Dropout)):
        comparisons[name] = []
        for seed in SEEDS:
            net = network(layer, seed)
            fit(net, (train.images, train.labels), mcdrop.Categorical(), optimizer=partial(torch.optim.SGD, lr=0.5),
                epochs=10, batch_size=256, seed=seed)  # fmt: skip
            comparisons[name].append(
                compare(net, (test.images, test.labels), likelihood=mcdrop.Categorical(), num_samples=50, sizes=[1])
            )
    return comparisons


def errors(comparisons: list[Comparison], who: str) -> np.ndarray:
    return np.array([comparison.test[who].error.value for comparison in comparisons])


def test_the_error_is_the_published_one(found) -> None:
    for comparisons in found.values():
        assert abs(errors(comparisons, "weight-scaled net").mean() - 0.137) < 0.007


def test_fifty_trees_are_as_good_as_weight_scaling(found) -> None:
    for comparisons in found.values():
        forest, net, tree = (errors(comparisons, who) for who in ("forest", "weight-scaled net", "one tree"))
        assert (abs(forest - net) < 0.003).all()
        assert (tree > forest + 0.004).all()  # k = 1 is clearly worse


def test_by_hand_and_built_in_are_the_same(found) -> None:
    """The difference of the means over seeds, within four of its standard errors (pooled, divisor 4)."""
    first, second = (errors(found[name], "weight-scaled net") for name in ("by hand", "built in"))
    pooled = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    assert abs(first.mean() - second.mean()) < 4 * pooled * np.sqrt(2 / 3)
