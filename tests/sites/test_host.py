"""Numbers of Python's and NumPy's generators: layers left out, augmentation, and what cannot be told."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from mcdrop.errors import UncontrolledSiteError
from mcdrop.sites import discover
from mcdrop.sites.host import fullest_seed
from mcdrop.sites.observe import observe, trial
from tests.conformance.case import Net

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def overwritten(x, value):
    """Values that NumPy picks."""
    x = x.clone()
    x[torch.tensor(np.random.rand(*x.shape) < 0.4)] = value  # noqa: NPY002
    return x


def in_training(function) -> nn.Module:
    """Dropout, on what `function` does to the input in training mode."""
    return Net(lambda m, x: m.drop(function(x) if m.training else x), drop=nn.Dropout()).eval()


@pytest.mark.parametrize(
    ("function", "off"),
    [
        (lambda x: overwritten(x, torch.tensor(2.0)), ["numpy.random wakes up (replacement of values)"]),
        (lambda x: overwritten(x, 0.0), ["numpy.random wakes up (replacement of values)"]),
        (
            lambda x: x + 0.1 * torch.tensor([random.gauss(), random.gauss(), random.gauss()]),
            ["random wakes up (additive noise)"],
        ),
        (
            lambda x: overwritten(x, 1.0) + torch.tensor(random.gauss()),
            [f"{name} wakes up (additive noise, replacement of values)" for name in ("numpy.random", "random")],
        ),
    ],
)
def test_augmentation_stays_off(function, off) -> None:
    """Where the numbers do nothing but fill tensors, which are added or pick what is overwritten: SpecAugment."""
    found = discover(in_training(function), (X,), {})
    assert [site.name for site in found.sites] == ["drop:dropout"]
    assert not found.uncontrolled
    assert [line.partition(": in training mode ")[2] for line in found.off] == off


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * torch.tensor(np.random.rand(4, 3) > 0.5),  # noqa: NPY002
        lambda x: x * (random.random() + 0.5),
        lambda x: overwritten(x, 0.0) * (random.random() + 0.5),
        lambda x: x[np.random.permutation(4)],  # noqa: NPY002
        lambda x: x.index_fill(0, torch.tensor([random.randrange(4)]), 0.0),
        lambda x: overwritten(x, 0.0).flip(random.randrange(2)),
    ],
)
def test_a_factor_and_what_cannot_be_followed_is_refused_by_name(function) -> None:
    with pytest.raises(
        UncontrolledSiteError, match=r"Python's (numpy\.)?random in Net .* test_host.py:\d+ .* `training`"
    ):
        discover(in_training(function), (X,), {}).require_active(nn.Identity())


def test_augmentation_and_dropout_by_one_reader_are_refused() -> None:
    net = in_training(lambda x: nn.functional.dropout(overwritten(x, 0.0)))
    with pytest.raises(UncontrolledSiteError, match=r"\(model\):dropout: .*, and numpy.random wakes up \(replacement"):
        discover(net, (X,), {}).require_active(net)


def test_each_reader_is_judged_by_itself() -> None:
    """Layers left out in two places, and values overwritten in a third, all by one generator."""

    def early(m, x):
        return x if m.training and np.random.rand() < 0.5 else m.first(x)  # noqa: NPY002

    def forward(m, x):
        x = early(m, x)
        x = overwritten(x, 1.0) if m.training else x
        return x if m.training and np.random.rand() < 0.5 else m.last(x)  # noqa: NPY002

    net = Net(forward, first=nn.Linear(3, 3), last=nn.Linear(3, 3)).eval()
    found = discover(net, (X,), {})
    assert [site.name for site in found.sites] == ["(model):numpy.random", "(model):numpy.random#2"]
    assert not found.uncontrolled
    (line,) = found.off
    assert line.endswith("numpy.random wakes up (replacement of values)")


def test_the_fullest_seed_leaves_out_the_fewest_layers() -> None:
    def forward(m, x):
        for layer in m.layers:
            if not (m.training and random.random() < 0.5):
                x = layer(x)
        return x

    net = Net(forward, layers=nn.ModuleList(nn.Linear(3, 3) for _ in range(4))).eval()
    inputs = (net, (X,), {})
    (reader,) = observe(*inputs).readers
    ran = trial(*inputs, [reader], host_seed=fullest_seed(inputs, [reader])).ran
    assert ran == trial(*inputs).ran
    assert len({trial(*inputs, [reader], host_seed=seed).ran for seed in range(8)}) > 1
