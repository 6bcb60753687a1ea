"""Probabilities replaced by the shares that were observed where they were as high: isotonic regression."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from torch import Tensor

from mcdrop.calibration import fitted_on
from mcdrop.calibration.averaged import averaged_probs, labels_of, with_changed_average
from mcdrop.calibration.fitted_on import Classes
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.prediction import BinaryPrediction, Prediction
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, kw_only=True)
class Isotonic(Recalibrator[Classes]):
    """Each class's averaged probability through an increasing function of its own, then divided by their sum.

    The function is the isotonic regression of "the label is c" on p_c, linear between knots and constant beyond them;
    of an event there is one, of its probability. Fitted to n labels it stays within 1/(n+2) and (n+1)/(n+2), what the
    rule of succession says of something seen never or always: no probability becomes 0 because a class was not seen,
    and the negative log-likelihood stays finite. Labels, and so the error rate, may change.

    Args:
        inputs: Knots of each class's function, increasing.
        outputs: Its values there.

    Source: Zadrozny & Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates",
    sections 3 and 4, https://doi.org/10.1145/775047.775151.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Binary, from_draws
        >>> prediction = from_draws(torch.tensor([[0.9, 0.9, 0.9, 0.2]]), Binary(probs=True))
        >>> Isotonic.fit(prediction, torch.tensor([1, 1, 0, 0]))(prediction).probs
        tensor([0.6667, 0.6667, 0.6667, 0.1667], dtype=torch.float64)
    """

    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike) -> Self:
        """The functions that held-out targets give.

        Args:
            prediction: Of classes or events, for rows that the model was not trained on.
            targets: Labels of its rows; pixels or tokens of a row count as labels each.

        Raises:
            InputError: If the prediction is of numbers, or the targets do not fit.
        """
        # here, not above: the root of mcdrop imports this file and must not load scikit-learn
        from sklearn.isotonic import IsotonicRegression

        given = fitted_on.classes(prediction, targets, cls.__name__)
        labels = labels_of(given, targets).flatten().cpu().numpy()
        probs = averaged_probs(given).detach().flatten(0, -2).cpu().numpy()
        least = 1 / (len(labels) + 2)
        regression = IsotonicRegression(y_min=least, y_max=1 - least)
        inputs, outputs = [], []
        for number in [1] if isinstance(given, BinaryPrediction) else range(probs.shape[1]):
            regression.fit(probs[:, number].astype(np.float64), (labels == number).astype(np.float64))
            inputs.append(tuple(regression.X_thresholds_.tolist()))
            outputs.append(tuple(regression.y_thresholds_.tolist()))
        return cls(kind=PredictiveKind.of(given), inputs=tuple(inputs), outputs=tuple(outputs))

    def _transformed(self, prediction: Prediction) -> Classes:
        assert isinstance(prediction, Classes)  # it is of the kind of the fit
        return with_changed_average(prediction, self._change, self._provenance(prediction))

    def _change(self, probs: Tensor) -> Tensor:
        table = probs.detach().cpu().numpy()
        if len(self.inputs) == 1:
            happens = np.interp(table[..., 1], self.inputs[0], self.outputs[0])
            return torch.from_numpy(np.stack([1 - happens, happens], axis=-1)).to(probs)
        each = zip(self.inputs, self.outputs, strict=True)
        changed = np.stack([np.interp(table[..., c], *knots) for c, knots in enumerate(each)], axis=-1)
        return torch.from_numpy(changed / changed.sum(axis=-1, keepdims=True)).to(probs)
