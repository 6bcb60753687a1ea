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


def class_probs(predicted: Prediction | Tensor, *, deleted: bool = True) -> Float[Tensor, "R N *rest C"]:
    """Probabilities with all draws, then without each of the G groups of them; only the first unless `deleted`.

    Raises:
        InputError: If it is no prediction of classes or events, nor an array of probabilities.
    """
    if isinstance(predicted, BinaryPrediction):
        return torch.stack([_means(predicted, name, deleted) for name in ("complement", "probs")], dim=-1)
    if isinstance(predicted, CategoricalPrediction):
        return _means(predicted, "probs", deleted).movedim(predicted.class_dim + 1, -1)
    if isinstance(predicted, Prediction):
        raise InputError(
            f"A {type(predicted).__name__} given, and this score is of classes: expected a prediction made with "
            "Categorical() or Binary(), or an array of probabilities."
        )
    given = accumulated(predicted)
    if given.ndim not in (1, 2) or not ((given >= 0) & (given <= 1)).all() or given.shape[1:] == (1,):
        raise InputError(
            f"An array {tuple(given.shape)} given, expected probabilities from 0 to 1: (N, C), or (N,) of the event."
        )
    if given.ndim == 1:
        return torch.stack([1 - given, given], dim=-1)[None]
    off = float((given.sum(dim=1) - 1).abs().amax()) if len(given) else 0.0
    if off > max(1e-4, 4 * (torch.finfo(predicted.dtype).eps if predicted.is_floating_point() else 0.0)):
        raise InputError(
            f"An array {tuple(given.shape)} given whose rows sum to one only up to {off:.3g}: expected probabilities "
            "of classes that exclude each other. Events are scored one by one, each (N,)."
        )
    return given[None]


def true_labels(
    predicted: Prediction | Tensor, probs: Float[Tensor, "R N *rest C"], targets: ArrayLike
) -> Int[Tensor, " N *rest"]:
    """The targets as labels of the classes of `probs`, which `class_probs` made of the prediction.

    Raises:
        InputError: If they do not fit.
    """
    if is_event(predicted):
        of_event = predicted.probs if isinstance(predicted, BinaryPrediction) else probs[0, ..., 1]
        return events(targets, of_event.shape, of_event).long()
    return class_labels(targets, probs.shape[1:-1], probs.shape[-1], probs)


def is_event(predicted: Prediction | ArrayLike) -> bool:
    """Whether it is of events, whose two classes have one probability."""
    return isinstance(predicted, BinaryPrediction) or (not isinstance(predicted, Prediction) and predicted.ndim == 1)


def _means(predicted: Prediction, name: str, deleted: bool) -> Tensor:
    moments = predicted.moments[name]
    return with_deleted(moments) if deleted else moments.mean[None]
