"""Rows of a UCI set as networks take them, and what they predict scored in the units of the targets."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal

from mcdrop.calibration import negative_log_likelihood, rmse
from mcdrop.data import scaling, uci
from mcdrop.prediction import RegressionPrediction

HELD_OUT = 0.2
"""The share of the training rows, the last in file order, that a choice is made on (Gal & Ghahramani 2016, code)."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to train on and rows to be asked, both standardised by the former.

    Args:
        train: Inputs and targets.
        test: Inputs and targets.
        unit: The standard deviation of the targets that were trained on, which takes scores back to their unit.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    unit: float

    def scores(self, prediction: RegressionPrediction) -> list[float]:
        """RMSE, and the negative log-likelihood of the mixture of the draws, per row."""
        _, y = self.test
        return [rmse(prediction, y).value * self.unit, self.in_unit(negative_log_likelihood(prediction, y).value)]

    def matched_nll(self, prediction: RegressionPrediction) -> float:
        """The negative log-likelihood per row of the one normal with the mean and the variance of the mixture."""
        draws = prediction.num_samples
        variance = prediction.aleatoric + prediction.epistemic * (draws - 1) / draws  # of these draws: divisor T
        _, y = self.test
        return self.in_unit(-Normal(prediction.mean, variance.sqrt()).log_prob(y).mean().item())

    def in_unit(self, nll: float) -> float:
        """A negative log-likelihood of standardised targets, for targets in their unit."""
        return nll + torch.tensor(self.unit, dtype=torch.float64).log().item()


def whole(split: uci.Split) -> Rows:
    """All training rows of a split, asked at its test rows."""
    return _standardised((split.train_x, split.train_y), (split.test_x, split.test_y))


def held_out(split: uci.Split) -> Rows:
    """The first training rows of a split, asked at the last: for choices that see no test row."""
    kept = len(split.train_x) - int(HELD_OUT * len(split.train_x))
    return _standardised((split.train_x[:kept], split.train_y[:kept]), (split.train_x[kept:], split.train_y[kept:]))


def first(split: uci.Split, count: int) -> Rows:
    """So many of the training rows of a split, asked at its test rows."""
    return _standardised((split.train_x[:count], split.train_y[:count]), (split.test_x, split.test_y))


def _standardised(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Rows:
    scalings = [scaling.measure(part) for part in train]
    train_x, train_y = (of.standardise(part).float() for of, part in zip(scalings, train, strict=True))
    test_x, test_y = (of.standardise(part).float() for of, part in zip(scalings, test, strict=True))
    return Rows((train_x, train_y), (test_x, test_y), scalings[1].std.item())
