"""Conformal sets of classes."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration import fitted_on
from mcdrop.calibration.averaged import averaged_probs, labels_of
from mcdrop.calibration.conformal import conformal_threshold
from mcdrop.calibration.prediction_sets import PredictionSets
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, Prediction
from mcdrop.types import ArrayLike

_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
"""Of a hash: a factor that carries each bit to those above, and a shift that brings them down again."""


@final
@dataclass(frozen=True, kw_only=True)
class LeastAmbiguousSets(Recalibrator[PredictionSets]):
    """All classes with `1 - p_c <= threshold`: sets that are small on average (LAC).

    Sets of rows that are hard may hold their label less often than 1 - alpha, sets of easy ones more often, and a set
    may be empty. With too few held-out rows for alpha every set holds all classes.

    Args:
        alpha: Miscoverage, of all rows together.
        threshold: The k-th smallest `1 - p_y` of held-out rows (see `conformal_threshold`).

    Source: Sadinle, Lei & Wasserman 2019, "Least ambiguous set-valued classifiers with bounded error levels", theorem
    1, https://arxiv.org/abs/1609.00451.

    Example:
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> probs = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
        >>> prediction = from_draws(probs[None], Categorical(probs=True))
        >>> sets = LeastAmbiguousSets.fit(prediction, torch.tensor([0, 0, 1]), alpha=0.25)  # k = 3 of 3: 1 - 0.5
        >>> sets(prediction).members.tolist()
        [[True, False], [True, True], [False, True]]
    """

    alpha: float
    threshold: float

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike, *, alpha: float) -> Self:
        """The threshold that held-out rows give.

        Args:
            prediction: Of classes (N, C) or events (N,), for rows that the model was not trained on.
            targets: Labels of its rows.
            alpha: Miscoverage, between 0 and 1.

        Raises:
            InputError: If prediction, targets or alpha do not fit.
        """
        probs = _class_probs(prediction, targets, cls.__name__)
        labels = _labels(prediction, targets)
        threshold = conformal_threshold(1 - probs.gather(1, labels)[:, 0], alpha)
        return cls(kind=PredictiveKind.of(prediction), alpha=alpha, threshold=threshold.item())

    def _transformed(self, prediction: Prediction) -> PredictionSets:
        return PredictionSets(
            1 - _probs(prediction) <= self.threshold, self.alpha, isinstance(prediction, BinaryPrediction)
        )


@final
@dataclass(frozen=True, kw_only=True)
class AdaptiveSets(Recalibrator[PredictionSets]):
    """The most probable classes up to a total probability: sets that grow with the uncertainty of the row (APS).

    Class c is in the set if `sum of p over classes before c + u p_c <= threshold`, classes in falling order of p, equal
    ones by number. Randomised, u is uniform on (0, 1) for each row. Otherwise it is 1: sets are larger, and rows whose
    label comes last tie at 1, so that sets may cover more than asked for. A set may be empty. With too few held-out
    rows for alpha every set holds all classes.

    Args:
        alpha: Miscoverage, of all rows together.
        threshold: The k-th smallest such sum of held-out rows' labels (see `conformal_threshold`).
        randomised: Whether u is random.
        seed: Of u, which the coverage is a probability over, too. A row's u follows from the seed, its place in the
            prediction and its probabilities, so that rows which are predicted one by one do not share it either. New
            rows have others than the held-out rows had.

    Source: Romano, Sesia & Candes 2020, "Classification with valid and adaptive coverage", section 2,
    https://arxiv.org/abs/2006.02544; sets there are never empty, see eq. 5 for those here.

    Example:
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> probs = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]])
        >>> prediction = from_draws(probs[None], Categorical(probs=True))
        >>> sets = AdaptiveSets.fit(prediction, torch.tensor([0, 0, 1]), alpha=0.25, randomised=False)
        >>> sets.threshold, sets(prediction).members.tolist()
        (0.875, [[True, False], [True, False], [False, True]])
    """

    alpha: float
    threshold: float
    randomised: bool
    seed: int

    @classmethod
    def fit(
        cls, prediction: Prediction, targets: ArrayLike, *, alpha: float, randomised: bool = True, seed: int = 0
    ) -> Self:
        """The threshold that held-out rows give.

        Args:
            prediction: Of classes (N, C) or events (N,), for rows that the model was not trained on.
            targets: Labels of its rows.
            alpha: Miscoverage, between 0 and 1.
            randomised: Whether u is random.
            seed: Of u, an integer >= 0.

        Raises:
            InputError: If prediction, targets, alpha or seed do not fit.
        """
        probs = _class_probs(prediction, targets, cls.__name__)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"seed={seed!r} given, expected an integer >= 0.")
        labels = _labels(prediction, targets)
        totals = _totals(probs, _shares(probs, [seed, 0] if randomised else None))
        threshold = conformal_threshold(totals.gather(1, labels)[:, 0], alpha)
        return cls(
            kind=PredictiveKind.of(prediction),
            alpha=alpha,
            threshold=threshold.item(),
            randomised=randomised,
            seed=seed,
        )

    def _transformed(self, prediction: Prediction) -> PredictionSets:
        probs = _probs(prediction)
        shares = _shares(probs, [self.seed, 1] if self.randomised else None)
        return PredictionSets(
            _totals(probs, shares) <= self.threshold, self.alpha, isinstance(prediction, BinaryPrediction)
        )


def _class_probs(prediction: Prediction, targets: ArrayLike, name: str) -> Float[Tensor, "N C"]:
    """The probabilities, if each row has one label."""
    given = fitted_on.classes(prediction, targets, name)
    first = averaged_probs(given[:1])
    if first.numel() != first.shape[-1]:
        raise InputError(
            f"Probabilities {tuple(given.probs.shape)} given, and {name} is for one label a row: pixels or tokens of a "
            "row are not exchangeable with those of others."
        )
    return _probs(given)


def _probs(prediction: Prediction) -> Float[Tensor, "N C"]:
    assert isinstance(prediction, fitted_on.Classes)  # checked by the fit
    return averaged_probs(prediction).detach().flatten(1)


def _labels(prediction: Prediction, targets: ArrayLike) -> Int[Tensor, "N 1"]:
    assert isinstance(prediction, fitted_on.Classes)
    return labels_of(prediction, targets).reshape(-1, 1)


def _shares(probs: Float[Tensor, "N C"], seeds: list[int] | None) -> Float[Tensor, "N 1"]:
    """u of each row, 1 without seeds."""
    if seeds is None:
        return torch.ones_like(probs[:, :1])
    by_place = np.random.default_rng(seeds).random(len(probs))
    # a number by the place alone would be the same for all rows that are predicted one by one
    return torch.from_numpy((by_place + _by_content(probs)) % 1)[:, None].to(probs)


def _by_content(probs: Float[Tensor, "N C"]) -> np.ndarray:
    """A number in [0, 1) that the bits of a row decide, and that says nothing about the row: (N,)."""
    bits = np.ascontiguousarray(probs.cpu().double().numpy()).view(np.uint64)
    state = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        state = (state ^ column) * _ODD
        state ^= state >> _HALF
    state = state * _ODD
    return (state >> np.uint64(11)) * 2.0**-53


def _totals(probs: Float[Tensor, "N C"], shares: Float[Tensor, "N 1"]) -> Float[Tensor, "N C"]:
    """The probability of all classes before each one, and of its share."""
    ordered, places = probs.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(dim=1) - ordered
    return torch.empty_like(probs).scatter_(1, places, before + shares * ordered)
