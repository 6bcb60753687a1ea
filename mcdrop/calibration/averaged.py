"""Changing the probabilities that the draws average to, and with them what they average to without each group."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.fitted_on import Classes
from mcdrop.calibration.jackknife import with_deleted
from mcdrop.prediction import BinaryPrediction, Moments, Provenance, Recomputed
from mcdrop.prediction.result import row_pieces
from mcdrop.prediction.targets import class_labels, events
from mcdrop.types import ArrayLike

Change: TypeAlias = Callable[[Float[Tensor, "... C"]], Float[Tensor, "... C"]]
"""What becomes of probabilities whose last axis holds the classes."""


def averaged_probs(prediction: Classes) -> Float[Tensor, "N *rest C"]:
    """The averaged probabilities with the classes last; of an event those of 0 and of 1."""
    if isinstance(prediction, BinaryPrediction):
        return torch.stack([prediction.moments[name].mean for name in ("complement", "probs")], dim=-1)
    return prediction.probs.movedim(prediction.class_dim, -1)


def labels_of(prediction: Classes, targets: ArrayLike) -> Int[Tensor, " N *rest"]:
    """The targets as labels.

    Raises:
        InputError: If they do not fit.
    """
    probs = averaged_probs(prediction[:1])
    shape = torch.Size((len(prediction), *probs.shape[1:-1]))
    if isinstance(prediction, BinaryPrediction):
        return events(targets, shape, probs).long()
    return class_labels(targets, shape, probs.shape[-1], probs)


def with_changed_average(prediction: Classes, change: Change, provenance: Provenance) -> Classes:
    """The prediction whose averaged probabilities are changed, so that scores and their Monte Carlo errors follow.

    Args:
        prediction: As it is.
        change: Of the probabilities.
        provenance: Of the result.

    Returns:
        A prediction without draws: a single draw has no recalibrated probabilities.
    """
    names = ("complement", "probs") if isinstance(prediction, BinaryPrediction) else ("probs",)
    groups = len(prediction.moments["probs"].groups.counts)
    per_row = (1 + groups) * len(names) * prediction.probs[0].numel() if len(prediction) else 1
    pieces = [_changed(prediction[rows], names, change) for rows in row_pieces(len(prediction), per_row)]
    moments: dict[str, Moments] = {}
    for name in names:
        old = prediction.moments[name]
        value, *without = (torch.cat(parts) for parts in zip(*(piece[name] for piece in pieces), strict=True))
        moments[name] = Recomputed.of(value, tuple(without), old)
    return replace(prediction, moments=moments, samples=None, provenance=provenance)


def _changed(prediction: Classes, names: tuple[str, ...], change: Change) -> dict[str, list[Tensor]]:
    """By name: the changed means of some rows, of all draws and then without each group of them."""
    means = [with_deleted(prediction.moments[name]) for name in names]
    if isinstance(prediction, BinaryPrediction):
        changed = change(torch.stack(means, dim=-1)).unbind(dim=-1)
    else:
        axis = prediction.class_dim + 1
        changed = (change(means[0].movedim(axis, -1)).movedim(-1, axis),)
    dtype = prediction.moments["probs"].groups.dtype
    return {
        name: [parts[0], *(part.to(dtype) for part in parts[1:])] for name, parts in zip(names, changed, strict=True)
    }
