"""Decisions of the host program: random ones, and ones that depend on values."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.conformance.case import Case, Net, normal

HOST = "loop: the host program decides which modules run"
LOOP = "loop: not vectorised (RuntimeError"


class Layers(nn.Module):
    """Layers of which some are left out."""

    def __init__(self, leaves_out) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.leaves_out = leaves_out

    def forward(self, x):
        for layer in self.layers:
            if self.training and self.leaves_out(0.4):
                continue
            x = x + layer(x).tanh()
        return x


class AlwaysDrawing(nn.Module):
    """LayerDrop as transformers writes it: the number is drawn in every mode, and looked at in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = self.drop(x)
        for layer in self.layers:
            probability = torch.rand([])
            skips = bool(self.training and probability < 0.3)
            if not skips:
                x = x + layer(x).tanh()
        return x


def branching(m, x):
    """What comes next depends on the first row's dropped activations."""
    x = m.drop(m.first(x))
    return m.last(x) if x.sum() > 0 else -x[:, :2]


def halting(m, x):
    """Adaptive computation: as many steps as the activations want."""
    for _ in range(4):
        x = F.dropout(m.first(x).tanh(), 0.4, m.training)
        if x.abs().max() < 1.5:
            break
    return x


def some_rows(m, x):
    """The block runs for the rows that are kept."""
    if not m.training:
        return x + m.branch(x)
    keep = torch.rand(len(x)) < 0.6
    out = x.clone()
    out[keep] = out[keep] + m.branch(x[keep]) / 0.6
    return out


def subset(m, x):
    """DINOv2: a random subset of the batch."""
    if not m.training:
        return m.drop(x) + m.branch(x)
    rows = torch.randperm(len(x))[:2]
    return m.drop(x).index_add(0, rows, m.branch(x[rows]), alpha=1.5)


def depth(m, x):
    """As many layers as a number drawn says."""
    count = int(torch.randint(1, 4, ())) if m.training else 3
    for layer in m.layers[:count]:
        x = layer(x)
    return x


def one_of(m, x):
    """One branch of two, by a coin."""
    if m.training and torch.bernoulli(torch.tensor(0.5)).item():
        return m.first(x)
    return m.first(x) + m.second(x)


CASES = [
    Case(
        "LayerDrop by torch.rand",
        lambda: Layers(lambda p: torch.rand(()) < p),
        (normal(3, 4),),
        own_masks=False,
        execution=LOOP,
    ),
    Case(
        "LayerDrop by random.random",
        lambda: Layers(lambda p: random.random() < p),
        (normal(3, 4),),
        own_masks=False,
        execution=HOST,
    ),
    Case(
        "LayerDrop by random.uniform",
        lambda: Layers(lambda p: random.uniform(0, 1) < p),
        (normal(3, 4),),
        own_masks=False,
        execution=HOST,
    ),
    Case(
        "LayerDrop by numpy",
        lambda: Layers(lambda p: np.random.rand() < p),  # noqa: NPY002
        (normal(3, 4),),
        own_masks=False,
        execution=HOST,
    ),
    Case("LayerDrop as transformers", AlwaysDrawing, (normal(3, 4),), own_masks=False, execution="loop"),
    Case(
        "a branch left out by a coin",
        lambda: Net(one_of, first=nn.Linear(4, 3), second=nn.Linear(4, 3)),
        (normal(3, 4),),
        own_masks=False,
        execution=LOOP,
    ),
    Case(
        "a branch that depends on values",
        lambda: Net(branching, first=nn.Linear(4, 4), drop=nn.Dropout(0.5), last=nn.Linear(4, 2)),
        (normal(3, 4),),
        batch_dim=None,
        own_masks=False,
        execution=LOOP,
    ),
    Case(
        "steps that depend on values",
        lambda: Net(halting, first=nn.Linear(4, 4)),
        (normal(3, 4),),
        batch_dim=None,
        own_masks=False,
        execution=LOOP,
    ),
    Case(
        "rows left out of a block",
        lambda: Net(some_rows, branch=nn.Linear(4, 4)),
        (normal(3, 4),),
        refused="factor, replacement of values",
    ),
    Case(
        "a random subset of the rows",
        lambda: Net(subset, branch=nn.Linear(4, 4), drop=nn.Dropout(0.2)),
        (normal(3, 4),),
        refused="randperm in Net .*control_flow.py",
    ),
    Case(
        "a random number of layers",
        lambda: Net(depth, layers=nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.2)) for _ in range(3))),
        (normal(3, 4),),
        refused="randint in Net .*control_flow.py",
    ),
]
