"""One factor that makes the predictive law of a number wider, or narrower."""

from dataclasses import dataclass
from typing import Self, final

from mcdrop.calibration import fitted_on
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction, RecalibratedPrediction
from mcdrop.prediction.laws import Stretch, columns
from mcdrop.prediction.recalibrated import Numbers, recalibrated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, kw_only=True)
class VarianceScaling(Recalibrator[RecalibratedPrediction]):
    """The mixture of the draws stretched about its mean: `Y' = m + s (Y - m)`, of variance `s^2 Var[Y]`.

    The mean stays, and with it the RMSE; density, quantiles and both parts of the variance follow.
    `s^2 = 1/N sum_i (y_i - m_i)^2 / v_i`, so that squared errors are on average what the variance says. For a single
    normal this is the factor of greatest likelihood.

    Args:
        factors: s > 0, without unit: one for each of D outputs (N, D), one for all elements of outputs of more axes.

    Source: Levi, Gispan, Giladi & Fetaya 2022, "Evaluating and calibrating uncertainty prediction in regression tasks",
    section 3.2, https://arxiv.org/abs/1905.11659; Laves et al. 2020, "Well-calibrated regression uncertainty in
    medical imaging with deep learning", eq. 9, https://proceedings.mlr.press/v121/laves20a.html.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.tensor([[0.0, 0.0], [2.0, 2.0]]), Gaussian(precision=0.5))  # m = 1, v = 4
        >>> scaling = VarianceScaling.fit(prediction, torch.tensor([5.0, 5.0]))
        >>> scaling.factors, scaling(prediction).variance
        ((2.0,), tensor([16., 16.], dtype=torch.float64))
    """

    factors: tuple[float, ...]

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike) -> Self:
        """The factors that held-out targets give.

        Args:
            prediction: Of continuous numbers, two draws or more, for rows that the model was not trained on.
            targets: In the shape of the mean; (N,) and (N, 1) stand for each other.

        Raises:
            InputError: If the prediction is of classes or counts, the targets do not fit, or all of them are equal to
                the means.
            UnavailableError: If there is one draw only, which has no variance.
        """
        given = fitted_on.continuous_numbers(prediction, targets, cls.__name__)
        mean = given.mean
        squares = columns((numbers(targets, mean.shape, mean) - mean).square() / given.variance).mean(dim=0)
        if not (squares > 0).all():
            raise InputError(
                "All targets of an output are equal to its means, so that its variance would be scaled to 0: fit on "
                "held-out rows, which the model was not trained on."
            )
        return cls(kind=PredictiveKind.of(given), factors=tuple(squares.sqrt().tolist()))

    def _transformed(self, prediction: Prediction) -> RecalibratedPrediction:
        assert isinstance(prediction, Numbers)  # it is of the kind of the fit
        return recalibrated(prediction, (Stretch(self.factors),), self._provenance(prediction))
