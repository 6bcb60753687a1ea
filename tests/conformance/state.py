"""Models as they are found: in some mode, partly frozen, holding what cannot be copied."""

import sys
import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.conformance.case import Case, Net, normal
from tests.conformance.containers import ByFlag

X = (normal(3, 4),)


def half_frozen(model: nn.Module) -> None:
    """As for fine-tuning: the body in evaluation mode and without gradients, the head in training mode."""
    model.train()
    model[0].eval().requires_grad_(False)


def training(model: nn.Module) -> None:
    model.train()


def frozen(model: nn.Module) -> None:
    model.requires_grad_(False)
    model[0].drop.train()
    model[0].norm.train()


class Held(nn.Module):
    """Holds what no copy can be made of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop = nn.Linear(4, 3), nn.Dropout(0.4)
        self.lock, self.log, self.steps = threading.Lock(), sys.__stderr__, (step for step in range(10**9))

    def forward(self, x):
        with self.lock:
            self.log.flush()
            next(self.steps)
            return F.dropout(self.drop(self.first(x)), 0.2, self.training)


class OwnGenerator(nn.Module):
    """Draws its masks from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.generator = nn.Linear(4, 3), torch.Generator().manual_seed(0)

    def forward(self, x):
        x = self.first(x)
        if self.training:
            x = x * torch.empty_like(x).bernoulli_(0.6, generator=self.generator) / 0.6
        return x


def own_permutation(m, x):
    if m.training:
        x = x * (torch.randint(0, 2, x.shape[:1], generator=m.held[0])[:, None] / 0.5)
    return m.drop(x)


def own_coin(m, x):
    return m.drop(x * float(m.rng.random() > 0.5) if m.training else x)


def with_attribute(function, **attributes) -> nn.Module:
    model = Net(function, drop=nn.Dropout(0.3))
    vars(model).update(attributes)
    return model


def twice(m, x):
    """The same block, dropout included, under two names, between others."""
    return m.again(m.last(m.block(m.first(x))).tanh())


def shared_block() -> nn.Module:
    block = nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.3), nn.Tanh())
    return Net(twice, first=nn.Linear(4, 5), block=block, again=block, last=nn.Linear(5, 5))


CASES = [
    Case("handed over in training mode", ByFlag, X, prepare=training),
    Case(
        "half in training mode, half frozen", lambda: nn.Sequential(ByFlag(), nn.Dropout(0.3)), X, prepare=half_frozen
    ),
    Case("frozen, with dropout and a norm in training mode", lambda: nn.Sequential(ByFlag()), X, prepare=frozen),
    Case("a lock, an open file and an iterator held", Held, X),
    Case("masks from a generator of its own", OwnGenerator, X),
    Case("one block under two names", shared_block, X),
    Case(
        "a generator of its own that fills no mask",
        lambda: with_attribute(own_permutation, held=[torch.Generator()]),
        X,
        refused="a torch.Generator of its own in Net",
    ),
    Case(
        "coins from a generator of its own",
        lambda: nn.Sequential(nn.Linear(4, 4), with_attribute(own_coin, rng=np.random.default_rng(0))),
        X,
        refused=r"a numpy.random.Generator of its own in Net \(1\)",
    ),
]
