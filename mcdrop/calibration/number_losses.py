"""Losses of numbers, with all draws and without each group of them."""

import torch
from torch import Tensor

from mcdrop.calibration.jackknife import log_mean_exp_without, with_deleted
from mcdrop.errors import UnavailableError
from mcdrop.prediction import Prediction, RegressionPrediction
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike

NAMES = ("negative_log_likelihood", "rmse")


def number_loss(name: str, predicted: Prediction | Tensor, targets: ArrayLike) -> Tensor:
    """The loss of each element, (R, N, *rest)."""
    if isinstance(predicted, Tensor):
        means = accumulated(predicted)[None]
        return (means - numbers(targets, means.shape[1:], means)).square()
    assert isinstance(predicted, RegressionPrediction)
    moments = predicted.moments["mean"]
    if name == "rmse":
        means = with_deleted(moments)
        return (means - numbers(targets, means.shape[1:], means)).square()
    if predicted.samples is None:
        raise UnavailableError(
            "The negative log-likelihood of a mixture needs every draw, and only moments were kept: predict with "
            "keep_samples=True."
        )
    log_probs = predicted.likelihood.log_prob(predicted.samples, targets)
    return -torch.cat([log_mean_exp(log_probs)[None], log_mean_exp_without(log_probs, moments.groups.counts)])
