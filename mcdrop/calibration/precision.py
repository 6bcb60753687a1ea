"""The precision of the noise under which held-out targets are most likely."""

import math
from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from mcdrop.calibration import fitted_on
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.errors import InputError
from mcdrop.prediction import Gaussian, Prediction, RegressionPrediction
from mcdrop.prediction.laws import columns
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, kw_only=True)
class Precision(Recalibrator[RegressionPrediction]):
    """The draws read through `Gaussian(precision)` with the tau of the greatest predictive likelihood.

    tau maximises `sum_i log 1/T sum_t Normal(y_i; m_it, 1/tau)`. The draws stay, so that the mean and its spread do;
    only the noise changes.

    Args:
        precisions: tau > 0 in 1/unit^2: one for each of D outputs (N, D), one for all elements of outputs of more axes.

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 8, https://arxiv.org/abs/1506.02142.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(1, 2), Gaussian(precision=1.0))  # one draw: 1/tau = mean square
        >>> precision = Precision.fit(prediction, torch.tensor([2.0, -2.0]))
        >>> round(precision.precisions[0], 6), precision(prediction).likelihood
        (0.25, Gaussian(precision=0.25...))
    """

    precisions: tuple[float, ...]

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike) -> Self:
        """The precision that held-out targets give.

        Args:
            prediction: Of `Gaussian`, whose own precision has no part in it, with samples, for rows that the model was
                not trained on.
            targets: In the shape of the mean; (N,) and (N, 1) stand for each other.

        Raises:
            InputError: If the prediction is of another likelihood, the targets do not fit, or each of them is equal to
                a draw.
            UnavailableError: Without samples.
        """
        given = fitted_on.numbers(prediction, targets, cls.__name__)
        if not isinstance(given.likelihood, Gaussian) or not isinstance(given, RegressionPrediction):
            raise InputError(
                f"A {type(given).__name__} of {given.likelihood} given, and Precision is for Gaussian(precision) as "
                "predicted. For others, and after another recalibration, use VarianceScaling or CdfRecalibration."
            )
        samples = accumulated(given._kept_samples("A precision of the greatest likelihood").detach())
        squares = (samples - numbers(targets, samples.shape[1:], samples)).square()
        by_output = torch.stack([columns(draw) for draw in squares])
        return cls(
            kind=PredictiveKind.of(given), precisions=tuple(_most_likely(output) for output in by_output.unbind(dim=-1))
        )

    def _transformed(self, prediction: Prediction) -> RegressionPrediction:
        likelihood = Gaussian(self.precisions if len(self.precisions) > 1 else self.precisions[0])
        return likelihood.predict(prediction.moments, prediction.samples, self._provenance(prediction))


def _most_likely(squares: Tensor) -> float:
    """The precision for squared distances (T, n).

    Where the likelihood is greatest, 1/tau is a weighted mean of them (the step of expectation-maximisation), so it
    lies between the means of the least and of the greatest distances of each target.
    """
    # here, not above: the root of mcdrop imports this file and must not load SciPy
    from scipy import optimize

    least, most = float(squares.amin(dim=0).mean()), float(squares.amax(dim=0).mean())
    if least == 0:
        raise InputError(
            "Every target is equal to one of its draws, so that the likelihood grows with the precision without end: "
            "fit on held-out rows, which the model was not trained on."
        )

    def loss(log_precision: float) -> float:
        return -float(log_mean_exp(-squares * (math.exp(log_precision) / 2)).mean()) - log_precision / 2

    # several brackets, since the likelihood of a mixture may have more than one maximum
    grid = torch.linspace(-math.log(most), -math.log(least), 9, dtype=torch.float64).tolist()
    losses = [loss(at) for at in grid]
    best = min(range(len(grid)), key=losses.__getitem__)
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10})
    return math.exp(float(found.x))
