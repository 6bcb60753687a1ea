"""Predictions of numbers and their targets, a piece of rows at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.given import as_tensor, check_rows
from mcdrop.calibration.mixtures import DrawnValues, drawn_mixture, flat
from mcdrop.calibration.predictive import Predictive
from mcdrop.calibration.recalibrated_mixture import RecalibratedMixture
from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import (
    Gaussian,
    HeteroscedasticGaussian,
    Identity,
    Poisson,
    Prediction,
    Provenance,
    RecalibratedPrediction,
    RegressionLikelihood,
    from_draws,
)
from mcdrop.prediction.recalibrated import without_groups
from mcdrop.prediction.spread import accumulated, combine, spread
from mcdrop.tree import tensors
from mcdrop.types import ArrayLike

PredictedNumbers: TypeAlias = Prediction | ArrayLike
"""A prediction of numbers with samples, or an array (T, N, *out) of draws of y, noise included."""

_PIECE = 2**16
"""Numbers in a piece of rows, all draws counted: temporaries then stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class NumberRows:
    """Predictions of N rows and what they are compared with. Made by `number_rows`.

    Args:
        prediction: With samples.
        targets: Of the rows; None for what needs none.
        shape: (N, *out), of the predicted numbers.
        counts: Draws in each group that is left out for the Monte Carlo error; all in one if there is none.
    """

    prediction: Prediction
    targets: ArrayLike | None
    shape: torch.Size
    counts: tuple[int, ...]

    def pieces(self) -> Iterator[tuple[Predictive, Tensor]]:
        """The predictive distribution and the targets of the elements of successive rows, flat."""
        step = max(1, _PIECE // max(1, sum(self.counts) * self.shape[1:].numel()))
        for start in range(0, self.shape[0], step):
            rows = slice(start, start + step)
            predictive, y = predictive_of(self.prediction[rows]), torch.empty(0)
            if self.targets is not None:
                of_rows = self.targets[rows]
                y = predictive.targets(of_rows, torch.Size((len(of_rows), *self.shape[1:])))
            yield predictive, y

    def scores(self, loss: Callable[[Predictive, Tensor], Tensor]) -> tuple[Score, ...]:
        """The means over rows of L losses of each element, (L, R, M); elements of a row are averaged first."""
        total, rows = None, []
        for predictive, y in self.pieces():
            by_row = self.by_row(loss(predictive, y))
            total = combine(total, spread(by_row.movedim(2, 0)))
            rows.append(by_row[:, 0])
        assert total is not None  # there is a row
        influence = torch.cat(rows, dim=1) - total.centre[:, :1]
        return tuple(scored(*each, self.jackknife_counts) for each in zip(total.centre, influence, strict=True))

    def score(self, loss: Callable[[Predictive, Tensor], Tensor]) -> Score:
        """The mean over rows of one loss of each element, (R, M)."""
        return self.scores(lambda predictive, y: loss(predictive, y)[None])[0]

    def by_row(self, values: Float[Tensor, "*lead M"]) -> Float[Tensor, "*lead n"]:
        """Elements of a piece averaged in each row."""
        return values.unflatten(-1, (-1, max(1, self.shape[1:].numel()))).mean(dim=-1)

    @property
    def jackknife_counts(self) -> tuple[int, ...]:
        """`counts`, or none if there is a single group and so no Monte Carlo error."""
        return self.counts if len(self.counts) > 1 else ()


def number_rows(predicted: PredictedNumbers, targets: ArrayLike | None = None) -> NumberRows:
    """The rows of a prediction or of an array of draws.

    Args:
        predicted: A prediction with samples, or draws (T, N, *out) without Monte Carlo error: they may be all there is.
        targets: (N, *out), if they are needed.

    Raises:
        InputError: If this is no prediction of numbers, there are no rows, or not as many targets.
        NonFiniteError: If draws of an array are NaN or infinite.
        UnavailableError: Without samples.

    Example:
        >>> import torch
        >>> number_rows(torch.zeros(20, 5, 1), torch.zeros(5)).shape
        torch.Size([5, 1])
    """
    prediction = predicted if isinstance(predicted, Prediction) else _of_array(predicted)
    predictive_of(prediction[:0])  # for its checks
    if len(prediction) == 0:
        raise InputError("0 rows given, a score needs at least one.")
    if targets is not None:
        check_rows(len(prediction), targets, "a score")
    shape = next(iter(prediction.moments.values())).mean.shape
    return NumberRows(prediction, targets, shape, group_sizes(prediction))


def predictive_of(prediction: Prediction) -> Predictive:
    """The predictive distribution that the draws of a prediction make; those read by `Identity` are draws of y itself.

    Raises:
        InputError: If the prediction is not of numbers, or of several tensors.
        UnavailableError: Without samples.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import from_draws
        >>> predictive_of(from_draws(torch.zeros(2, 3), Gaussian(4.0))).variance()[0]
        tensor([0.2500, 0.2500, 0.2500], dtype=torch.float64)
    """
    likelihood, samples = prediction.likelihood, prediction.samples
    raw = isinstance(likelihood, Identity) and len(prediction.moments) == 1
    if not raw and not isinstance(likelihood, Gaussian | HeteroscedasticGaussian | Poisson):
        raise InputError(
            f"A prediction of {likelihood} given, expected one of numbers: Gaussian, HeteroscedasticGaussian, Poisson, "
            "or Identity with a single tensor."
        )
    if samples is None:
        raise UnavailableError(
            "This score of a mixture needs every draw, and only moments were kept: predict with keep_samples=True."
        )
    counts = group_sizes(prediction)
    if isinstance(prediction, RecalibratedPrediction):
        return RecalibratedMixture((prediction, *without_groups(prediction)) if len(counts) > 1 else (prediction,))
    if raw:
        return DrawnValues(flat(accumulated(tensors(samples)[0])), counts)
    assert isinstance(likelihood, RegressionLikelihood)  # one of the three above
    return drawn_mixture(likelihood, samples, counts)


def group_sizes(prediction: Prediction) -> tuple[int, ...]:
    """Draws in each group that is left out for the Monte Carlo error; the members of an ensemble are one group."""
    moments = next(iter(prediction.moments.values()))
    return (moments.count,) if prediction.provenance.members else moments.groups.counts


def _of_array(draws: ArrayLike) -> Prediction:
    tensor = as_tensor(draws)
    if tensor.ndim < 2 or len(tensor) == 0:
        raise InputError(
            f"An array of shape {tuple(tensor.shape)} given, expected T >= 1 draws of y for each of N rows: (T, N), or "
            "(T, N, *out). A mean and a standard deviation (N,) of a normal law are one draw of parameters: "
            'from_draws((mean[None], std[None]), HeteroscedasticGaussian("std")).'
        )
    tensor = tensor if tensor.is_floating_point() else accumulated(tensor)  # counts
    return from_draws(tensor, Identity(), provenance=Provenance(num_samples=len(tensor), members=True))
