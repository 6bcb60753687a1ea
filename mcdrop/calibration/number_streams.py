"""Streams of the scores of numbers that are no mean over rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.jackknife import jackknife_error
from mcdrop.calibration.levels import LEVELS, mean_distance
from mcdrop.calibration.log_density import StreamedLogDensity
from mcdrop.calibration.number_rows import number_rows
from mcdrop.calibration.pit import shares_below
from mcdrop.calibration.predictive import Predictive
from mcdrop.calibration.score import Score
from mcdrop.calibration.streams import Stream
from mcdrop.calibration.uncertainty_order import by_row, ordering_error
from mcdrop.prediction import Prediction
from mcdrop.prediction.spread import Spread, combine, spread
from mcdrop.types import ArrayLike

OF_LEVELS: dict[str, Callable[[Predictive, Tensor], Tensor]] = {
    "quantile_calibration_error": lambda predictive, y: shares_below(predictive, y, LEVELS),
    "interval_calibration_error": lambda predictive, y: predictive.inside(y, LEVELS),
}
"""What is counted at each level, (L, R, M): whether a target is below a quantile, or inside of an interval."""


@dataclass(frozen=True, eq=False)
class _Shares:
    """Shares of targets at L levels.

    Args:
        spread: Over rows, (L, R).
        products: (L, L) sums over rows of the products of two levels, with all draws.
    """

    spread: Spread
    products: Float[Tensor, "L L"]


@final
@dataclass(frozen=True, eq=False)
class CountedLevels(Stream):
    """Distances of observed shares from their levels, with the default options; they take no memory per row.

    Args:
        names: Of the scores, of `OF_LEVELS`.
        shares: By the name of the score.
        counts: Draws in each group.
    """

    shares: dict[str, _Shares] = field(default_factory=dict)
    counts: tuple[int, ...] = ()

    @torch.no_grad()
    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "CountedLevels":
        rows = number_rows(prediction, targets)
        shares = dict(self.shares)
        for predictive, y in rows.pieces():
            for name in self.names:
                inside = rows.by_row(OF_LEVELS[name](predictive, y))
                before, first = shares.get(name), inside[:, 0]
                shares[name] = _Shares(
                    combine(before.spread if before else None, spread(inside.movedim(2, 0))),
                    first @ first.T + (before.products if before else 0),
                )
        return replace(self, shares=shares, counts=rows.jackknife_counts)

    def scores(self) -> dict[str, Score]:
        return {name: self._score(shares) for name, shares in self.shares.items()}

    def _score(self, shares: _Shares) -> Score:
        rows, centre = shares.spread.weight, shares.spread.centre
        values, slope = mean_distance(LEVELS, centre, absolute=False)
        covariance = shares.products - rows * torch.outer(centre[:, 0], centre[:, 0])
        squares = max(0.0, float(slope @ covariance @ slope))
        error = math.sqrt(squares / (rows - 1) / rows) if rows > 1 else None
        value, deleted = float(values[0]), values[1:]
        return Score(value, error, jackknife_error(value, deleted, self.counts), deleted, counts=self.counts)


@final
@dataclass(frozen=True, eq=False)
class KeptOrder(Stream):
    """The sparsification error, which ranks all rows: the variance and the squared error of each are kept.

    They take `16 (1 + G)` bytes for each row, 272 for 16 groups of draws.

    Args:
        names: Of the score.
        variances: (R, n) of the rows of each batch.
        errors: (R, n) of the same rows.
        counts: Draws in each group.
    """

    variances: tuple[Float[Tensor, "R _"], ...] = ()
    errors: tuple[Float[Tensor, "R _"], ...] = ()
    counts: tuple[int, ...] = ()

    @torch.no_grad()
    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "KeptOrder":
        rows = number_rows(prediction, targets)
        variance, error = by_row(rows)
        variances, errors = (*self.variances, variance), (*self.errors, error)
        return replace(self, variances=variances, errors=errors, counts=rows.jackknife_counts)

    def scores(self) -> dict[str, Score]:
        score = ordering_error(torch.cat(self.variances, dim=1), torch.cat(self.errors, dim=1), self.counts)
        return dict.fromkeys(self.names, score)
