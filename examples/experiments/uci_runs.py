"""Networks of the UCI experiments: the splits of a set trained at once, as Gal & Ghahramani 2016 trained theirs.

The code that made their table minimises a loss of its own, named `protocol="gal2016"`; Keras's first weights are
Glorot's with biases 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.data import scaling, uci
from mcdrop.posterior import Prior
from mcdrop.training import Objective, members


@dataclass(frozen=True)
class Setting:
    """Dropout rate, precision tau in 1 / unit^2 of the targets, and length scale of the prior."""

    p: float
    tau: float
    length_scale: float = 1e-2


PUBLISHED = {  # behind table 1, by set
    "boston": Setting(0.05, 0.1597),
    "energy": Setting(0.05, 0.4271),
    "wine": Setting(0.05, 2.958),
    "yacht": Setting(0.01, 0.5419, 1e-1),
    "kin8nm": Setting(0.05, 192.48),
}


class Net(nn.Sequential):
    """d-50-1 with ReLU, dropout on the inputs and on the hidden layer."""

    def __init__(self, inputs: int, p: float, outputs: int = 1) -> None:
        super().__init__(nn.Dropout(p), nn.Linear(inputs, 50), nn.ReLU(), nn.Dropout(p), nn.Linear(50, outputs))
        for layer in (self[1], self[4]):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, its split, and what standardised the split's rows; it takes and returns standardised rows."""

    net: nn.Module
    split: uci.Split
    of_x: scaling.Scaling
    of_y: scaling.Scaling

    def forest(self, tau: float, num_samples: int = 1000, seed: int = 0) -> mcdrop.MCDropout:
        """MC dropout in the units of the targets, for rows that `rows` gives."""
        likelihood = mcdrop.Gaussian(tau)
        return mcdrop.MCDropout(
            self.net, likelihood=likelihood, num_samples=num_samples, seed=seed, output=self.of_y.restore
        )

    def rows(self, inputs: Tensor) -> Tensor:
        """Inputs of the set as the network takes them."""
        return self.of_x.standardise(inputs).float()


def train(
    name: str,
    seed: int,
    setting: Setting,
    *,
    splits: Sequence[int] = range(uci.NUM_SPLITS),
    epochs: int = 400,
    batch_size: int = 32,
    build: Callable[[int, float], nn.Module] = Net,
) -> list[Trained]:
    """A network for each split, trained on all its training rows."""
    parts = [uci.load(name, split=split) for split in splits]
    return train_on(parts, seeds_of(seed, splits), setting, epochs=epochs, batch_size=batch_size, build=build)


def seeds_of(seed: int, splits: Sequence[int]) -> list[int]:
    """The seeds of the networks of a run, each another."""
    return [uci.NUM_SPLITS * seed + split for split in splits]


def train_on(
    parts: Sequence[uci.Split],
    seeds: Sequence[int],
    setting: Setting,
    *,
    epochs: int = 400,
    batch_size: int = 32,
    build: Callable[[int, float], nn.Module] = Net,
) -> list[Trained]:
    """A network for each of the parts, which have equally many training rows, trained on these with Adam at 1e-3."""
    scalings = [(scaling.measure(part.train_x), scaling.measure(part.train_y)) for part in parts]
    ensemble, _ = members(
        partial(build, parts[0].train_x.shape[1], setting.p),
        [
            (of_x.standardise(part.train_x).float(), of_y.standardise(part.train_y).float())
            for part, (of_x, of_y) in zip(parts, scalings, strict=True)
        ],
        Objective(mcdrop.Gaussian(setting.tau), Prior(setting.length_scale), protocol="gal2016"),
        seeds=seeds,
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=epochs,
        batch_size=batch_size,
    )
    return [Trained(net, part, *units) for net, part, units in zip(ensemble.members, parts, scalings, strict=True)]
