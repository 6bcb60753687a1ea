"""Which axis of a site holds the rows of the input, established by evidence.

The model runs on N rows and on N + 1 rows: all of them in reverse, the last one twice. An axis whose size grows from
k N to k (N + 1) holds the rows; where k > 1 (attention heads, tokens or windows folded into the batch) the values tell
whether they lie row by row or interleaved, and that every row has k places (packed sequences of several lengths may
have k N in all; in reverse their places do not fit). The same two passes show whether rows influence each other: then
no mask may be shared by "rows", because they are parts of one whole.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mcdrop.errors import InputError, RowAxisError
from mcdrop.tree import describe, map_tensors, tensors
from mcdrop.types import Tree

_IN_ROWS = frozenset({torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc})
"""Layouts of tensors whose rows can be picked."""


@dataclass(frozen=True)
class RowAxis:
    """The axis of a site that holds the rows: its size is `outer * N * inner`, and a row's parts lie at
    (o, row, i) for all o < outer, i < inner.

    Example:
        >>> RowAxis(axis=0, outer=1, inner=8).unit((32, 5, 5))  # 4 rows of 8 heads
        (1, 1, 8, 5, 5)
    """

    axis: int
    outer: int = 1
    inner: int = 1

    @property
    def is_folded(self) -> bool:
        """Whether each row has several places on the axis."""
        return self.outer * self.inner > 1

    def unit(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of one row's mask, against a tensor of `shape` unfolded by `unfold`."""
        parts = (self.outer, 1, self.inner) if self.is_folded else (1,)
        return (*shape[: self.axis], *parts, *shape[self.axis + 1 :])

    def unfold(self, tensor: Tensor) -> Tensor:
        """The tensor with the axis split into (outer, N, inner), unless the rows are the whole axis."""
        return tensor.unflatten(self.axis, (self.outer, -1, self.inner)) if self.is_folded else tensor

    def fold(self, tensor: Tensor) -> Tensor:
        """The inverse of `unfold`."""
        return tensor.flatten(self.axis, self.axis + 2) if self.is_folded else tensor

    def spread(self, unit: Tensor, shape: Sequence[int]) -> Tensor:
        """One row's values, of the shape `unit`, given to all rows of a tensor of `shape`."""
        rows = shape[self.axis] // (self.outer * self.inner)
        place = self.axis + self.is_folded
        sizes = [-1] * unit.ndim
        sizes[place] = rows
        # A copy, because what is drawn may be written to.
        return self.fold(unit.expand(sizes).clone())

    def is_first(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Which places of a tensor of `shape` are the first row's; it broadcasts against that tensor.

        Example:
            >>> RowAxis(axis=0, outer=1, inner=2).is_first((4, 3), torch.device("cpu")).flatten().tolist()
            [True, True, False, False]
        """
        sizes = [1] * len(shape)
        sizes[self.axis] = shape[self.axis]
        places = torch.arange(shape[self.axis], device=device).view(sizes)
        return places // self.inner % (shape[self.axis] // (self.outer * self.inner)) == 0

    def __str__(self) -> str:
        if not self.is_folded:
            return f"axis {self.axis}"
        parts = [str(n) for n in (self.outer,) if n > 1] + ["rows"] + [str(n) for n in (self.inner,) if n > 1]
        return f"axis {self.axis} = {' x '.join(parts)}"


@dataclass(frozen=True)
class Profile:
    """What is remembered of a site's input in one pass.

    Args:
        shape: Its shape.
        sums: For each axis into which several rows' parts may be folded one number for each index on it: a sum over all
            other axes with weights that differ from place to place (attention weights add up to one, so a plain sum
            would be blind). Empty where the values tell nothing.
    """

    shape: tuple[int, ...]
    sums: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tensor: Tensor, rows: int) -> "Profile":
        """The profile of a site's input in a pass over so many rows."""
        # With one row, or on an axis of as many places as rows, there is one layout only.
        folded = [axis for axis, size in enumerate(tensor.shape) if size > rows > 1 and size % rows == 0]
        return cls(tuple(tensor.shape), {axis: _weighted_sums(tensor.detach(), axis) for axis in folded})


def _weighted_sums(values: Tensor, axis: int) -> Tensor:
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    before, after = math.prod(values.shape[:axis]), math.prod(values.shape[axis + 1 :])
    inner = values.reshape(-1, after) @ _weights(after, values)
    return _weights(before, values) @ inner.view(before, -1)


def _weights(count: int, like: Tensor) -> Tensor:
    return torch.arange(1, count + 1, device=like.device).sin().to(like.dtype)


def count_rows(inputs: Tree, batch_dim: int) -> int:
    """The number of rows: the size of the first tensor along `batch_dim`."""
    found = tensors(inputs)
    for tensor in found:
        if tensor.is_nested or tensor.layout not in _IN_ROWS:
            what = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
            raise InputError(
                f"A {what} tensor was given, whose rows cannot be taken apart. Pass batch_dim=None where the whole "
                "input is one row, or a tensor that is strided or sparse in COO, CSR or CSC layout."
            )
    if not found:
        raise InputError(f"The input is a {describe(inputs)}; expected at least one tensor.")
    if not -found[0].ndim <= batch_dim < found[0].ndim:
        raise InputError(
            f"batch_dim={batch_dim} was given for an input {describe(found[0])}. Give the axis of the rows, or "
            "batch_dim=None where the whole input is one row."
        )
    return found[0].shape[batch_dim]


def orders(rows: int) -> tuple[list[int], list[int]]:
    """Which rows the second pass runs on: all in reverse, the last one twice, which proves the most; or, where the
    model wants its rows sorted, as they are with the first one twice.

    Example:
        >>> orders(3)
        ([2, 2, 1, 0], [0, 0, 1, 2])
    """
    return [rows - 1, *reversed(range(rows))], [0, *range(rows)]


def picked_rows(inputs: Tree, batch_dim: int, order: Sequence[int]) -> Tree:
    """The input with these of its rows, in this order.

    Example:
        >>> picked_rows({"ids": torch.tensor([5, 6, 7]), "flag": True}, 0, [2, 2, 1, 0])
        {'ids': tensor([7, 7, 6, 5]), 'flag': True}
    """
    return _on_rows(lambda tensor: _picked(tensor, batch_dim, order), inputs, batch_dim)


def _picked(tensor: Tensor, axis: int, order: Sequence[int]) -> Tensor:
    index = torch.tensor(order, device=tensor.device)
    if tensor.layout == torch.strided:
        return tensor.index_select(axis, index)
    picked = tensor.to_sparse_coo().index_select(axis, index).coalesce()  # compressed ones have no such operation
    return picked if tensor.layout == torch.sparse_coo else picked.to_sparse(layout=tensor.layout)


def first_rows(inputs: Tree, batch_dim: int, count: int) -> Tree:
    """The first `count` rows of an input.

    Example:
        >>> first_rows((torch.arange(4.0), torch.eye(4)), 0, 2)
        (tensor([0., 1.]), tensor([[1., 0., 0., 0.],
                [0., 1., 0., 0.]]))
    """

    def first(tensor: Tensor) -> Tensor:
        if tensor.layout == torch.strided:  # a view, where sparse ones take a copy
            return tensor.narrow(batch_dim, 0, count)
        return _picked(tensor, batch_dim, range(count))

    return _on_rows(first, inputs, batch_dim)


def _on_rows(change: Callable[[Tensor], Tensor], inputs: Tree, batch_dim: int) -> Tree:
    """The input with `change` made to its tensors that hold the rows."""
    rows = count_rows(inputs, batch_dim)

    def changed(tensor: Tensor) -> Tensor:
        holds = -tensor.ndim <= batch_dim < tensor.ndim and tensor.shape[batch_dim] == rows
        return change(tensor) if holds else tensor

    return map_tensors(changed, inputs)


def row_axis(name: str, before: Profile, after: Profile, rows: int, order: Sequence[int]) -> RowAxis | None:
    """The row axis of one site from its profiles at N and N + 1 rows; None when its input does not depend on N.

    Args:
        name: Of the site.
        before: Its profile at N rows.
        after: Its profile at N + 1 rows.
        rows: N.
        order: Which rows those were (see `orders`).

    Raises:
        RowAxisError: Several axes grow, or one grows by something else than its share, or the values fit no layout or
            (with more than one row) several.
    """
    if before.shape == after.shape:
        return None
    grown = [axis for axis, (a, b) in enumerate(zip(before.shape, after.shape, strict=False)) if a != b]
    axis = grown[0]
    share = before.shape[axis] // rows
    fits = len(before.shape) == len(after.shape) and share * rows == before.shape[axis]
    if len(grown) > 1 or not fits or after.shape[axis] != share * (rows + 1):
        raise RowAxisError(
            _cannot_tell(name, f"its input is {before.shape} for {rows} rows, {after.shape} for one more")
        )
    layouts = [RowAxis(axis, outer, share // outer) for outer in range(1, share + 1) if share % outer == 0]
    if rows == 1 or share == 1:
        return layouts[0]  # in whatever order, which packing may change
    if axis not in before.sums:
        raise RowAxisError(_cannot_tell(name, "its values do not tell how the rows are folded into that axis"))
    fitting = [layout for layout in layouts if _agrees(layout, before.sums[axis], after.sums[axis], rows, order)]
    if not fitting:
        raise RowAxisError(_cannot_tell(name, "no layout of its rows explains how its input changes with one row more"))
    if len(fitting) > 1:
        raise RowAxisError(_cannot_tell(name, "the rows are too alike to tell how they are folded into that axis"))
    return fitting[0]


def _agrees(layout: RowAxis, old: Tensor, new: Tensor, rows: int, order: Sequence[int]) -> bool:
    old, new = old.view(layout.outer, rows, layout.inner), new.view(layout.outer, rows + 1, layout.inner)
    return close(new, _picked(old, 1, order))


def _cannot_tell(name: str, reason: str) -> str:
    return (
        f"The rows of site {name} cannot be told: {reason}. Pass shared_masks=False for masks of their own in each "
        "row, or batch_dim=None where the whole input is one row."
    )


def finest(*trees: Tree) -> torch.dtype:
    """The type of most precision in the first tree that has real or complex numbers: what is computed is no finer.

    Weights come first and inputs after them, since a model of float32 weights computes in float32 what is given in
    float64. float64 where there are none, so that nothing is taken for rounding.
    """
    types = ([one.dtype for one in tensors(tree) if one.is_floating_point() or one.is_complex()] for tree in trees)
    found = next(filter(None, types), [torch.float64])
    return min(found, key=lambda dtype: torch.finfo(dtype).eps)


def close(first: Tensor, second: Tensor, *, computed_in: torch.dtype = torch.float64) -> bool:
    """Equal up to what another batch size changes: the square root of the precision, relative to the largest value.

    The precision is that of the two, or that of `computed_in` where it is less.
    """
    if first.layout != torch.strided or second.layout != torch.strided:
        dense = first.to_dense(), second.to_dense()
        return first.layout == second.layout and close(*dense, computed_in=computed_in)
    equal = torch.equal(first, second)
    if equal or not (first.is_floating_point() or first.is_complex()):
        return equal
    scale = second.detach().abs().nan_to_num(0, 0, 0).amax().item() if second.numel() else 0.0
    tolerance = max(torch.finfo(dtype).eps for dtype in (first.dtype, computed_in)) ** 0.5
    return torch.allclose(first, second, rtol=0, atol=tolerance * scale, equal_nan=True)


def output_rows(
    before: Tree, after: Tree, rows: int, order: Sequence[int], *, computed_in: torch.dtype = torch.float64
) -> int | None:
    """The axis of the output's first tensor that holds the rows; None when none grew.

    Args:
        before: The output for some rows.
        after: That for one row more, in another order.
        rows: How many before.
        order: Which rows those were (see `orders`).
        computed_in: See `close`.

    Raises:
        RowAxisError: The added row changed what came out for the others, or how many tensors came out.
    """
    count, now = len(tensors(before)), len(tensors(after))
    if count != now:
        raise RowAxisError(
            f"With one row more the output holds {now} tensors instead of {count}, so the rows lie along no axis of it "
            "(a list with an entry for each image, say). Pass batch_dim=None, or wrap the model so that it stacks what "
            "belongs to the rows."
        )
    first: int | None = None
    for place, (old, new) in enumerate(zip(tensors(before), tensors(after), strict=True)):
        axis = next((a for a, (m, n) in enumerate(zip(old.shape, new.shape, strict=False)) if m != n), None)
        if place == 0:
            first = axis
        if axis is None or old.shape[axis] != rows or new.shape[axis] != rows + 1:
            unchanged = axis is not None or close(new, old, computed_in=computed_in)
        else:
            unchanged = close(new, _picked(old, axis, order), computed_in=computed_in)
        if not unchanged:
            raise RowAxisError(
                "The rows of the input influence each other: one row more, and another order, changed the outputs of "
                "the others. Where the whole input is one object (a graph, an unbatched sample) pass batch_dim=None; "
                "shared_masks=False gives every row masks of its own."
            )
    return first
