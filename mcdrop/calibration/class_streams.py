"""Streams of the scores of classes that are no mean over rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.binning import BinSums, bin_borders, bin_of, bin_sums
from mcdrop.calibration.calibration_error import binned_error
from mcdrop.calibration.corp import decomposed
from mcdrop.calibration.forecasts import Forecasts, forecasts, gathered, joined, pieces
from mcdrop.calibration.judged import Judged
from mcdrop.calibration.log_density import StreamedLogDensity
from mcdrop.calibration.losses import group_counts
from mcdrop.calibration.ranking import error_ranking
from mcdrop.calibration.score import Score, scored
from mcdrop.calibration.selective import selective_area
from mcdrop.calibration.smooth import smoothed
from mcdrop.calibration.streams import Stream
from mcdrop.prediction import BinaryPrediction, Prediction
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, eq=False)
class BinnedErrors(Stream):
    """`expected_calibration_error` with its defaults, exactly: sums of 15 bins take no memory per row.

    Args:
        names: Of the score.
        sums: Of the bins.
        products: Sum over rows of the products of what a row adds to two bins, all draws; gives the standard error.
        rows: How many.
        counts: Draws in each group.
    """

    sums: BinSums | None = None
    products: Float[Tensor, "B B"] | None = None
    rows: int = 0
    counts: tuple[int, ...] = ()

    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "BinnedErrors":
        after = replace(self, rows=self.rows + len(prediction), counts=group_counts(prediction))
        for piece in pieces(prediction, targets):
            of = forecasts(*piece, "top_label")
            borders = bin_borders(of.probs[0].flatten()[:, None], "equal_width", 15)
            residuals = (of.probs[0] - of.happened[0].to(of.probs.dtype))[..., 0]
            per_row = residuals.new_zeros(len(residuals), 15)
            per_row.scatter_add_(1, bin_of(of.probs[0], borders)[..., 0], residuals / residuals.shape[1])
            sums, products = bin_sums(of, borders), per_row.T @ per_row
            if after.sums is not None and after.products is not None:
                sums, products = after.sums + sums, after.products + products
            after = replace(after, sums=sums, products=products)
        return after

    def scores(self) -> dict[str, Score]:
        assert self.sums is not None
        assert self.products is not None
        values = binned_error(self.sums, "l1", debiased=False)
        score, sign = scored(values, None, self.counts), self.sums.gaps[0, 0].sign()
        squares = max(0.0, float(sign @ self.products @ sign) - self.rows * score.value**2)
        error = math.sqrt(squares / (self.rows - 1) / self.rows) if self.rows > 1 else None
        return dict.fromkeys(self.names, replace(score, standard_error=error))


@final
@dataclass(frozen=True, eq=False)
class KeptLabels(Stream):
    """Scores that look at all labels at once: confidence and whether it is right are kept, and their options are the
    defaults.

    They take `9 (1 + G)` bytes for each label, 153 for 16 groups of draws.

    Args:
        names: Of the scores.
        parts: Of the batches.
        counts: Draws in each group.
    """

    parts: tuple[Forecasts, ...] = ()
    counts: tuple[int, ...] = ()

    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "KeptLabels":
        part = gathered(prediction, targets, "top_label")
        return replace(self, parts=(*self.parts, part), counts=group_counts(prediction))

    def scores(self) -> dict[str, Score]:
        labels = joined(self.parts)
        return {name: OF_LABELS[name](labels, self.counts) for name in self.names}


@final
@dataclass(frozen=True, eq=False)
class KeptClasses(Stream):
    """The parts of `brier_decomposition`, which look at the probabilities of each class at once: they are kept.

    They take `9 (1 + G) C` bytes for each label, with C = 1 for events.

    Args:
        names: Of the parts, with "brier_" before them.
        parts: Of the batches.
        counts: Draws in each group.
        of_events: Whether the predictions are of events.
    """

    parts: tuple[Forecasts, ...] = ()
    counts: tuple[int, ...] = ()
    of_events: bool = False

    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "KeptClasses":
        part = gathered(prediction, targets, "classwise")
        parts, of_events = (*self.parts, part), isinstance(prediction, BinaryPrediction)
        return replace(self, parts=parts, counts=group_counts(prediction), of_events=of_events)

    def scores(self) -> dict[str, Score]:
        decomposition = decomposed(joined(self.parts), self.counts, times=2 if self.of_events else 1)
        return {name: getattr(decomposition, name.removeprefix("brier_")) for name in self.names}


def _judged(labels: Forecasts) -> Judged:
    return Judged(1 - labels.probs[..., 0], ~labels.happened[..., 0])


OF_LABELS: dict[str, Callable[[Forecasts, tuple[int, ...]], Score]] = {
    "smooth_calibration_error": smoothed,
    "aurc": lambda labels, counts: selective_area(_judged(labels), counts),
    "auroc_of_error": lambda labels, counts: error_ranking(_judged(labels), counts),
}
"""Scores of labels by name, each from confidences, whether they are right, and the draws in each group."""

PARTS_OF_BRIER = ("brier_miscalibration", "brier_discrimination", "brier_uncertainty")
