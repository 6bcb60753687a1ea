"""Passes of a chain of layers, in two ways: all draws at once, or one by one with what a mask drops left out.

At once, draws are rows of one tall product, and a mask scales activations or weights, whichever are fewer. One by one,
a mask becomes the choice of rows and columns of the weights that are multiplied at all. Both give what the model gives
for the same masks; which is faster is arithmetic, see `mcdrop.sampling.chain_cost`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.sampling.chain import (
    Affine,
    Drop,
    Elementwise,
    Flatten,
    Multiply,
    Normalise,
    Pool,
    Step,
    Whole,
    factor_and_shift,
    weights_of,
)

Masks: TypeAlias = Callable[[Drop, tuple[int, ...]], Tensor]
"""The masks of a site for the draws at hand, from the shape of what one mask has: booleans (n, *shape)."""

Factors: TypeAlias = Masks
"""The same as numbers: the site's scale where a value is kept, 0 where it is dropped. Not to be written to."""


class Weights:
    """The weights of a chain's layers with their normalisation taken in, computed once for all draws."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._of = {id(step): weights_of(step) for step in steps if isinstance(step, Multiply)}

    def __getitem__(self, step: Multiply) -> tuple[Tensor, Tensor | None]:
        return self._of[id(step)]


@dataclass
class _Draws:
    """Values of n draws, (n * N, C, *map), or (N, C, *map) before the first mask.

    Attributes:
        values: Those.
        rows: N.
        factor: What their channels are still to be multiplied with, (n, C).
        drawn: Whether they depend on the draw.
        ours: Whether they may be written to.
    """

    values: Tensor
    rows: int
    factor: Tensor | None = None
    drawn: bool = False
    ours: bool = False

    def by_draw(self) -> Tensor:
        """(n, N, C, *map), or (1, N, C, *map)."""
        return self.values.unflatten(0, (-1, self.rows)) if self.drawn else self.values[None]

    def settle(self) -> None:
        """Multiplies the channels with what they are still to be multiplied with."""
        if self.factor is not None:
            self.scale(self.factor[(..., *(None,) * (self.values.ndim - 2))])
            self.factor = None

    def scale(self, factor: Tensor) -> None:
        """Multiplies with one factor for each draw, (n, *one row)."""
        if self.drawn and self.ours:
            self.by_draw().mul_(factor[:, None])
        else:
            self.values, self.drawn, self.ours = (self.by_draw() * factor[:, None]).flatten(0, 1), True, True


def run_at_once(steps: Sequence[Step], weights: Weights, values: Tensor, factors: Factors) -> Tensor:
    """The rest of the chain for all draws together.

    Args:
        steps: From the first `Drop` on.
        weights: Of the chain.
        values: What reaches the first `Drop`, (N, C, *map); not written to.
        factors: Gives the masks of these draws.

    Returns:
        Outputs (n, N, *out).
    """
    at = _Draws(values, len(values))
    for step in steps:
        if isinstance(step, Drop):
            _drop_at_once(step, at, factors)
        elif isinstance(step, Multiply):
            _multiply_at_once(step.layer, *weights[step], at)
        elif isinstance(step, Flatten):
            if at.factor is not None:
                at.factor = at.factor.repeat_interleave(at.values[0, 0].numel(), dim=1)
            at.values = at.values.flatten(1)
        elif isinstance(step, Pool):
            at.values, at.ours = step.module(at.values), True
        else:
            if not (isinstance(step, Elementwise) and step.homogeneous):
                at.settle()
            at.values, at.ours = _row_by_row(step, at.values, at.ours), True
    at.settle()
    return at.by_draw()


def _drop_at_once(step: Drop, at: _Draws, factors: Factors) -> None:
    unit = tuple(at.values.shape[1:])
    factor = factors(step, unit[:1] if step.channels else unit)
    if step.channels:
        at.factor = factor if at.factor is None else at.factor * factor
    else:
        at.settle()
        at.scale(factor)


def _multiply_at_once(layer: Affine, weight: Tensor, bias: Tensor | None, at: _Draws) -> None:
    if isinstance(layer, nn.Linear) and at.factor is not None and len(weight) < at.rows:
        scaled = at.factor[:, :, None] * weight.t()  # of the two, weights are fewer than activations
        product = torch.bmm(at.by_draw().expand(len(scaled), -1, -1), scaled)
        at.values = (product if bias is None else product.add_(bias)).flatten(0, 1)
        at.factor, at.drawn = None, True
    else:
        at.settle()
        at.values = product_of(layer, at.values, weight, bias)
    at.ours = True


class Scratch:
    """Memory that every draw writes to again. Fresh memory would cost as much as the work done in it."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], Tensor] = {}

    def __call__(self, name: str, step: Step, shape: tuple[int, ...], like: Tensor) -> Tensor:
        size = math.prod(shape)
        held = self._held.get((name, id(step)))
        if held is None or len(held) < size:
            held = self._held[name, id(step)] = like.new_empty(size)
        return held[:size].view(shape)


