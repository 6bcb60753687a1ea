"""A project folder as users of the command line have it: modules with models, and files of numbers."""

import sys

import numpy as np
import pytest
import torch

NETWORK = '''\
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))


def mean():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 1))


def pair():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))


class Two(nn.Module):
    """Takes two inputs, prints, and returns its logits among other things."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 8), nn.Linear(4, 8)
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(8, 3)

    def forward(self, a, b):
        print("forward")
        hidden = self.first(a) + self.second(b)
        return {"hidden": hidden, "logits": self.last(self.drop(hidden))}


ready = nn.Linear(4, 3)
number = 3


def fails():
    raise KeyError("oh\\nno")


def leaves():
    raise SystemExit("usage: train.py DATA")
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder, with network.py, data.npz (x, y, price), data.csv (a, b, c, d, price), weights.pt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "network.py").write_text(NETWORK)
    generator = np.random.default_rng(0)
    x, y, price = generator.normal(size=(40, 4)), generator.integers(0, 3, 40), generator.normal(size=40)
    np.savez(tmp_path / "data.npz", x=x, y=y, price=price)
    np.savetxt(tmp_path / "data.csv", np.c_[x, price], delimiter=",", header="a,b,c,d,price", comments="")
    state = {"0.weight": torch.ones(32, 4), "0.bias": torch.zeros(32), "3.weight": torch.ones(3, 32)}
    torch.save({**state, "3.bias": torch.arange(3.0)}, tmp_path / "weights.pt")
    global_random_state = torch.get_rng_state()
    yield tmp_path
    torch.set_rng_state(global_random_state)  # which the factories above seed
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]
