"""The predictive distribution of a recalibrated prediction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.mixtures import drawn_mixture
from mcdrop.calibration.predictive import Predictive
from mcdrop.errors import InputError
from mcdrop.prediction import Poisson, RecalibratedPrediction, RegressionPrediction
from mcdrop.prediction.laws import Stretch
from mcdrop.prediction.recalibrated import Numbers
from mcdrop.prediction.targets import counts as whole_numbers
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike

_TAIL = 1e-6
_CELLS = 128
"""Probability left out at either end, and cells on either side of y, of an integral over F."""


@final
@dataclass(frozen=True, eq=False)
class RecalibratedMixture(Predictive):
    """A mixture whose law was changed after the draws were mixed: by what the prediction itself says.

    Args:
        predictions: With all draws, then without each group of them.
    """

    predictions: tuple[RecalibratedPrediction, ...]

    def targets(self, targets: ArrayLike, shape: torch.Size) -> Float[Tensor, " M"]:
        check = whole_numbers if isinstance(self.predictions[0].likelihood, Poisson) else numbers
        return check(targets, shape, self.predictions[0].moments["mean"].mean).reshape(-1)

    def ranks(self, y: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R M"], Float[Tensor, "R M"]]:
        reached = self._each(lambda prediction, at: prediction.cdf(at), y)
        if not isinstance(self.predictions[0].likelihood, Poisson):
            return reached, reached
        return self._each(lambda prediction, at: prediction.cdf(at - 1), y), reached

    def quantiles(self, q: float) -> Float[Tensor, "R M"]:
        return self._each(lambda prediction, _: prediction.quantile(q))

    def mean(self) -> Float[Tensor, "R M"]:
        return self._each(lambda prediction, _: prediction.mean)

    def variance(self) -> Float[Tensor, "R M"]:
        # not `prediction.variance`, which estimates that of infinitely many draws
        return self._each(lambda prediction, _: _variance(prediction))

    def crps(self, y: Float[Tensor, " M"], *, fair: bool) -> Float[Tensor, "R M"]:
        if fair:
            raise InputError(
                "fair=True asked of a recalibrated prediction, which is no average over draws any more: leave it out."
            )
        return self._each(_crps, y)

    def _each(self, quantity: Callable[..., Tensor], y: Tensor | None = None) -> Tensor:
        at = None if y is None else y.reshape(self.predictions[0].moments["mean"].mean.shape)
        return torch.stack([quantity(prediction, at).reshape(-1) for prediction in self.predictions])


def _variance(prediction: Numbers) -> Tensor:
    """In the shape of the mean; a stretch scales it, and only after another law is it an integral."""
    if isinstance(prediction, RegressionPrediction):
        return _drawn(prediction).variance()[0].reshape(prediction.mean.shape)
    law = prediction.laws[-1]
    if isinstance(law, Stretch):
        return law.scale(prediction.mean).square() * _variance(prediction.before)
    return _integral(prediction, prediction.mean, lambda share, distance: 2 * share * distance)


def _crps(prediction: Numbers, y: Tensor) -> Tensor:
    """In the shape of the mean, as `_variance`."""
    if isinstance(prediction, RegressionPrediction):
        return _drawn(prediction).crps(y.reshape(-1), fair=False)[0].reshape(y.shape)
    law = prediction.laws[-1]
    if isinstance(law, Stretch):
        return law.scale(y) * _crps(prediction.before, law.unstretched(prediction.before, y))
    return _integral(prediction, y, lambda share, _: share.square())


def _drawn(prediction: RegressionPrediction) -> Predictive:
    return drawn_mixture(prediction.likelihood, prediction.samples, (prediction.num_samples,))


def _integral(prediction: RecalibratedPrediction, y: Tensor, integrand: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Of `g(F(x), y - x)` below y and `g(1 - F(x), x - y)` above, by the midpoint rule; tails of 1e-6 are left out."""
    lower, upper = torch.minimum(prediction.quantile(_TAIL), y), torch.maximum(prediction.quantile(1 - _TAIL), y)
    total = torch.zeros_like(y)
    for index in range(_CELLS):
        at = (index + 0.5) / _CELLS
        for end in (lower, upper):
            x = torch.lerp(y, end, at)
            share = prediction.cdf(x)
            total += integrand(share if end is lower else 1 - share, (x - y).abs()) * (end - y).abs()
    return total / _CELLS
