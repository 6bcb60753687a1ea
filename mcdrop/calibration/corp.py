"""Calibration by isotonic regression: no bins to choose, and the Brier score falls apart exactly."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.calibration.class_losses import is_event
from mcdrop.calibration.forecasts import Forecasts, Kind, gathered
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.calibration.score import Score, by_row, scored
from mcdrop.types import ArrayLike


@dataclass(frozen=True)
class BrierDecomposition:
    """`score = miscalibration - discrimination + uncertainty`, exactly.

    Args:
        score: The Brier score.
        miscalibration: By how much the best increasing map of the probabilities lowers it (MCB, reliability); >= 0.
        discrimination: How much lower it is after that map than for the frequencies alone (DSC, resolution); >= 0.
        uncertainty: The Brier score of the frequencies alone (UNC).
    """

    score: Score
    miscalibration: Score
    discrimination: Score
    uncertainty: Score


@torch.no_grad()
def brier_decomposition(prediction: Predicted, targets: ArrayLike, *, kind: Kind = "classwise") -> BrierDecomposition:
    """The CORP decomposition of the Brier score into miscalibration, discrimination and uncertainty.

    Of each class, with p its probability, y whether it is the true one, f the isotonic regression of y on p and m the
    mean of y: `MCB = mean (p - y)^2 - mean (f - y)^2`, `DSC = m (1 - m) - mean (f - y)^2`, `UNC = m (1 - m)`; then
    summed over the classes, so that the score is `brier_score`. Murphy's decomposition has the same three parts but
    takes f from bins: it depends on their number and does not add up when forecasts within a bin differ.

    The fit follows the noise, so that MCB and DSC of a calibrated predictor are above what many rows would show, by
    the same amount, which falls as N^(-2/3). Standard errors are first order, where the fit counts as given (it is a
    minimum, so its own error is of second order); about a miscalibration within that bias they say nothing.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.
        kind: "classwise" decomposes `brier_score`. "top_label" decomposes the mean of (confidence - right)^2, from 0
            to 1.

    Raises:
        InputError: If the targets or the kind do not fit, there are no rows, or the prediction is not of classes.

    Source: Dimitriadis, Gneiting & Jordan 2021, "Stable reliability diagrams for probabilistic classifiers", PNAS
    118(8), https://doi.org/10.1073/pnas.2016191118.

    Example:
        >>> import torch
        >>> parts = brier_decomposition(torch.tensor([0.2, 0.2, 0.6, 0.6]), torch.tensor([0, 0, 0, 1]))
        >>> [round(part.value, 3) for part in (parts.score, parts.miscalibration, parts.discrimination)]
        [0.3, 0.05, 0.125]
        >>> parts.uncertainty.value  # both classes have a share of the Brier score
        0.375
    """
    times = 2 if kind == "classwise" and is_event(prediction) else 1  # the complement of an event has its losses too
    return decomposed(gathered(prediction, targets, kind), group_counts(prediction), times)


def decomposed(of: Forecasts, counts: tuple[int, ...], times: int = 1) -> BrierDecomposition:
    """The decomposition of forecasts, summed over kinds of events.

    Args:
        of: The forecasts.
        counts: Draws in each group.
        times: What multiplies all.
    """
    parts = [_losses(*each) for each in zip(of.probs.unbind(-1), of.happened.unbind(-1), strict=True)]
    values, rows = (torch.stack(each).sum(dim=0) * times for each in zip(*parts, strict=True))
    raw, fitted, constant = values.T
    of_raw, of_fitted, of_constant = rows - values[0][:, None]
    return BrierDecomposition(
        score=scored(raw, of_raw, counts),
        miscalibration=scored(raw - fitted, of_raw - of_fitted, counts),
        discrimination=scored(constant - fitted, of_constant - of_fitted, counts),
        uncertainty=scored(constant, of_constant, counts),
    )


def _losses(
    probs: Float[Tensor, "R N E"], happened: Bool[Tensor, "R N E"]
) -> tuple[Float[Tensor, "R 3"], Float[Tensor, "3 N"]]:
    """Mean losses of the forecasts, of their isotonic regression and of the frequency; those of rows with all draws."""
    values: list[Tensor] = []
    rows: list[Tensor] = []
    for p, y in zip(probs.flatten(1), happened.flatten(1).to(probs.dtype), strict=True):
        losses = torch.stack([(forecast - y).square() for forecast in (p, frequencies(p, y).at(p), y.mean())])
        values.append(losses.mean(dim=1))
        if not rows:
            rows = [by_row(each, probs.shape[1]) for each in losses]
    return torch.stack(values), torch.stack(rows)


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The increasing function of the forecast that is nearest to what happened, at K different forecasts.

    Args:
        forecast: Increasing.
        counts: How often each was made.
        fitted: Frequencies that do not decrease.
    """

    forecast: Float[Tensor, " K"]
    counts: Float[Tensor, " K"]
    fitted: Float[Tensor, " K"]

    def at(self, probs: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        """The frequencies at forecasts that are among the K."""
        return self.fitted[torch.searchsorted(self.forecast, probs.contiguous())]


def frequencies(probs: Float[Tensor, " M"], happened: Float[Tensor, " M"]) -> Frequencies:
    """The isotonic regression of what happened on the forecasts.

    Example:
        >>> import torch
        >>> frequencies(torch.tensor([0.9, 0.1, 0.5]), torch.tensor([1.0, 1.0, 0.0])).fitted
        tensor([0.5000, 0.5000, 1.0000])
    """
    ordered, order = probs.sort()
    forecast, block, counts = ordered.unique_consecutive(return_inverse=True, return_counts=True)
    counts = counts.to(probs.dtype)
    means = torch.zeros_like(forecast).index_add_(0, block, happened[order]) / counts
    fitted = nearest_increasing(means.cpu().numpy(), counts.cpu().numpy())
    return Frequencies(forecast, counts, torch.from_numpy(fitted).to(probs))


def nearest_increasing(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sequence that does not decrease and is nearest to the means in weighted squares."""
    from sklearn.isotonic import isotonic_regression  # mcdrop's root loads torch alone

    return isotonic_regression(means, sample_weight=weights, y_min=0, y_max=1)
