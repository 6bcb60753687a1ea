"""What a score averages over rows: the loss of each row, with all draws and without each group of them.

Elements of one row (pixels, tokens, outputs) are averaged first: they depend on each other, rows do not.
"""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.jackknife import log_mean_exp_without, means_without
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Moments, Prediction, RegressionPrediction
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.result import row_pieces
from mcdrop.prediction.spread import Spread, accumulated, combine, spread
from mcdrop.prediction.targets import class_labels, events, numbers
from mcdrop.types import ArrayLike

Predicted: TypeAlias = Prediction | ArrayLike
"""A prediction, or an array of what is predicted: probabilities (N, C) or of the event (N,), or means."""

OF_CLASSES = ("accuracy", "error_rate", "negative_log_likelihood", "brier_score")
OF_NUMBERS = ("negative_log_likelihood", "rmse")


@torch.no_grad()
def row_losses(names: tuple[str, ...], predicted: Predicted, targets: ArrayLike) -> dict[str, Spread]:
    """The spread over rows of the losses, by the name of the score.

    Args:
        names: Of scores; `rmse` averages squares.
        predicted: A prediction or an array.
        targets: Of its rows.

    Returns:
        For each name a spread of shape (1 + G,): with all draws, then without each of the G groups of them.

    Raises:
        InputError: If the targets or the score do not fit the prediction, or there are no rows.
        UnavailableError: For the negative log-likelihood of numbers without samples.
    """
    if isinstance(predicted, np.ndarray):
        predicted = torch.from_numpy(predicted.copy())  # arrays may be read-only or run backwards
    if len(predicted) == 0:
        raise InputError("0 rows given, a score needs at least one.")
    if targets.ndim == 0 or len(targets) != len(predicted):
        raise InputError(f"Targets of shape {tuple(targets.shape)} given for predictions of {len(predicted)} rows.")
    totals: dict[str, Spread] = {}
    for rows in row_pieces(len(predicted), _numbers_per_row(predicted)):
        for name, losses in _losses(names, predicted[rows], targets[rows]).items():
            by_row = losses.reshape(*losses.shape[:2], -1).mean(dim=2).T
            totals[name] = combine(totals.get(name), spread(by_row))
    return totals


def group_counts(predicted: Predicted) -> tuple[int, ...]:
    """Draws in each group; none for arrays, nor for the members of an ensemble, which are all there is."""
    if not isinstance(predicted, Prediction) or predicted.provenance.members:
        return ()
    return next(iter(predicted.moments.values())).groups.counts


def _losses(names: tuple[str, ...], predicted: Prediction | Tensor, targets: ArrayLike) -> dict[str, Tensor]:
    """Losses (1 + G, N, *rest) of each element."""
    if isinstance(predicted, Tensor):
        known: tuple[str, ...] = (*OF_CLASSES, "rmse")
    elif isinstance(predicted, CategoricalPrediction | BinaryPrediction):
        known = OF_CLASSES
    else:
        known = OF_NUMBERS if isinstance(predicted, RegressionPrediction) else ()
    if not set(names) <= set(known):
        raise InputError(
            f"{', '.join(names)} of a {type(predicted).__name__} asked, which has {', '.join(known) or 'no scores'}. "
            f"Classes and events have {', '.join(OF_CLASSES)}; numbers have {', '.join(OF_NUMBERS)}."
        )
    if isinstance(predicted, RegressionPrediction) or "rmse" in names:
        return {name: _number_loss(name, predicted, targets) for name in names}
    probs, labels = _class_probs(predicted, targets)
    return {name: _class_loss(name, probs, labels) for name in names}


def _class_loss(name: str, probs: Float[Tensor, "R N *rest C"], labels: Int[Tensor, " N *rest"]) -> Tensor:
    labels = labels.expand(probs.shape[:-1])
    if name == "negative_log_likelihood":
        return -probs.gather(-1, labels.unsqueeze(-1)).squeeze(-1).log()
    if name == "brier_score":
        return (probs - torch.nn.functional.one_hot(labels, probs.shape[-1])).square().sum(dim=-1)
    right = probs.argmax(dim=-1) == labels
    return (right if name == "accuracy" else ~right).to(probs.dtype)


def _number_loss(name: str, predicted: Prediction | Tensor, targets: ArrayLike) -> Tensor:
    if isinstance(predicted, Tensor):
        means = accumulated(predicted)[None]
        return (means - numbers(targets, means.shape[1:], means)).square()
    assert isinstance(predicted, RegressionPrediction)
    moments = predicted.moments["mean"]
    if name == "rmse":
        means = _with_deleted(moments)
        return (means - numbers(targets, means.shape[1:], means)).square()
    if predicted.samples is None:
        raise UnavailableError(
            "The negative log-likelihood of a mixture needs every draw, and only moments were kept: predict with "
            "keep_samples=True."
        )
    log_probs = predicted.likelihood.log_prob(predicted.samples, targets)
    return -torch.cat([log_mean_exp(log_probs)[None], log_mean_exp_without(log_probs, moments.groups.counts)])


def _class_probs(predicted: Prediction | Tensor, targets: ArrayLike) -> tuple[Tensor, Tensor]:
    """Probabilities (1 + G, N, *rest, C) and labels (N, *rest)."""
    if isinstance(predicted, BinaryPrediction):
        both = [_with_deleted(predicted.moments[name]) for name in ("complement", "probs")]
        return torch.stack(both, dim=-1), events(targets, predicted.probs.shape, predicted.probs).long()
    if isinstance(predicted, CategoricalPrediction):
        probs = _with_deleted(predicted.moments["probs"]).movedim(predicted.class_dim + 1, -1)
        return probs, class_labels(targets, probs.shape[1:-1], probs.shape[-1], probs)
    assert isinstance(predicted, Tensor)
    given = accumulated(predicted)
    if given.ndim not in (1, 2) or not ((given >= 0) & (given <= 1)).all() or given.shape[1:] == (1,):
        raise InputError(
            f"An array {tuple(given.shape)} given, expected probabilities from 0 to 1: (N, C), or (N,) of the event."
        )
    if given.ndim == 1:
        return torch.stack([1 - given, given], dim=-1)[None], events(targets, given.shape, given).long()
    return given[None], class_labels(targets, given.shape[:1], given.shape[1], given)


def _with_deleted(moments: Moments) -> Float[Tensor, " R *shape"]:
    return torch.cat([moments.mean[None], means_without(moments)])


def _numbers_per_row(predicted: Prediction | Tensor) -> int:
    if isinstance(predicted, Tensor):
        return predicted[0].numel()
    moments = next(iter(predicted.moments.values()))
    copies = predicted.num_samples if predicted.samples is not None else 1 + len(moments.groups.counts)
    return copies * moments.mean[0].numel()
