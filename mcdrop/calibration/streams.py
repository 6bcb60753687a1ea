"""What batches of rows leave of scores, so that the data may be larger than memory."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self, final

from mcdrop.calibration.log_density import StreamedLogDensity
from mcdrop.calibration.losses import group_counts, row_losses, united
from mcdrop.calibration.score import Score
from mcdrop.calibration.scores import from_spread
from mcdrop.prediction import Prediction
from mcdrop.prediction.spread import Spread
from mcdrop.types import ArrayLike


@dataclass(frozen=True, eq=False)
class Stream(ABC):
    """Scores that are made of one thing which batches add to. Subclasses are final and start empty.

    Args:
        names: Of the scores.
    """

    names: tuple[str, ...]

    @abstractmethod
    def update(self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None) -> Self:
        """The stream after one more batch of rows, of the same draws."""

    @abstractmethod
    def scores(self) -> dict[str, Score]:
        """The scores of all rows so far, by name; there was at least one batch."""


@final
@dataclass(frozen=True, eq=False)
class MeanLosses(Stream):
    """Scores that are a mean over rows, or the root of one: they take no memory per row.

    Args:
        names: Of the scores.
        losses: Spread over rows of each score's loss: element 0 with all draws, the others without one group of them.
        counts: Draws in each group.
    """

    losses: dict[str, Spread] = field(default_factory=dict)
    counts: tuple[int, ...] = ()

    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "MeanLosses":
        added = row_losses(self.names, prediction, targets, log_density)
        losses = {name: united(self.losses.get(name), each.spread) for name, each in added.items()}
        return replace(self, losses=losses, counts=group_counts(prediction))

    def scores(self) -> dict[str, Score]:
        return {name: from_spread(name, losses, self.counts) for name, losses in self.losses.items()}
