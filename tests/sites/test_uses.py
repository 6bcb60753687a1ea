"""What a model does with random numbers that it draws: told apart operation by operation."""

import numpy as np
import pytest
import torch
from torch import nn

from mcdrop.sites.observe import observe, trial
from mcdrop.sites.uses import COIN, FACTOR, NOISE, REPLACEMENT

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(3, 3))
        self.logit = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x):
        return self.function(self, x)


def concrete(m, x):
    """Gal, Hron & Kendall 2017, as their code writes it."""
    p, noise = m.logit.sigmoid(), torch.rand_like(x)
    drop = (p + 1e-7).log() - (1 - p + 1e-7).log() + (noise + 1e-7).log() - (1 - noise + 1e-7).log()
    return x * (1 - (drop / 0.1).sigmoid()) / (1 - p)


def filled(m, x):
    x = x.clone()
    x[torch.rand_like(x) < 0.1] = 0
    return x


def in_place(m, x):
    mask = torch.empty_like(x).bernoulli_(0.5)
    return x.clone().mul_(mask.div_(0.5))


CASES = {
    "compared": (lambda m, x: x * (torch.rand_like(x) < 0.9), {FACTOR}),
    "compared, converted and scaled": (lambda m, x: (torch.rand(4, 1) < 0.9).float().div(0.9) * x, {FACTOR}),
    "floored, as early DropPath": (lambda m, x: x / 0.9 * (0.9 + torch.rand(4, 1)).floor_(), {FACTOR}),
    "bernoulli of a tensor": (lambda m, x: x * torch.bernoulli(torch.full_like(x, 0.9)), {FACTOR}),
    "in place": (in_place, {FACTOR}),
    "on a weight": (lambda m, x: x @ (m.weight * (torch.rand(3, 3) < 0.5)), {FACTOR}),
    "concrete": (concrete, {FACTOR}),
    "Gaussian around one": (lambda m, x: x * (1 + 0.5 * torch.randn_like(x)), {FACTOR}),
    "Gaussian by normal": (lambda m, x: x * torch.normal(1.0, 0.5, x.shape), {FACTOR}),
    "Gaussian added to what it multiplies": (lambda m, x: x + x * torch.randn_like(x), {FACTOR}),
    "jitter around one": (lambda m, x: x * torch.empty_like(x).uniform_(0.98, 1.02), {FACTOR}),
    "masked_fill with zero": (lambda m, x: x.masked_fill(torch.rand_like(x) < 0.1, 0), {FACTOR}),
    "assigned zero": (filled, {FACTOR}),
    "where": (lambda m, x: torch.where(torch.rand_like(x) < 0.9, x, 0.0), {FACTOR}),
    "edges left out": (lambda m, x: x[torch.rand(4) < 0.9].sum(dim=0).expand(4, 3), {FACTOR}),
    "combined with another mask": (lambda m, x: x * ((torch.rand_like(x) < 0.9) & (x > 0)), {FACTOR}),
    "added": (lambda m, x: x + 0.1 * torch.randn_like(x), {NOISE}),
    "added, scaled by the data": (lambda m, x: x + x.abs() * torch.randn_like(x), {NOISE}),
    "uniform added": (lambda m, x: x - torch.rand_like(x), {NOISE}),
    "replaced": (lambda m, x: torch.where(torch.rand_like(x) < 0.9, x, x.flip(0)), {REPLACEMENT}),
    "filled with a value": (lambda m, x: x.masked_fill(torch.rand_like(x) < 0.1, 3.0), {REPLACEMENT}),
    "decided by the host": (lambda m, x: x if torch.rand(()) < 0.5 else 2 * x, {COIN}),
    "decided by the host, read out": (lambda m, x: x if torch.rand(1).item() < 0.5 else 2 * x, {COIN}),
    "multiplied as a matrix": (lambda m, x: x @ torch.rand(3, 3), {"an operand of matmul"}),
    "a mask that is added": (lambda m, x: x + (torch.rand_like(x) < 0.5), {"a mask that is added"}),
    "two uses": (lambda m, x: (lambda r: x * (r < 0.5) + r)(torch.rand_like(x)), {FACTOR, NOISE}),
    "never used": (lambda m, x: (torch.rand_like(x), x)[1], set()),
}


@pytest.mark.parametrize("name", CASES)
def test_uses_are_told_apart(name) -> None:
    function, expected = CASES[name]
    observation = observe(Model(function), (X,), {})
    assert observation.error is None
    (seen,) = observation.seen
    assert seen.uses == expected


def test_the_global_generator_is_not_drawn_from() -> None:
    model = Model(CASES["compared"][0])
    before = torch.get_rng_state()
    observe(model, (X,), {})
    assert torch.equal(torch.get_rng_state(), before)


def test_numbers_of_the_host_program_are_followed_where_they_differ_from_those_held() -> None:
    def forward(m, x):
        x = x * torch.tensor(2.0)  # a constant is no random number
        x[torch.tensor(np.random.rand(4, 3) < 0.5)] = 0  # noqa: NPY002
        return x + torch.tensor(np.random.rand(4, 1))  # noqa: NPY002

    model = Model(forward)
    first = trial(model, (X,), {})
    again = trial(model, (X,), {}, host_seed=1, held=first.host_tensors)
    assert first.host_uses == frozenset()
    assert again.host_uses == {REPLACEMENT, NOISE}
    assert torch.equal(again.output, first.output)
    assert len(again.host_tensors) == 3
    assert not torch.equal(again.host_tensors[1], first.host_tensors[1])
    assert not torch.equal(trial(model, (X,), {}, host_seed=1).output, first.output)
