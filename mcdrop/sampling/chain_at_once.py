"""Passes of a chain of layers, all draws at once.

Draws are rows of one tall product, and a mask scales activations or weights, whichever are fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from mcdrop.sampling.chain import Affine, Drop, Elementwise, Flatten, Multiply, Pool, Step
from mcdrop.sampling.chain_passes import Masks, Weights, product_of, row_by_row

Factors: TypeAlias = Masks
"""Masks as numbers: the site's scale where a value is kept, 0 where it is dropped. Not to be written to."""


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
            at.values, at.ours = row_by_row(step, at.values, at.ours), True
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
