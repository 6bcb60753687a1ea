"""Deep ensembles of the UCI sets: five networks that predict mean and variance, trained by likelihood.

Lakshminarayanan, Pritzel & Blundell 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles",
https://arxiv.org/abs/1612.01474, sec. 2.2.1, 2.4, 3.1 and 3.3; table 1 is "ML-5" of their table 2, without adversarial
training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mcdrop
from examples.experiments import uci_rows
from examples.experiments.uci_rows import Rows
from examples.experiments.uci_runs import seeds_of
from mcdrop.data import uci
from mcdrop.prediction import RegressionPrediction
from mcdrop.training import members

MEMBERS, EPOCHS, BATCH_SIZE = 5, 40, 100
LEARNING_RATES = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Tried on held-out training rows; the paper says .1, at which hardly any of these networks is trained."""

LIKELIHOOD = mcdrop.HeteroscedasticGaussian("variance")


@dataclass(frozen=True)
class Published:
    """Mean and standard deviation over 20 splits of what the paper prints."""

    rmse: tuple[float, float]
    nll: tuple[float, float]
    nll_of_one: tuple[float, float]


PUBLISHED = {  # tables 1 and 2 (ML-1)
    "boston": Published((3.28, 1.00), (2.41, 0.25), (2.55, 0.36)),
    "energy": Published((2.09, 0.29), (1.38, 0.22), (1.61, 0.40)),
    "yacht": Published((1.58, 0.48), (1.18, 0.21), (1.26, 0.29)),
    "wine": Published((0.64, 0.04), (0.94, 0.12), (1.95, 4.08)),
    "kin8nm": Published((0.09, 0.00), (-1.20, 0.02), (-1.11, 0.04)),
}


class Net(nn.Sequential):
    """d-50-2 with ReLU and PyTorch's first weights; returns mean and variance, which is at least 1e-6."""

    def __init__(self, inputs: int) -> None:
        super().__init__(nn.Linear(inputs, 50), nn.ReLU(), nn.Linear(50, 2))

    def forward(self, input: Tensor) -> Tensor:
        mean, scale = super().forward(input).chunk(2, dim=-1)
        return torch.cat([mean, F.softplus(scale) + 1e-6], dim=-1)


def train(parts: Sequence[Rows], *, seeds: Sequence[int], learning_rate: float) -> list[mcdrop.Ensemble]:
    """An ensemble for each part and its seed, all their networks at once."""
    networks, _ = members(
        partial(Net, parts[0].train[0].shape[1]),
        [part.train for part in parts for _ in range(MEMBERS)],
        LIKELIHOOD,
        seeds=[MEMBERS * seed + member for seed in seeds for member in range(MEMBERS)],
        optimizer=partial(torch.optim.Adam, lr=learning_rate),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
    )
    firsts = range(0, MEMBERS * len(parts), MEMBERS)
    return [mcdrop.Ensemble(networks.members[first : first + MEMBERS]) for first in firsts]


def asked(networks: Sequence[nn.Module], part: Rows) -> RegressionPrediction:
    """What an ensemble of these networks predicts of the rows that the part asks for."""
    return mcdrop.predict(mcdrop.Ensemble(networks), part.test[0], likelihood=LIKELIHOOD)


def measure(name: str, *, splits: Sequence[int], seeds: Sequence[int]) -> dict[str, object]:
    """The learning rate of each split by its held-out rows, then the scores of ensembles at its test rows.

    Returns:
        `held_out`: NLL of the matched normal by split and learning rate; `learning_rates`: the best of each split;
        `ensemble`: RMSE, NLL of the matched normal and of the mixture by seed and split; `alone`: the means over the
        five networks of what each scores alone: RMSE and NLL.
    """
    loaded = [uci.load(name, split=split) for split in splits]
    held_out = _held_out_nll([uci_rows.held_out(split) for split in loaded], seeds_of(seeds[0], splits))
    chosen = held_out.argmin(axis=1)
    ensemble, alone = np.empty((len(seeds), len(splits), 3)), np.empty((len(seeds), len(splits), 2))
    for choice in sorted(set(chosen)):
        places = np.flatnonzero(chosen == choice)
        parts = [uci_rows.whole(loaded[place]) for place in places]
        for row, seed in enumerate(seeds):
            own = seeds_of(seed, [splits[place] for place in places])
            trained = train(parts, seeds=own, learning_rate=LEARNING_RATES[choice])
            for place, part, one in zip(places, parts, trained, strict=True):
                prediction = asked(one.members, part)
                error, nll = part.scores(prediction)
                ensemble[row, place] = error, part.matched_nll(prediction), nll
                alone[row, place] = np.mean([part.scores(asked([net], part)) for net in one.members], axis=0)
    return {
        "held_out": held_out.round(4).tolist(),
        "learning_rates": [LEARNING_RATES[choice] for choice in chosen],
        "ensemble": ensemble.round(5).tolist(),
        "alone": alone.round(5).tolist(),
    }


def _held_out_nll(parts: Sequence[Rows], seeds: Sequence[int]) -> np.ndarray:
    """NLL of the matched normal, (parts, learning rates)."""
    found = []
    for learning_rate in LEARNING_RATES:
        trained = train(parts, seeds=seeds, learning_rate=learning_rate)
        found.append([part.matched_nll(asked(one.members, part)) for part, one in zip(parts, trained, strict=True)])
    return np.array(found).T