def run_one_by_one(
    steps: Sequence[Step],
    weights: Weights,
    values: Tensor,
    masks: Masks,
    scratch: Scratch,
    *,
    count: int,
    thin: frozenset[int],
) -> Tensor:
    """The rest of the chain, draw by draw.

    Args:
        steps: From the first `Drop` on.
        weights: Of the chain.
        values: What reaches the first `Drop`, (N, C, *map); not written to.
        masks: Gives the masks of these draws.
        scratch: Of this chain on this input.
        count: n, the number of draws.
        thin: Places among `steps` of the layers that multiply only what masks keep; in the others a mask scales the
            weights.

    Returns:
        Outputs (n, N, *out).
    """
    drawn: dict[int, Tensor] = {}

    def keep(step: Drop, unit: Sequence[int], draw: int) -> Tensor:
        if id(step) not in drawn:
            drawn[id(step)] = masks(step, tuple(unit))
        return drawn[id(step)][draw]

    first = next((place for place, step in enumerate(steps) if isinstance(step, Multiply)), -1)
    columns = values.ndim == 2 and first in thin  # whole rows of memory are what is left out then
    values = values.t().contiguous() if columns else values
    outputs: Tensor | None = None
    for draw in range(count):
        with torch.inference_mode():  # measured: starting the operations takes a fifth less
            at = _Draw(values, columns, partial(keep, draw=draw), scratch)
            for place, step in enumerate(steps):
                at.take(step, weights, place in thin)
            output = at.result()
        if outputs is None:
            outputs = output.new_empty((count, *output.shape))
        outputs[draw] = output
    assert outputs is not None
    return outputs


