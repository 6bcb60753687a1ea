"""Passes of a chain of layers, one by one.

A mask becomes the choice of rows and columns of the weights that are multiplied at all, or scales the weights.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from mcdrop.sampling.chain import Affine, Drop, Elementwise, Flatten, Multiply, Normalise, Pool, Step, factor_and_shift
from mcdrop.sampling.chain_passes import Masks, Weights, along, apply, product_of, row_by_row, shifted


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
            self._values = apply(step.module, self._values, self._ours)
        elif isinstance(step, Normalise) and not self._is_masked:
            factor, shift = (t if self._index is None else t[self._index] for t in factor_and_shift(step.norm))
            self._values, self._ours = shifted(self._values, factor, shift, self._columns), True
        else:
            self._settle()
            self._values, self._ours = row_by_row(step, self._values, self._ours), True

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
            weight = weight * along(self._keep.to(weight.dtype) * scale, weight.ndim, 1)
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
            values, self._ours = values * along(self._keep.to(values.dtype) * self._scale, values.ndim, 1), True
        self._values, self._columns = values, False
        self._index, self._keep, self._scale, self._is_masked = None, None, 1.0, False
