"""What passes of a chain of layers do alike, whichever way they run: at once or one by one."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.sampling.chain import (
    Affine,
    Drop,
    Elementwise,
    Multiply,
    Normalise,
    Step,
    Whole,
    factor_and_shift,
    weights_of,
)

Masks: TypeAlias = Callable[[Drop, tuple[int, ...]], Tensor]
"""The masks of a site for the draws at hand, from the shape of what one mask has: booleans (n, *shape)."""


class Weights:
    """The weights of a chain's layers with their normalisation taken in, computed once for all draws."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._of = {id(step): weights_of(step) for step in steps if isinstance(step, Multiply)}

    def __getitem__(self, step: Multiply) -> tuple[Tensor, Tensor | None]:
        return self._of[id(step)]


def product_of(layer: Affine, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's product with other weights than its own."""
    if isinstance(layer, nn.Linear):
        return F.linear(values, weight, bias)
    convolve = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
    return convolve(values, weight, bias, layer.stride, layer.padding, layer.dilation)


def row_by_row(step: Step, values: Tensor, ours: bool) -> Tensor:
    if isinstance(step, Normalise):
        return shifted(values, *factor_and_shift(step.norm), False)
    assert isinstance(step, Elementwise | Whole)
    return apply(step.module, values, ours)


def apply(module: nn.Module, values: Tensor, ours: bool) -> Tensor:
    """What the module makes of the values, which it may write to if they are ours."""
    if type(module) is nn.ReLU:
        return values.relu_() if ours else values.relu()
    return module(values if ours or not getattr(module, "inplace", False) else values.clone())


def shifted(values: Tensor, factor: Tensor, shift: Tensor, columns: bool) -> Tensor:
    axis = 0 if columns else 1
    return torch.addcmul(along(shift, values.ndim, axis), values, along(factor, values.ndim, axis))


def along(vector: Tensor, ndim: int, axis: int) -> Tensor:
    """A vector shaped so that it lies along one axis of so many."""
    return vector.view(*(1,) * axis, -1, *(1,) * (ndim - axis - 1))
