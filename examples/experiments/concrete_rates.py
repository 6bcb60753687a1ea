"""Networks of the UCI sets whose dropout rates are learned: concrete dropout before each layer.

Gal, Hron & Kendall 2017, "Concrete dropout", https://arxiv.org/abs/1705.07832, sec. 3 and 4.2. Two hidden layers of 50
are the paper's; the rate at the start, the temperature and the length scale are of its code,
https://github.com/yaringal/ConcreteDropout; the number of steps and the batch size, which neither tells for these sets,
are ours. The precision tau is that of Gal & Ghahramani 2016: the log-likelihoods that the paper prints, with standard
errors of .01 and less, are those of a noise that is not learned. Learned, it can be measured beside it.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

import mcdrop
from examples.experiments import uci_rows, uci_runs
from examples.experiments.uci_rows import Rows
from examples.experiments.uci_runs import seeds_of
from mcdrop.data import uci
from mcdrop.noise import ConcreteDropout
from mcdrop.posterior import Prior
from mcdrop.prediction import RegressionLikelihood, RegressionPrediction
from mcdrop.training import Objective, members

STEPS = (1_000, 3_000, 10_000, 30_000)
"""Tried on held-out training rows, split by split."""

BATCH_SIZE, LEARNING_RATE = 32, 3e-3
"""Of .001, .003 and .01, the rate that was best for yacht's held-out training rows after 5000 steps."""

STARTING_RATE, PRIOR = 0.1, Prior(length_scale=1e-4)
NUM_SAMPLES, NUM_SAMPLES_OF_SPREADS = 1000, 100

PUBLISHED_RMSE = {
    "boston": (2.65, 0.17),
    "energy": (0.46, 0.02),
    "yacht": (0.57, 0.05),
    "wine": (0.62, 0.0),
    "kin8nm": (0.07, 0.0),
}
"""Mean and standard error over 20 splits that the paper prints."""


