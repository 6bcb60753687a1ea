"""What a score averages over rows: the loss of each row, with all draws and without each group of them.

Elements of one row (pixels, tokens, outputs) are averaged first: they depend on each other, rows do not.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration import class_losses, number_losses
from mcdrop.calibration.given import as_tensor, check_rows
from mcdrop.calibration.log_density import StreamedLogDensity
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction
from mcdrop.prediction.recalibrated import Numbers
from mcdrop.prediction.result import row_pieces
from mcdrop.prediction.spread import Spread, combine, spread
from mcdrop.types import ArrayLike

Predicted: TypeAlias = Prediction | ArrayLike
"""A prediction, or an array of what is predicted: probabilities (N, C) or of the event (N,), or means."""


_LIKELIHOOD = "negative_log_likelihood"


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
def row_losses(
    names: tuple[str, ...], predicted: Predicted, targets: ArrayLike, log_density: StreamedLogDensity | None = None
) -> dict[str, RowLosses]:
    """The losses by the name of the score.

    Args:
        names: Of scores; `rmse` averages squares.
        predicted: A prediction or an array.
        targets: Of its rows.
        log_density: Of these targets under the same draws, in place of the samples of a prediction of numbers.

    Raises:
        InputError: If the targets or the score do not fit the prediction, or there are no rows.
        UnavailableError: For the negative log-likelihood of numbers without samples.
    """
    given = checked(predicted, targets)
    streamed = _streamed_losses(log_density, group_counts(given)) if _LIKELIHOOD in names else None
    asked = tuple(name for name in names if streamed is None or name != _LIKELIHOOD)
    totals: dict[str, Spread] = {}
    rows: dict[str, list[Tensor]] = {name: [] for name in asked}
    for piece in row_pieces(len(given), numbers_per_row(given)):
        for name, losses in _losses(asked, given[piece], targets[piece]).items():
            by_row = losses.reshape(*losses.shape[:2], -1).mean(dim=2).T
            totals[name] = united(totals.get(name), spread(by_row))
            rows[name].append(by_row[:, 0])
    found = {name: RowLosses(totals[name], torch.cat(rows[name])) for name in asked}
    if streamed is not None:
        found[_LIKELIHOOD] = RowLosses(spread(streamed), streamed[:, 0])
    return found


def united(before: Spread | None, added: Spread) -> Spread:
    """The spread of more losses, infinite once one of them was, where infinities in `combine` cancel to NaN.

    Example:
        >>> united(spread(torch.tensor([torch.inf])), spread(torch.tensor([1.0]))).centre
        tensor(inf, dtype=torch.float64)
    """
    total = combine(before, added)
    if before is None:
        return total
    return replace(total, centre=torch.where(before.centre.isinf(), before.centre, total.centre))


def _streamed_losses(log_density: StreamedLogDensity | None, counts: tuple[int, ...]) -> Float[Tensor, "N R"] | None:
    """The loss of each row by the density of its target, which was summed up draw by draw; None without it."""
    if log_density is None:
        return None
    if counts and log_density.counts != counts:
        raise InputError(
            f"The density of draws in groups of {log_density.counts} given for a prediction of groups of {counts}: "
            "both must come from the same draws."
        )
    losses = -log_density.log_mean_exp.cpu()[: 1 + len(counts)]
    return losses.flatten(2).mean(dim=2).T if losses.ndim > 2 else losses.T


def checked(predicted: Predicted, targets: ArrayLike) -> Prediction | Tensor:
    """The prediction, or the array as a tensor, of as many rows as the targets.

    Raises:
        InputError: If there are no rows, not as many targets, or one of the two is no array of numbers.
    """
    if not isinstance(predicted, Prediction):
        predicted = as_tensor(predicted)
        if predicted.ndim == 0:
            raise InputError("A single number given as a prediction: expected an array with one row for each target.")
    check_rows(len(predicted), targets, "a score")
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
        known = number_losses.NAMES if isinstance(predicted, Numbers) else ()
    if not set(names) <= set(known):
        raise InputError(
            f"{', '.join(names)} of a {type(predicted).__name__} asked, which has {', '.join(known) or 'no scores'}. "
            f"Classes and events have {', '.join(class_losses.NAMES)}; numbers have {', '.join(number_losses.NAMES)}."
        )
    if isinstance(predicted, Numbers) or "rmse" in names:
        return {name: number_losses.number_loss(name, predicted, targets) for name in names}
    probs = class_losses.class_probs(predicted)
    labels = class_losses.true_labels(predicted, probs, targets)
    return {name: class_losses.class_loss(name, probs, labels) for name in names}


def numbers_per_row(predicted: Prediction | Tensor) -> int:
    """How many numbers losses of one row take, with all draws and without each group of them."""
    if isinstance(predicted, Tensor):
        return predicted[0].numel()
    moments = next(iter(predicted.moments.values()))
    copies = predicted.num_samples if predicted.samples is not None else 1 + len(moments.groups.counts)
    return copies * moments.mean[0].numel()
