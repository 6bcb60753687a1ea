"""What the draws say: the record that every likelihood fills in its own way.

A prediction holds moments and, where needed, the draws; everything else is a property computed from them. Rows are the
first axis of every result, and results are float64 (float32 on devices without it). A statistic that the record does
not hold enough for raises `UnavailableError` and names the remedy.
"""

import dataclasses
import os
from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, SupportsIndex, TypeVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction.likelihood import Likelihood
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.spread import Spread
from mcdrop.prediction.storage import write
from mcdrop.prediction.uneven import Uneven
from mcdrop.tree import map_tensors, named_tensors
from mcdrop.types import Tree

Rows = SupportsIndex | slice | Sequence[int] | np.ndarray | Tensor
"""What picks rows: a number, a slice, a list or array of numbers, or a mask of all rows."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Prediction(ABC):
    """What T draws of N rows say. Subclasses are final.

    Args:
        likelihood: How the outputs were read.
        provenance: What was run.
        moments: Of the likelihood's statistics, by name, each (N, *).
        samples: All draws (T, N, *out) in the structure of the output, or None if they were not kept.
    """

    likelihood: Likelihood
    provenance: Provenance
    moments: dict[str, Moments]
    samples: Tree = None

    row_fields: ClassVar[tuple[str, ...]] = ("moments",)
    """Fields whose tensors have rows on axis 0."""

    quantities: ClassVar[tuple[str, ...]] = ()
    """Properties that `numpy` gives."""

    shown: ClassVar[tuple[str, ...]] = ()
    """Those whose mean over rows the repr gives."""

    @property
    def num_samples(self) -> int:
        """`T`, the number of draws; the largest where rows differ."""
        return next(iter(self.moments.values())).count

    @property
    def num_samples_per_row(self) -> Int[Tensor, " N"]:
        """`T` of each row: they differ where each batch of a loader was drawn until it was known well enough."""
        return next(iter(self.moments.values())).counts_per_row

    @property
    def seed(self) -> int | None:
        """The seed of the masks."""
        return self.provenance.seed

    @property
    def mc_degrees_of_freedom(self) -> int:
        """Of `mc_error`: the number of blocks of draws less one."""
        return next(iter(self.moments.values())).mc_degrees_of_freedom

    @property
    def mc_error_is_upper_bound(self) -> bool:
        """Whether `mc_error` is only an upper bound, because all draws are one block (see `Moments.mc_error`)."""
        return next(iter(self.moments.values())).mc_error_is_upper_bound

    def __len__(self) -> int:
        return next(iter(self.moments.values())).mean.shape[0]

    def __getitem__(self, rows: Rows) -> Self:
        """The prediction of some rows; a single number keeps the row axis, so that the result has one row.

        Raises:
            InputError: If a mask does not have one entry per row or `rows` is no index of rows.
            IndexError: If a number is beyond the rows.
        """
        index = _index(rows, len(self))

        def pick(axis: int) -> Callable[[Tensor], Tensor]:
            if isinstance(index, slice):
                return lambda tensor: tensor[(slice(None),) * axis + (index,)]
            return lambda tensor: tensor.index_select(axis, index.to(tensor.device))

        return self._mapped(pick(0), pick(1))

    def __iter__(self) -> Iterator[Self]:
        """The predictions of the single rows."""
        return (self[row] for row in range(len(self)))

    def to(self, device: torch.device | torch.dtype | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The prediction on another device, in another floating-point precision, or both.

        Raises:
            InputError: If the dtype is not floating point.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype is not None and not dtype.is_floating_point:
            raise InputError(f"dtype={dtype} given, predictions hold floating-point numbers: torch.float32, say.")

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)

        return self._mapped(moved, moved)

    def numpy(self) -> dict[str, np.ndarray]:
        """All quantities as NumPy arrays, by name; those that one draw does not give are left out."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self._available(self.quantities)}

    def save(self, path: str | os.PathLike) -> None:
        """Writes the prediction to `path` as it is, NumPy's npz format; `mcdrop.prediction.load` reads it.

        The file appears complete or not at all. No suffix is added. Numbers come back bit by bit, on the CPU; output
        classes other than dict, list and tuple come back as those.
        """
        write(path, self)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}: {len(self)} rows, T={self.num_samples}, seed={self.seed}, {self.likelihood}"]
        lines += [_line(name, tensor) for name, tensor in self._available(self.shown)]
        lines.append(f"  samples {'kept' if self.samples is not None else 'not kept'}")
        return "\n".join(lines)

    def _available(self, names: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
        """The quantities of these names that there are enough draws for."""
        for name in names:
            try:
                quantity = getattr(self, name)
            except UnavailableError:
                continue
            yield from named_tensors(quantity, name)

    def _mapped(self, on_rows: Callable[..., Tensor], on_draws: Callable[..., Tensor], *others: "Prediction") -> Self:
        """Every tensor changed: `on_rows` has the rows on axis 0, `on_draws` on axis 1; `others` of the same make."""
        fields: dict[str, Any] = {
            name: map_tensors(on_rows, getattr(self, name), *(getattr(other, name) for other in others))
            for name in self.row_fields
        }
        samples = map_tensors(on_draws, self.samples, *(other.samples for other in others))
        return dataclasses.replace(self, **fields, samples=samples)

    def _kept_samples(self, wanted: str) -> Tree:
        if isinstance(next(iter(self.moments.values())), Uneven):
            raise UnavailableError(
                f"{wanted} needs every draw, and the rows have different numbers of them: give num_samples a number "
                "instead of Until, or ask each batch."
            )
        if self.samples is None:
            raise UnavailableError(
                f"{wanted} needs every draw, and only moments were kept: predict with keep_samples=True."
            )
        return self.samples


AnyPrediction = TypeVar("AnyPrediction", bound=Prediction, covariant=True)
"""The record that a likelihood makes, `Likelihood[AnyPrediction]`, where more is made of it."""


def concatenate(predictions: Sequence[AnyPrediction]) -> AnyPrediction:
    """The prediction of the rows of several, in order.

    All must come from the same draws: equal likelihood and provenance (but for `execution`, which is joined), with
    draws or without, so that a statistic means the same in each row. Where each was drawn until it was known well
    enough, numbers of draws may differ: then the draws are not kept, and each row has a number of its own.

    Raises:
        InputError: If there is none, or two differ; names in what.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Binary, from_draws
        >>> whole = from_draws(torch.randn(10, 4), Binary())
        >>> len(concatenate([whole[:1], whole[1:]]))
        4
    """
    if not predictions:
        raise InputError("No predictions given, concatenate needs at least one.")
    uneven = any(isinstance(next(iter(p.moments.values())), Uneven) for p in predictions)
    if uneven or (len({p.num_samples for p in predictions}) > 1 and all(p.provenance.until for p in predictions)):
        predictions = _uneven(predictions)
    first, *others = predictions
    for other in others:
        for name, one, two in _identities(first, other):
            if one != two:
                raise InputError(
                    f"Predictions that differ in {name} given ({one} and {two}): their rows do not compare."
                )
    executions = list(dict.fromkeys(prediction.provenance.execution for prediction in predictions))
    provenance = dataclasses.replace(first.provenance, execution="; ".join(filter(None, executions)))
    joined = first._mapped(lambda *parts: torch.cat(parts), lambda *parts: torch.cat(parts, dim=1), *others)
    return dataclasses.replace(joined, provenance=provenance)


def _uneven(predictions: Sequence[AnyPrediction]) -> list[AnyPrediction]:
    """The predictions without their draws, with moments that can be joined to those of other numbers of draws."""
    most = max(prediction.num_samples for prediction in predictions)
    found = []
    for prediction in predictions:
        moments: dict[str, Moments] = {
            name: dataclasses.replace(
                Uneven.of([part]), draws=Spread(most, part.mean, torch.full_like(part.mean, torch.nan))
            )
            for name, part in prediction.moments.items()
        }
        provenance = dataclasses.replace(prediction.provenance, num_samples=most)
        found.append(dataclasses.replace(prediction, moments=moments, samples=None, provenance=provenance))
    return found


def row_pieces(rows: int, numbers_per_row: int) -> Iterator[slice]:
    """Slices that cut rows into pieces, so that temporaries of each stay below four million numbers.

    Example:
        >>> list(row_pieces(5, 2**21))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    step = max(1, 2**22 // max(1, numbers_per_row))
    return (slice(start, start + step) for start in range(0, max(1, rows), step))


def _identities(first: Prediction, other: Prediction) -> Iterator[tuple[str, Any, Any]]:
    """What must be equal for rows to be comparable: its name and the two values."""
    yield "class", type(first).__name__, type(other).__name__
    yield "likelihood", first.likelihood, other.likelihood
    for field in dataclasses.fields(Provenance):
        if field.name != "execution":
            yield field.name, getattr(first.provenance, field.name), getattr(other.provenance, field.name)
    yield "having samples", first.samples is not None, other.samples is not None
    yield "the names of outputs", tuple(first.moments), tuple(other.moments)
    for name, one in first.moments.items():
        two = other.moments[name]
        yield "the groups of draws", one.groups.counts, two.groups.counts
        yield f"the shape of {name} per row", tuple(one.mean.shape[1:]), tuple(two.mean.shape[1:])


def _index(rows: Rows, length: int) -> slice | Tensor:
    """Rows as a slice of positive step or as an int64 tensor."""
    if isinstance(rows, slice):
        numbers = range(length)[rows]
        return rows if numbers.step > 0 else torch.tensor(list(numbers), dtype=torch.int64)
    index = rows.detach() if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows))
    if index.dtype == torch.bool and index.ndim == 1:
        if len(index) != length:
            raise InputError(f"A mask of {len(index)} rows given for a prediction of {length} rows.")
        return index.nonzero().flatten()
    if index.numel() == 0 and index.ndim == 1:
        return index.to(torch.int64)
    if index.ndim > 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise InputError(
            f"{type(rows).__name__} of shape {tuple(index.shape)} given, rows are picked by a number, a slice, a list "
            "of numbers or a mask: one axis only, since only rows can be taken out of a prediction."
        )
    index = index.long().reshape(-1)
    if ((index < -length) | (index >= length)).any():
        raise IndexError(f"Row {rows} given for a prediction of {length} rows.")
    return torch.where(index < 0, index + length, index)


def _line(name: str, tensor: Tensor) -> str:
    mean = f"mean {tensor.double().mean().item():.4g}" if tensor.numel() else "empty"
    return f"  {name} {tuple(tensor.shape)}: {mean}"