class Net(nn.Sequential):
    """d-50-50-outputs with ReLU; a learned rate for the input and for each hidden layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            ConcreteDropout(STARTING_RATE), nn.Linear(inputs, 50), nn.ReLU(),
            ConcreteDropout(STARTING_RATE), nn.Linear(50, 50), nn.ReLU(),
            ConcreteDropout(STARTING_RATE), nn.Linear(50, outputs),
        )  # fmt: skip

    @property
    def rates(self) -> list[float]:
        """What was learned, from the input on."""
        return [layer.p.item() for layer in self if isinstance(layer, ConcreteDropout)]


def fixed_noise(name: str, parts: Sequence[Rows]) -> mcdrop.Gaussian:
    """The published tau of the set, for standardised targets: tau sd(y)^2, the mean over the parts."""
    return mcdrop.Gaussian(uci_runs.PUBLISHED[name].tau * float(np.mean([part.unit**2 for part in parts])))


def train(
    parts: Sequence[Rows], likelihood: RegressionLikelihood[RegressionPrediction], *, seeds: Sequence[int], steps: int
) -> Sequence[Net]:
    """A network for each part and its seed, all at once; the parts have equally many rows, and epochs are whole."""
    rows, inputs = parts[0].train[0].shape
    outputs = 1 if isinstance(likelihood, mcdrop.Gaussian) else 2
    ensemble, _ = members(
        partial(Net, inputs, outputs),
        [part.train for part in parts],
        Objective(likelihood, PRIOR),
        seeds=seeds,
        optimizer=partial(torch.optim.Adam, lr=LEARNING_RATE),
        epochs=round(steps / math.ceil(rows / BATCH_SIZE)),
        batch_size=BATCH_SIZE,
    )
    return ensemble.members


def measure(
    name: str, *, splits: Sequence[int], seeds: Sequence[int], steps: Sequence[int] = STEPS, learned_noise: bool = False
) -> dict[str, object]:
    """The number of steps of each split by its held-out rows, then the scores at its test rows, and what was learned.

    Returns:
        `tried`: numbers of steps; `held_out`: NLL of the mixture by split and number of steps, of the first seed;
        `steps`: the best of each split; `scores`: RMSE, NLL of the matched normal and of the mixture by seed and split;
        `rates`: by seed, split and layer.
    """
    loaded = [uci.load(name, split=split) for split in splits]
    first = [uci_rows.held_out(split) for split in loaded]
    held_out = np.empty((len(splits), len(steps)))
    for column, count in enumerate(steps):
        networks, likelihood = _trained(name, first, _seeds(seeds[:1], splits), count, learned_noise)
        for place, (network, part) in enumerate(zip(networks, first, strict=True)):
            held_out[place, column] = part.scores(_asked(network, part, likelihood))[1]
    chosen = held_out.argmin(axis=1)
    scores, rates = np.empty((2, len(seeds), len(splits), 3))
    for choice in sorted(set(chosen)):
        places = np.flatnonzero(chosen == choice)
        parts = [uci_rows.whole(loaded[place]) for place in places] * len(seeds)
        own = _seeds(seeds, [splits[place] for place in places])
        networks, likelihood = _trained(name, parts, own, steps[choice], learned_noise)
        of_each = [(row, place) for row in range(len(seeds)) for place in places]
        for where, network, part in zip(of_each, networks, parts, strict=True):
            prediction = _asked(network, part, likelihood)
            error, nll = part.scores(prediction)
            scores[where], rates[where] = (error, part.matched_nll(prediction), nll), network.rates
    return {
        "tried": list(steps),
        "held_out": held_out.round(4).tolist(),
        "steps": [steps[choice] for choice in chosen],
        "scores": scores.round(5).tolist(),
        "rates": rates.round(5).tolist(),
    }


def _trained(
    name: str, parts: Sequence[Rows], seeds: Sequence[int], steps: int, learned_noise: bool
) -> tuple[Sequence[Net], RegressionLikelihood[RegressionPrediction]]:
    likelihood = mcdrop.HeteroscedasticGaussian() if learned_noise else fixed_noise(name, parts)
    return train(parts, likelihood, seeds=seeds, steps=steps), likelihood


def _asked(network: Net, part: Rows, likelihood: RegressionLikelihood[RegressionPrediction]) -> RegressionPrediction:
    return mcdrop.predict(network, part.test[0], likelihood=likelihood, num_samples=NUM_SAMPLES, seed=0)


def by_rows(
    name: str, counts: Sequence[int], *, splits: Sequence[int], seeds: Sequence[int], steps: int
) -> dict[str, list[list[float]]]:
    """What is learned of so many training rows, in equally many steps, tau fixed.

    Returns:
        By count, for each network: rates by layer; epistemic standard deviation, the root of its mean square over the
        test rows; RMSE. Both are in the unit of the targets.
    """
    loaded = [uci.load(name, split=split) for split in splits]
    found = {}
    for count in counts:
        parts = [uci_rows.first(split, count) for split in loaded] * len(seeds)
        likelihood = fixed_noise(name, parts)
        networks = train(parts, likelihood, seeds=_seeds(seeds, splits), steps=steps)
        found[str(count)] = [
            np.round([*network.rates, *_doubt_and_error(network, likelihood, part)], 5).tolist()
            for network, part in zip(networks, parts, strict=True)
        ]
    return found


def _doubt_and_error(network: Net, likelihood: mcdrop.Gaussian, part: Rows) -> tuple[float, float]:
    prediction = mcdrop.predict(
        network, part.test[0], likelihood=likelihood, num_samples=NUM_SAMPLES_OF_SPREADS, seed=0
    )
    return part.unit * prediction.epistemic.mean().sqrt().item(), part.scores(prediction)[0]


def _seeds(seeds: Sequence[int], splits: Sequence[int]) -> list[int]:
    return [own for seed in seeds for own in seeds_of(seed, splits)]
