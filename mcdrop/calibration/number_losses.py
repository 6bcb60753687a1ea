"""Losses of numbers, with all draws and without each group of them."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.jackknife import log_mean_exp_without, with_deleted
from mcdrop.calibration.number_rows import number_rows
from mcdrop.calibration.predictive import Predictive
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Prediction, RecalibratedPrediction, RegressionPrediction
from mcdrop.prediction.laws import Stretch
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.recalibrated import Numbers, without_groups
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike


def crps(predictive: Predictive, y: Float[Tensor, " M"], *, fair: bool = False) -> Float[Tensor, "R M"]:
    """The continuous ranked probability score of each element."""
    return predictive.crps(y, fair=fair)


def interval_score(predictive: Predictive, y: Float[Tensor, " M"], *, coverage: float = 0.95) -> Float[Tensor, "R M"]:
    """The interval score of each element's central interval."""
    lower, upper = _interval(predictive, coverage)
    fine = 2 / (1 - coverage)
    return upper - lower + fine * ((lower - y).clamp(min=0) + (y - upper).clamp(min=0))


def coverage(predictive: Predictive, y: Float[Tensor, " M"], *, coverage: float = 0.95) -> Float[Tensor, "R M"]:
    """1 where the central interval holds the target."""
    return predictive.inside(y, (coverage,))[0]


def width(predictive: Predictive, y: Tensor, *, coverage: float = 0.95) -> Float[Tensor, "R M"]:
    """The width of each element's central interval."""
    lower, upper = _interval(predictive, coverage)
    return upper - lower


def variance(predictive: Predictive, y: Tensor) -> Float[Tensor, "R M"]:
    """The predictive variance of each element."""
    return predictive.variance()


OF_PREDICTIVE: dict[str, Callable[[Predictive, Tensor], Tensor]] = {
    "crps": crps,
    "interval_score": partial(interval_score, coverage=0.95),
    "interval_coverage": partial(coverage, coverage=0.95),
    "interval_width": partial(width, coverage=0.95),
    "sharpness": variance,
}
"""Losses that read the predictive distribution; `sharpness` is the root of the mean of its own."""

NAMES = ("negative_log_likelihood", "rmse", *OF_PREDICTIVE)


def number_loss(name: str, predicted: Prediction | Tensor, targets: ArrayLike) -> Tensor:
    """The loss of each element, (R, N, *rest)."""
    if isinstance(predicted, Tensor):
        means = accumulated(predicted)[None]
        if not means.isfinite().all():
            raise InputError(
                f"{int((~means.isfinite()).sum())} predicted means are NaN or infinite: leave those rows out."
            )
        return (means - numbers(targets, means.shape[1:], means)).square()
    if name in OF_PREDICTIVE:
        rows = number_rows(predicted, targets)
        losses = torch.cat([OF_PREDICTIVE[name](*piece) for piece in rows.pieces()], dim=1)
        return losses.reshape(len(losses), *rows.shape)
    if isinstance(predicted, RecalibratedPrediction) and not (name == "rmse" and _keeps_the_mean(predicted)):
        return _recalibrated_loss(name, predicted, targets)
    assert isinstance(predicted, Numbers)
    moments = predicted.moments["mean"]
    if name == "rmse":
        means = with_deleted(moments)
        return (means - numbers(targets, means.shape[1:], means)).square()
    assert isinstance(predicted, RegressionPrediction)
    if predicted.samples is None:
        raise UnavailableError(
            "The negative log-likelihood of a mixture needs every draw, and only moments were kept: predict with "
            "keep_samples=True."
        )
    log_probs = predicted.likelihood.log_prob(predicted.samples, targets)
    return -torch.cat([log_mean_exp(log_probs)[None], log_mean_exp_without(log_probs, moments.groups.counts)])


def _keeps_the_mean(predicted: RecalibratedPrediction) -> bool:
    """So that the moments of the draws tell it, and no samples are needed."""
    return all(isinstance(law, Stretch) for law in predicted.laws)


def _recalibrated_loss(name: str, predicted: RecalibratedPrediction, targets: ArrayLike) -> Tensor:
    """From the changed laws of all draws, and of those outside of each group."""
    predictions = (predicted, *without_groups(predicted))
    if name == "rmse":
        means = torch.stack([prediction.mean for prediction in predictions])
        return (means - numbers(targets, means.shape[1:], means)).square()
    return -torch.stack([prediction.log_prob(targets) for prediction in predictions])


def _interval(predictive: Predictive, coverage: float) -> tuple[Tensor, Tensor]:
    return predictive.quantiles((1 - coverage) / 2), predictive.quantiles((1 + coverage) / 2)
