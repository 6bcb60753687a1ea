from collections.abc import Callable

import pytest
import torch
from torch import nn

from mcdrop.training.attributes import attributes


def model() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net[0].seen, net[0].table, net[0].last, net[0].names = [1, (2, "a")], {"a": [0]}, torch.zeros(2), {"x"}
    net[0].other = object()
    return net


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "a number": lambda net: setattr(net[1], "momentum", 0.2),
    "a new attribute": lambda net: setattr(net, "count", 1),
    "an item in a list": lambda net: net[0].seen.append(2),
    "an item in a nested dict": lambda net: net[0].table["a"].append(2),
    "an item in a set": lambda net: net[0].names.add("y"),
    "another tensor of equal values": lambda net: setattr(net[0], "last", torch.zeros(2)),
    "a tensor in place": lambda net: net[0].last.add_(0),
    "another object": lambda net: setattr(net[0], "other", object()),
    "the mode": lambda net: net[1].eval(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change: str) -> None:
    net = model()
    before = attributes(net)
    assert before == attributes(net)
    CHANGES[change](net)
    assert before != attributes(net)


def test_weights_buffers_and_equal_values_are_no_change() -> None:
    net = model()
    before = attributes(net)
    net(torch.randn(4, 2))
    with torch.no_grad():
        net[0].weight.add_(1)
    net[1].momentum = 0.2 / 2
    net[0].seen = [1, (2, "a")]
    assert before == attributes(net)
