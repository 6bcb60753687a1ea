"""Sets that hold the target with a stated probability: of classes, and intervals of numbers."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Bool, Float, Int
from torch import Tensor

from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError
from mcdrop.prediction.targets import class_labels, events, numbers
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, eq=False)
class PredictionSets:
    """A set of classes for each row.

    Args:
        members: (N, C) whether the class is in the row's set; a set may be empty, or all classes.
        alpha: Miscoverage that was asked for.
        of_events: Whether the two classes are that an event does not happen, and that it does.

    Example:
        >>> import torch
        >>> sets = PredictionSets(torch.tensor([[True, False], [True, True]]), alpha=0.1)
        >>> sets.sizes, sets.coverage(torch.tensor([1, 1])).value
        (tensor([1, 2]), 0.5)
    """

    members: Bool[Tensor, "N C"]
    alpha: float
    of_events: bool = False

    def __len__(self) -> int:
        return len(self.members)

    @property
    def sizes(self) -> Int[Tensor, " N"]:
        """Classes in each set."""
        return self.members.sum(dim=1)

    def coverage(self, targets: ArrayLike) -> Score:
        """Share of rows whose set holds the label (0 or 1 of events), with the error of the choice of these rows.

        Raises:
            InputError: If the targets do not fit, or there are no rows.
        """
        _check_rows(len(self))
        rows = self.members.shape[:1]
        if self.of_events:
            labels = events(targets, rows, self.members).long()
        else:
            labels = class_labels(targets, rows, self.members.shape[1], self.members)
        inside = self.members.gather(1, labels[:, None])[:, 0].double()
        return scored(inside.mean()[None], inside - inside.mean(), ())


@final
@dataclass(frozen=True, eq=False)
class PredictionIntervals:
    """An interval for each number, both ends included.

    Args:
        lower: In the shape of the mean, in the output's unit; -inf where no held-out row sets a bound.
        upper: As lower; inf.
        alpha: Miscoverage that was asked for, of each output for itself.

    Example:
        >>> import torch
        >>> intervals = PredictionIntervals(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 4.0]), alpha=0.1)
        >>> intervals.widths, intervals.coverage(torch.tensor([1.0, 9.0])).value
        (tensor([2., 3.]), 0.5)
    """

    lower: Float[Tensor, " N *out"]
    upper: Float[Tensor, " N *out"]
    alpha: float

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def widths(self) -> Float[Tensor, " N *out"]:
        """`upper - lower`, in the output's unit."""
        return self.upper - self.lower

    def coverage(self, targets: ArrayLike) -> Score:
        """Share of targets inside, outputs of a row averaged, with the standard error of the choice of these rows.

        Raises:
            InputError: If the targets do not fit, or there are no rows.
        """
        _check_rows(len(self))
        y = numbers(targets, self.lower.shape, self.lower)
        inside = ((self.lower <= y) & (y <= self.upper)).double().reshape(len(self), -1).mean(dim=1)
        return scored(inside.mean()[None], inside - inside.mean(), ())


def _check_rows(rows: int) -> None:
    if rows == 0:
        raise InputError("0 rows given, a coverage needs at least one.")
