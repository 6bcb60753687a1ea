"""What networks say about rows that they were not trained on, found inside the training part: cross-validation.

The training part of a split is cut into K folds. For each fold a network is trained on the others, as that of all rows
is, and predicts the fold. What is fitted to these predictions has seen no test row, and is then applied to the network
of all training rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import mcdrop
from examples.experiments.uci_runs import Setting, Trained, seeds_of, train_on
from mcdrop.calibration import Precision
from mcdrop.data import uci
from mcdrop.posterior import Design
from mcdrop.prediction import RegressionPrediction, concatenate

FOLDS = 5
FACTORS = tuple(2.0**power for power in range(-5, 7))
"""Times the most likely precision: the precisions that noise is mixed of."""
ITERATIONS = 500
"""Of expectation-maximisation, whose likelihood has one maximum."""


def folds_of(split: uci.Split, number: int) -> list[uci.Split]:
    """The training part K times: each time one fold is the test part, and the others are the training part.

    Rows are dealt out at random, by the number of the split. The training parts are equally long: a row is left out
    where the fold is one of the shorter ones.
    """
    rows = len(split.train_x)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(number))
    kept = rows - -(-rows // FOLDS)
    parts = []
    for fold in order.tensor_split(FOLDS):
        others = order[~torch.isin(order, fold)][:kept]
        x, y = split.train_x, split.train_y
        parts.append(replace(split, train_x=x[others], train_y=y[others], test_x=x[fold], test_y=y[fold]))
    return parts


def train_folds(
    name: str, seed: int, setting: Setting, *, splits: Sequence[int], epochs: int, batch_size: int
) -> list[list[Trained]]:
    """For each split the networks of its K folds, trained like `uci_runs.train`, in about as many steps.

    They have (K - 1) / K of the rows, and see each K / (K - 1) times as often.
    """
    parts = [part for split in splits for part in folds_of(uci.load(name, split=split), split)]
    seeds = [of_split * FOLDS + fold for of_split in seeds_of(seed, splits) for fold in range(FOLDS)]
    longer = round(epochs * FOLDS / (FOLDS - 1))
    nets = train_on(parts, seeds, setting, epochs=longer, batch_size=batch_size)
    return [nets[start : start + FOLDS] for start in range(0, len(nets), FOLDS)]


def predicted(
    net: Trained, tau: float, num_samples: int, design: Design, seed: int
) -> tuple[RegressionPrediction, Tensor]:
    """What a network says of the test rows of its split, in the units of the targets, and the targets."""
    mc = mcdrop.MCDropout(
        net.net,
        likelihood=mcdrop.Gaussian(tau),
        num_samples=num_samples,
        seed=seed,
        design=design,
        output=net.of_y.restore,
    )
    return mc(net.rows(net.split.test_x)), net.split.test_y


def held_out(
    folds: Sequence[Trained], tau: float, num_samples: int, design: Design, seed: int
) -> tuple[RegressionPrediction, Tensor]:
    """What is said of the whole training part, each fold by the network that has not seen it; and the targets."""
    parts = [predicted(net, tau, num_samples, design, seed) for net in folds]
    whole = concatenate([prediction for prediction, _ in parts])
    return whole, torch.cat([targets for _, targets in parts])


@dataclass(frozen=True, eq=False)
class SeveralPrecisions:
    """Noise that is a mixture of normals: `p(y) = sum_k w_k 1/T sum_t Normal(y; m_t, 1/tau_k)`.

    Its tails are as heavy as those of held-out rows, where one normal must be wide enough for the worst of them.

    Args:
        readings: The draws read through each tau_k.
        weights: w (K,), of sum 1.

    Source: Andrews & Mallows 1974, "Scale mixtures of normal distributions", J. R. Statist. Soc. B 36:99-102; the
    weights of greatest likelihood: Laird 1978, "Nonparametric maximum likelihood estimation of a mixing distribution",
    J. Am. Statist. Ass. 73:805-811.
    """

    readings: tuple[Precision, ...]
    weights: Tensor

    @classmethod
    def fit(cls, prediction: RegressionPrediction, targets: Tensor) -> "SeveralPrecisions":
        """The weights under which held-out targets are most likely."""
        one = Precision.fit(prediction, targets)
        readings = tuple(replace(one, precisions=(factor * one.precisions[0],)) for factor in FACTORS)
        return cls(readings, most_likely(_densities(readings, prediction, targets)))

    def log_prob(self, prediction: RegressionPrediction, targets: Tensor) -> Tensor:
        """log p(y) of each row in nats, (N,)."""
        return (_densities(self.readings, prediction, targets) + self.weights.log()).logsumexp(dim=1)


def most_likely(log_densities: Tensor) -> Tensor:
    """The weights (K,) that maximise `sum_i log sum_k w_k exp(log_densities[i, k])`, by expectation-maximisation."""
    weights = torch.full_like(log_densities[0], 1 / log_densities.shape[1])
    for _ in range(ITERATIONS):
        weights = torch.softmax(log_densities + weights.log(), dim=1).mean(dim=0)
    return weights


def _densities(readings: Sequence[Precision], prediction: RegressionPrediction, targets: Tensor) -> Tensor:
    """log 1/T sum_t Normal(y; m_t, 1/tau_k), (N, K)."""
    return torch.cat([reading(prediction).log_prob(targets) for reading in readings], dim=1)
