"""Losses of classes and events, with all draws and without each group of them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.jackknife import with_deleted
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import class_labels, events
from mcdrop.types import ArrayLike

NAMES = ("accuracy", "error_rate", "negative_log_likelihood", "brier_score")


def class_loss(name: str, probs: Float[Tensor, "R N *rest C"], labels: Int[Tensor, " N *rest"]) -> Tensor:
    """The loss of each element, (R, N, *rest)."""
    labels = labels.expand(probs.shape[:-1])
    if name == "negative_log_likelihood":
        return -probs.gather(-1, labels.unsqueeze(-1)).squeeze(-1).log()
    if name == "brier_score":
        return (probs - torch.nn.functional.one_hot(labels, probs.shape[-1])).square().sum(dim=-1)
    right = probs.argmax(dim=-1) == labels
    return (right if name == "accuracy" else ~right).to(probs.dtype)


def class_probs(predicted: Prediction | Tensor, targets: ArrayLike) -> tuple[Tensor, Tensor]:
    """Probabilities (1 + G, N, *rest, C) and labels (N, *rest)."""
    if isinstance(predicted, BinaryPrediction):
        both = [with_deleted(predicted.moments[name]) for name in ("complement", "probs")]
        return torch.stack(both, dim=-1), events(targets, predicted.probs.shape, predicted.probs).long()
    if isinstance(predicted, CategoricalPrediction):
        probs = with_deleted(predicted.moments["probs"]).movedim(predicted.class_dim + 1, -1)
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
