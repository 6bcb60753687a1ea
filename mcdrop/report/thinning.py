"""Which part of a very large prediction a report reads, so that it takes seconds and the page says so."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from torch import Tensor

from mcdrop.prediction import (
    BinaryPrediction,
    CategoricalPrediction,
    Prediction,
)
from mcdrop.report.wording import grouped
from mcdrop.tree import map_tensors

Kept = TypeVar("Kept", bound=Prediction)

MOST_LABELS = 200_000
"""Labels that are ranked and sorted, for each group of draws again."""

MOST_NUMBERS = 1_000_000
"""Draws of numbers whose mixtures are read."""


@dataclass(frozen=True)
class Thinning:
    """Every k-th row, or every k-th pixel of each row; 1 for all of them.

    Args:
        rows: k of the rows.
        elements: k of the elements within a row, counted line by line.
        notes: What was left out, for the page.
    """

    rows: int = 1
    elements: int = 1
    notes: tuple[str, ...] = ()

    def predicted(self, given: Kept) -> Kept:
        """The part of a prediction."""
        part = given[:: self.rows]
        if self.elements == 1:
            return part
        axis = part.class_dim if isinstance(part, CategoricalPrediction) else None
        moments = {
            name: map_tensors(partial(self._elements, class_axis=axis if name == "probs" else None), of_name)
            for name, of_name in part.moments.items()
        }
        thinned = replace(part, moments=moments, samples=None)
        return replace(thinned, class_dim=1) if isinstance(thinned, CategoricalPrediction) else thinned

    def targets(self, given: Tensor) -> Tensor:
        """The targets of the part."""
        part = given[:: self.rows]
        return part if self.elements == 1 else self._elements(part, None)

    def rows_of(self, given: Tensor) -> Tensor:
        """What belongs to the rows of the part, whole."""
        return given[:: self.rows]

    def _elements(self, tensor: Tensor, class_axis: int | None) -> Tensor:
        """(N, C, E') or (N, E')."""
        if class_axis is None:
            return tensor.flatten(1)[:, :: self.elements]
        return tensor.movedim(class_axis, 1).flatten(2)[:, :, :: self.elements]


def thinning_for(prediction: Prediction, targets: Tensor) -> Thinning:
    """All of the prediction, or as much of it as can be ranked in seconds.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> images = from_draws(torch.zeros(2, 10, 3, 256, 256), Categorical(class_dim=1))  # two draws of ten images
        >>> thinning_for(images, torch.zeros(10, 256, 256, dtype=torch.int64)).elements
        4
    """
    labels, per_row = targets.numel(), targets[0].numel()
    of_labels = isinstance(prediction, CategoricalPrediction | BinaryPrediction)
    most = MOST_LABELS if of_labels else max(1, MOST_NUMBERS // prediction.num_samples)
    if labels <= most:
        return Thinning()
    elements = min(-(-labels // most), per_row) if of_labels else 1
    rows = -(-len(targets) * -(-per_row // elements) // most)
    left_out = []
    if elements > 1:
        every = f"every {_ordinal(elements)} is scored, counted line by line"
        left_out.append(f"of the {grouped(per_row)} labels of each row {every}")
    if rows > 1:
        left_out.append(f"of {grouped(len(targets))} rows every {_ordinal(rows)} is scored")
    said = " and ".join(left_out)
    why = f"{grouped(labels)} {'labels' if of_labels else 'numbers'} in all, more than {grouped(most)}, take minutes."
    return Thinning(rows, elements, (f"{said[0].upper()}{said[1:]}: {why}",))


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
