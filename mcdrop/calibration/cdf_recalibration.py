"""Probabilities of being below a value replaced by the shares that were observed below it."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np

from mcdrop.calibration import fitted_on
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction, RecalibratedPrediction
from mcdrop.prediction.laws import CdfMap, columns
from mcdrop.prediction.recalibrated import Numbers, recalibrated
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, kw_only=True)
class CdfRecalibration(Recalibrator[RecalibratedPrediction]):
    """`F'(y) = R(F(y))`, F the cumulative distribution of the mixture and R that of its values at held-out targets.

    R goes through `(F(y_i), rank_i / (n + 1))`, ties at their mean rank, and from (0, 0) to (1, 1), linear in between.
    Shares of ranks increase already, so that the isotonic regression of Kuleshov et al. leaves them as they are. Where
    F is 0 or 1 in double precision there is nothing to map: a target that lies so far out is left to the ends of R, and
    more than one in twenty are refused.

    There is a cumulative distribution, quantiles, intervals, a mean and a variance, but no density: it would be that of
    the gaps between held-out values, which is off by a factor of its own in every gap, however many there are.

    Args:
        inputs: Knots of R, from 0 to 1: one R for each of D outputs (N, D), one for all elements of more axes.
        outputs: R at the knots, from 0 to 1.

    Source: Kuleshov, Fenner & Ermon 2018, "Accurate uncertainties for deep learning using calibrated regression",
    algorithm 1, https://arxiv.org/abs/1807.00263.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 3), Gaussian(precision=1.0))
        >>> recalibration = CdfRecalibration.fit(prediction, torch.tensor([-2.0, 0.0, 2.0]))
        >>> recalibration(prediction).cdf(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0.2500, 0.5000, 0.7500], dtype=torch.float64)
    """

    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike) -> Self:
        """The map that held-out targets give.

        Args:
            prediction: Of continuous numbers, with samples, for rows that the model was not trained on.
            targets: In the shape of the mean; (N,) and (N, 1) stand for each other.

        Raises:
            InputError: If the prediction is of classes or counts, the targets do not fit, or more than one and 5 % of
                them lie where F is 0 or 1.
            UnavailableError: Without samples.
        """
        given = fitted_on.continuous_numbers(prediction, targets, cls.__name__)
        reached = columns(given.cdf(targets).detach()).cpu().numpy()
        knots = [_knots(column) for column in reached.T]
        return cls(
            kind=PredictiveKind.of(given), inputs=tuple(at for at, _ in knots), outputs=tuple(out for _, out in knots)
        )

    def _transformed(self, prediction: Prediction) -> RecalibratedPrediction:
        assert isinstance(prediction, Numbers)  # it is of the kind of the fit
        return recalibrated(prediction, (CdfMap(self.inputs, self.outputs),), self._provenance(prediction))


def _knots(reached: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The distinct values inside (0, 1) with the shares of their ranks, and the two ends."""
    # here, not above: the root of mcdrop imports this file and must not load SciPy
    from scipy import stats

    outside = int(((reached == 0) | (reached == 1)).sum())
    if outside > max(1, len(reached) // 20):
        raise InputError(
            f"{outside} of {len(reached)} targets lie so far out that their cumulative probability is 0 or 1 in double "
            "precision, where no map of it can reach them: apply VarianceScaling first, and fit this on what it gives."
        )
    shares = stats.rankdata(reached) / (len(reached) + 1)
    at, first = np.unique(reached, return_index=True)
    inside = (at > 0) & (at < 1)
    return (0.0, *at[inside].tolist(), 1.0), (0.0, *shares[first][inside].tolist(), 1.0)
