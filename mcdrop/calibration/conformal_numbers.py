"""Conformal intervals of numbers."""

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from mcdrop.calibration import fitted_on
from mcdrop.calibration.conformal import conformal_threshold
from mcdrop.calibration.prediction_sets import PredictionIntervals
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction
from mcdrop.prediction.recalibrated import Numbers
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, kw_only=True)
class ResidualIntervals(Recalibrator[PredictionIntervals]):
    """`mean - q r` to `mean + q r`, q the k-th smallest `|y - mean| / r` of held-out rows.

    r is 1, so that all intervals are equally wide, or, normalised, the predictive standard deviation, so that they are
    wider where the draws are less sure. With too few held-out rows for alpha they go from -infinity to infinity.

    Args:
        alpha: Miscoverage of each output for itself, of all rows together.
        thresholds: q: one for each of D outputs (see `conformal_threshold`), in the output's unit, without unit if
            normalised.
        normalised: Whether residuals are divided by the predictive standard deviation.

    Source: Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, "Distribution-free predictive inference for regression",
    algorithm 2 and section 5.2, https://arxiv.org/abs/1604.04173.

    Example:
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 3), Gaussian(precision=4.0))
        >>> intervals = ResidualIntervals.fit(prediction, torch.tensor([1.0, -3.0, 2.0]), alpha=0.25)  # k = 3 of 3
        >>> intervals.thresholds, intervals(prediction).upper
        ((3.0,), tensor([3., 3., 3.], dtype=torch.float64))
    """

    alpha: float
    thresholds: tuple[float, ...]
    normalised: bool

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike, *, alpha: float, normalised: bool = False) -> Self:
        """The thresholds that held-out rows give.

        Args:
            prediction: Of numbers (N,) or (N, D), for rows that the model was not trained on.
            targets: In the shape of the mean; (N,) and (N, 1) stand for each other.
            alpha: Miscoverage, between 0 and 1.
            normalised: Whether residuals are divided by the predictive standard deviation.

        Raises:
            InputError: If prediction, targets or alpha do not fit.
            UnavailableError: Normalised, with one draw only, which has no standard deviation.
        """
        given = fitted_on.numbers(prediction, targets, cls.__name__)
        mean = given.mean
        if mean.ndim > 2:
            raise InputError(
                f"Means {tuple(mean.shape)} given, and {cls.__name__} is for (N,) or (N, D): pixels or steps of a row "
                "are not exchangeable with those of others."
            )
        residuals = (numbers(targets, mean.shape, mean) - mean).abs() / _unit(given, normalised)
        thresholds = conformal_threshold(residuals.detach().reshape(len(mean), -1), alpha)
        return cls(
            kind=PredictiveKind.of(given), alpha=alpha, thresholds=tuple(thresholds.tolist()), normalised=normalised
        )

    def _transformed(self, prediction: Prediction) -> PredictionIntervals:
        assert isinstance(prediction, Numbers)  # it is of the kind of the fit
        mean = prediction.mean.detach()
        thresholds = torch.tensor(self.thresholds, dtype=mean.dtype, device=mean.device)
        half = (thresholds if mean.ndim > 1 else thresholds[0]) * _unit(prediction, self.normalised)
        return PredictionIntervals(mean - half, mean + half, self.alpha)


def _unit(prediction: Numbers, normalised: bool) -> Tensor:
    """What a residual is measured in."""
    return prediction.std.detach() if normalised else torch.ones_like(prediction.mean)
