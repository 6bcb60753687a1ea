"""What a score averages over rows: the loss of each row, with all draws and without each group of them.

Elements of one row (pixels, tokens, outputs) are averaged first: they depend on each other, rows do not.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration import class_losses, number_losses
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction, RegressionPrediction
from mcdrop.prediction.result import row_pieces
from mcdrop.prediction.spread import Spread, combine, spread
from mcdrop.types import ArrayLike

Predicted: TypeAlias = Prediction | ArrayLike
"""A prediction, or an array of what is predicted: probabilities (N, C) or of the event (N,), or means."""


@dataclass(frozen=True, eq=False)
class RowLosses:
    """Losses of N rows, each the mean over the row's elements.

    Args:
        spread: Over the rows, of shape (1 + G,): with all draws, then without each of the G groups of them.
        rows: (N,) the loss of each row with all draws.
    """

    spread: Spread
    rows: Float[Tensor, " N"]


@torch.no_grad()
def row_losses(names: tuple[str, ...], predicted: Predicted, targets: ArrayLike) -> dict[str, RowLosses]:
    """The losses by the name of the score.

    Args:
        names: Of scores; `rmse` averages squares.
        predicted: A prediction or an array.
        targets: Of its rows.

    Raises:
        InputError: If the targets or the score do not fit the prediction, or there are no rows.
        UnavailableError: For the negative log-likelihood of numbers without samples.
    """
    given = checked(predicted, targets)
    totals: dict[str, Spread] = {}
    rows: dict[str, list[Tensor]] = {name: [] for name in names}
    for piece in row_pieces(len(given), _numbers_per_row(given)):
        for name, losses in _losses(names, given[piece], targets[piece]).items():
            by_row = losses.reshape(*losses.shape[:2], -1).mean(dim=2).T
            totals[name] = combine(totals.get(name), spread(by_row))
            rows[name].append(by_row[:, 0])
    return {name: RowLosses(totals[name], torch.cat(rows[name])) for name in names}


def checked(predicted: Predicted, targets: ArrayLike) -> Prediction | Tensor:
    """The prediction, or the array as a tensor, of as many rows as the targets.

    Raises:
        InputError: If there are no rows, or not as many targets.
    """
    if isinstance(predicted, np.ndarray):
        predicted = torch.from_numpy(predicted.copy())  # arrays may be read-only or run backwards
    if len(predicted) == 0:
        raise InputError("0 rows given, a score needs at least one.")
    if targets.ndim == 0 or len(targets) != len(predicted):
        raise InputError(f"Targets of shape {tuple(targets.shape)} given for predictions of {len(predicted)} rows.")
    return predicted


def group_counts(predicted: Predicted) -> tuple[int, ...]:
    """Draws in each group; none for arrays, nor for the members of an ensemble, which are all there is."""
    if not isinstance(predicted, Prediction) or predicted.provenance.members:
        return ()
    return next(iter(predicted.moments.values())).groups.counts


def _losses(names: tuple[str, ...], predicted: Prediction | Tensor, targets: ArrayLike) -> dict[str, Tensor]:
    """Losses (1 + G, N, *rest) of each element."""
    if isinstance(predicted, Tensor):
        known: tuple[str, ...] = (*class_losses.NAMES, "rmse")
    elif isinstance(predicted, CategoricalPrediction | BinaryPrediction):
        known = class_losses.NAMES
    else:
        known = number_losses.NAMES if isinstance(predicted, RegressionPrediction) else ()
    if not set(names) <= set(known):
        raise InputError(
            f"{', '.join(names)} of a {type(predicted).__name__} asked, which has {', '.join(known) or 'no scores'}. "
            f"Classes and events have {', '.join(class_losses.NAMES)}; numbers have {', '.join(number_losses.NAMES)}."
        )
    if isinstance(predicted, RegressionPrediction) or "rmse" in names:
        return {name: number_losses.number_loss(name, predicted, targets) for name in names}
    probs, labels = class_losses.class_probs(predicted, targets)
    return {name: class_losses.class_loss(name, probs, labels) for name in names}


def _numbers_per_row(predicted: Prediction | Tensor) -> int:
    if isinstance(predicted, Tensor):
        return predicted[0].numel()
    moments = next(iter(predicted.moments.values()))
    copies = predicted.num_samples if predicted.samples is not None else 1 + len(moments.groups.counts)
    return copies * moments.mean[0].numel()
