"""Events that classes are read as: that the most probable class is right, or of each class that it is the one.

Calibration is a property of the probability of an event, so its scores look at classes through one of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mcdrop.calibration.class_losses import class_probs, is_event, true_labels
from mcdrop.calibration.losses import Predicted, checked, numbers_per_row
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction
from mcdrop.prediction.result import row_pieces
from mcdrop.types import ArrayLike

Kind: TypeAlias = Literal["top_label", "classwise"]
"""`top_label`: the label is right, with the confidence as its probability. `classwise`: each class is the true one."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Probabilities of K kinds of events for E elements of N rows, and what happened.

    Args:
        probs: With all draws, then without each of the G groups of them (R = 1 + G).
        happened: Whether the event did; it depends on the draws where the event is that their label is right.
    """

    probs: Float[Tensor, "R N E K"]
    happened: Bool[Tensor, "R N E K"]


def forecasts(prediction: Predicted, targets: ArrayLike, kind: Kind, *, deleted: bool = True) -> Forecasts:
    """The events of some rows.

    Args:
        prediction: Of classes or events, or an array of probabilities (N, C) or (N,).
        targets: Labels of its rows.
        kind: "top_label" has K = 1. "classwise" has K = C, or for events K = 1: the event itself.
        deleted: False leaves out what is known without each group of draws, so that R = 1.

    Raises:
        InputError: If the targets or the kind do not fit, there are no rows, or the prediction is not of classes.

    Example:
        >>> import torch
        >>> of_labels = forecasts(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1]), "top_label")
        >>> of_labels.probs.flatten(), of_labels.happened.flatten()  # ties go to the first class
        (tensor([0.7500, 0.5000], dtype=torch.float64), tensor([ True, False]))
    """
    if kind not in get_args(Kind):
        raise InputError(f"kind={kind!r} given; expected 'top_label' or 'classwise'.")
    probs, labels = flat_class_probs(prediction, targets, deleted=deleted)
    if kind == "top_label":
        confidence, label = probs.max(dim=-1, keepdim=True)
        return Forecasts(confidence, label == labels[..., None])
    if is_event(prediction):
        return Forecasts(probs[..., 1:], (labels == 1)[..., None].expand(len(probs), -1, -1, -1))
    one_hot = torch.nn.functional.one_hot(labels, probs.shape[-1]).bool()
    return Forecasts(probs, one_hot.expand_as(probs))


def flat_class_probs(
    prediction: Predicted, targets: ArrayLike, *, deleted: bool = True
) -> tuple[Float[Tensor, "R N E C"], Int[Tensor, "N E"]]:
    """Probabilities of the classes and labels, with the elements of a row on one axis."""
    given = checked(prediction, targets)
    probs = class_probs(given, deleted=deleted)
    labels = true_labels(given, probs, targets)
    return probs.reshape(*probs.shape[:2], -1, probs.shape[-1]), labels.reshape(len(labels), -1)


def gathered(prediction: Predicted, targets: ArrayLike, kind: Kind, *, deleted: bool = True) -> Forecasts:
    """The events of all rows, made in pieces; arguments and errors as of `forecasts`."""
    return joined([forecasts(*piece, kind, deleted=deleted) for piece in pieces(prediction, targets)])


def joined(parts: Sequence[Forecasts]) -> Forecasts:
    """The events of rows that follow each other."""
    return Forecasts(
        torch.cat([part.probs for part in parts], dim=1), torch.cat([part.happened for part in parts], dim=1)
    )


def pieces(prediction: Predicted, targets: ArrayLike) -> Iterator[tuple[Prediction | Tensor, ArrayLike]]:
    """The rows in pieces that keep temporaries small."""
    given = checked(prediction, targets)
    return ((given[rows], targets[rows]) for rows in row_pieces(len(given), numbers_per_row(given)))