class _Draw:
    """Values of one draw on their way through the chain: (N, C, *map), or (C, N) where `columns`."""

    def __init__(
        self, values: Tensor, columns: bool, keep: Callable[[Drop, Sequence[int]], Tensor], scratch: Scratch
    ) -> None:
        self._scratch = scratch
        self._values = values
        self._columns = columns
        self._keep_of = keep
        self._ours = False
        self._keep: Tensor | None = None  # the mask that channels are still to be multiplied with, (C,)
        self._index: Tensor | None = None  # the channels that the values hold, where others are left out
        self._scale = 1.0  # and this
        self._is_masked = False  # whether they are
        self._channels = 0

    def take(self, step: Step, weights: Weights, thin: bool) -> None:
        """Goes one step on."""
        if isinstance(step, Multiply):
            self._multiply(step, *weights[step], thin)
        elif isinstance(step, Drop):
            self._drop(step)
        elif isinstance(step, Flatten):
            self._flatten()
        elif isinstance(step, Pool):
            self._values, self._ours = step.module(self._values), True
        elif isinstance(step, Elementwise) and (step.homogeneous or not self._is_masked):
            self._values = _apply(step.module, self._values, self._ours)
        elif isinstance(step, Normalise) and not self._is_masked:
            factor, shift = (t if self._index is None else t[self._index] for t in factor_and_shift(step.norm))
            self._values, self._ours = _shifted(self._values, factor, shift, self._columns), True
        else:
            self._settle()
            self._values, self._ours = _row_by_row(step, self._values, self._ours), True

    def result(self) -> Tensor:
        """The output, (N, *out)."""
        self._settle()
        return self._values

    @property
    def _width(self) -> int:
        return self._values.shape[0 if self._columns else 1]

    def _drop(self, step: Drop) -> None:
        if self._index is not None and not self._is_masked:  # the weights before it computed what it keeps
            self._scale, self._is_masked = step.scale, True
            return
        if self._is_masked or not step.channels:
            self._settle()
        if step.channels:
            self._keep, self._scale, self._is_masked = self._keep_of(step, (self._width,)), step.scale, True
        else:
            factor = self._keep_of(step, self._values.shape[1:]).to(self._values.dtype) * step.scale
            self._values = self._values.mul_(factor) if self._ours else self._values * factor
            self._ours = True

    def _multiply(self, step: Multiply, weight: Tensor, bias: Tensor | None, thin: bool) -> None:
        out = None
        if thin and step.thinned_by is not None:
            out = self._kept(self._keep_of(step.thinned_by, (len(weight),)), step.layer)
        if out is not None:
            weight, bias = self._picked("rows", step, weight, out), None if bias is None else bias.index_select(0, out)
        values, scale = self._values, self._scale
        if self._index is None and self._keep is not None and thin:
            self._index = self._kept(self._keep, step.layer)
            if self._index is not None:
                values = (
                    self._picked("values", step, values, self._index)
                    if self._columns
                    else values.index_select(1, self._index)
                )
        if self._index is not None:
            weight = self._columns_of(step, weight, self._index)
        elif self._keep is not None:
            weight = weight * _along(self._keep.to(weight.dtype) * scale, weight.ndim, 1)
            scale = 1.0
        if isinstance(step.layer, nn.Linear):
            values = values if self._columns else values.t()
            product = self._scratch("product", step, (len(weight), values.shape[1]), values)
            self._values = torch.mm(weight, values, out=product)
            if bias is None:
                self._values.mul_(scale)
            else:  # measured: in place takes a sixth of the time of addmm's copy of the bias
                torch.add(bias[:, None], self._values, alpha=scale, out=self._values)
            self._columns = True
        else:
            self._values = product_of(step.layer, values, weight if scale == 1.0 else weight * scale, bias)
        self._ours, self._index, self._keep, self._scale, self._is_masked = True, out, None, 1.0, False
        self._channels = len(step.layer.weight)

    def _picked(self, name: str, step: Step, tensor: Tensor, index: Tensor) -> Tensor:
        shape = (len(index), *tensor.shape[1:])
        return torch.index_select(tensor, 0, index, out=self._scratch(name, step, shape, tensor))

    def _columns_of(self, step: Step, weight: Tensor, index: Tensor) -> Tensor:
        if weight.ndim > 2:
            return weight.index_select(1, index)
        shape = (len(weight), len(index))
        # Measured: half the time of index_select along the last axis.
        return torch.gather(weight, 1, index.expand(shape), out=self._scratch("columns", step, shape, weight))

    def _kept(self, keep: Tensor, layer: Affine) -> Tensor | None:
        """The channels that are kept; None where there is none left for a convolution, which needs one."""
        index = torch.from_numpy(np.flatnonzero(keep.numpy()))  # measured: a sixth of the time of torch's nonzero
        return index if len(index) or isinstance(layer, nn.Linear) else None

    def _flatten(self) -> None:
        places = self._values[0, 0].numel()
        if self._keep is not None:
            self._keep = self._keep.repeat_interleave(places)
        if self._index is not None:
            within = torch.arange(places)
            self._index = (self._index[:, None] * places + within).flatten()
        self._channels *= places
        self._values = self._values.flatten(1)

    def _settle(self) -> None:
        """Multiplies channels with what they are still to be multiplied with, fills in zeros, and puts rows first."""
        values = self._values.t() if self._columns else self._values
        if self._index is not None:
            full = values.new_zeros((len(values), self._channels, *values.shape[2:]))
            values, self._ours = full.index_copy_(1, self._index, values * self._scale), True
        elif self._keep is not None:
            values, self._ours = values * _along(self._keep.to(values.dtype) * self._scale, values.ndim, 1), True
        self._values, self._columns = values, False
        self._index, self._keep, self._scale, self._is_masked = None, None, 1.0, False


def product_of(layer: Affine, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's product with other weights than its own."""
    if isinstance(layer, nn.Linear):
        return F.linear(values, weight, bias)
    convolve = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
    return convolve(values, weight, bias, layer.stride, layer.padding, layer.dilation)


def _row_by_row(step: Step, values: Tensor, ours: bool) -> Tensor:
    if isinstance(step, Normalise):
        return _shifted(values, *factor_and_shift(step.norm), False)
    assert isinstance(step, Elementwise | Whole)
    return _apply(step.module, values, ours)


def _apply(module: nn.Module, values: Tensor, ours: bool) -> Tensor:
    """What the module makes of the values, which it may write to if they are ours."""
    if type(module) is nn.ReLU:
        return values.relu_() if ours else values.relu()
    return module(values if ours or not getattr(module, "inplace", False) else values.clone())


def _shifted(values: Tensor, factor: Tensor, shift: Tensor, columns: bool) -> Tensor:
    axis = 0 if columns else 1
    return torch.addcmul(_along(shift, values.ndim, axis), values, _along(factor, values.ndim, axis))


def _along(vector: Tensor, ndim: int, axis: int) -> Tensor:
    """A vector shaped so that it lies along one axis of so many."""
    return vector.view(*(1,) * axis, -1, *(1,) * (ndim - axis - 1))
