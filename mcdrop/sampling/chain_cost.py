"""What the passes of a chain cost, from its sizes: which of two ways is the cheaper, and where leaving out pays.

The prices below are of one CPU of 2023 with two cores and AVX-512, in float32. The choice changes the time and nothing
else, and most of it is decided by ratios of sizes that hold on other machines too. Nothing is timed: the same sizes
give the same choice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcdrop.sampling.chain import Affine, Drop, Elementwise, Flatten, Multiply, Normalise, Pool, Step, Whole

MULTIPLY_ADD = 5e-12
"""Seconds for one multiplication and addition of a large product."""
ELEMENT = 0.15e-9
"""Seconds to read, change and write one number in the cache."""
COPIED_ROW = 0.13e-9
"""Seconds for each number of rows of a matrix that are picked out."""
GATHERED = 0.3e-9
"""Seconds for each number of columns of a matrix that are picked out."""
OPERATION = 5e-6
"""Seconds to start an operation."""
CACHE = 1 << 22
"""Bytes of values that the cores' own caches hold."""


@dataclass(frozen=True)
class Cost:
    """What one draw costs in each of the two ways, for a number of rows.

    Args:
        at_once: Seconds in a chunk of many draws.
        one_by_one: Seconds.
        thin: Places of the layers that leave out what masks drop, when draws run one by one.
        largest: Numbers in the largest values of one draw.
        held: Numbers in its masks and outputs.
    """

    at_once: float
    one_by_one: float
    thin: frozenset[int]
    largest: int
    held: int

    @property
    def is_one_by_one(self) -> bool:
        """Whether that is the cheaper way."""
        return self.one_by_one < self.at_once

    def chunk(self, memory: int, steps: int, itemsize: int) -> int:
        """How many draws to run at once: as the cache holds, more where starting the operations would cost a tenth."""
        if self.is_one_by_one:  # of the other draws only masks and outputs are held, but what reads them makes copies
            return max(1, min(memory // 2, CACHE // 4) // (itemsize * self.held))
        held = max(1, memory // (4 * itemsize * self.largest))
        cached = CACHE // (itemsize * self.largest)
        worth_starting = math.ceil(10 * steps * OPERATION / self.at_once)
        return min(held, max(1, cached, worth_starting))


def units_of(steps: Sequence[Step], unit: Sequence[int]) -> list[tuple[int, ...]]:
    """Shape of one row's values before each step and after the last.

    Args:
        steps: Of a chain.
        unit: Shape of one row before the first.
    """
    units = [tuple(unit)]
    for step in steps:
        if isinstance(step, Flatten):
            units.append((math.prod(units[-1]),))
        elif isinstance(step, Multiply | Pool):
            units.append(_multiplied(step.layer, units[-1]) if isinstance(step, Multiply) else _pooled(step, units[-1]))
        else:
            units.append(units[-1])
    return units


def _multiplied(layer: Affine, unit: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return (layer.out_features,)
    if layer.padding == "same":
        return (layer.out_channels, *unit[1:])
    paddings = (0,) * (len(unit) - 1) if isinstance(layer.padding, str) else layer.padding  # "valid"
    sizes = zip(unit[1:], paddings, layer.dilation, layer.kernel_size, layer.stride, strict=True)
    return (layer.out_channels, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in sizes))


def _pooled(step: Pool, unit: tuple[int, ...]) -> tuple[int, ...]:
    wanted = getattr(step.module, "output_size", None)
    if wanted is not None:
        sizes = wanted if isinstance(wanted, tuple | list) else (wanted,) * (len(unit) - 1)
        return (unit[0], *(have if size is None else size for size, have in zip(sizes, unit[1:], strict=True)))
    return tuple(step.module(torch.empty((1, *unit), device="meta")).shape[1:])


def cost_of(steps: Sequence[Step], units: Sequence[tuple[int, ...]], rows: int) -> Cost:
    """The cost of one draw of so many rows.

    Args:
        steps: From the first `Drop` on.
        units: As `units_of` gives for them.
        rows: N.
    """
    at_once = one_by_one = 0.0
    thin: set[int] = set()
    kept = 1.0  # the share of channels that the next weights have to read
    for place, step in enumerate(steps):
        before, after = math.prod(units[place]), math.prod(units[place + 1])
        if isinstance(step, Drop):
            kept = 1 - step.p if step.channels else 1.0
            at_once += OPERATION / 10 + (0 if step.channels else rows * before * ELEMENT)
            one_by_one += OPERATION + (0 if step.channels else rows * before * ELEMENT)
        elif isinstance(step, Multiply):
            out = 1 - step.thinned_by.p if step.thinned_by is not None else 1.0
            full = _Product(step, rows, before, after)
            fold = full.seconds + full.weights * ELEMENT * (kept < 1) + 2 * OPERATION
            less = full.thinned(kept, out)
            at_once += full.seconds + min(rows * before, full.weights) * ELEMENT * (kept < 1)
            if step.layer.weight.ndim > 2:  # the maps of many draws do not stay in the cache between operations
                at_once += rows * after * ELEMENT
            if less < fold:
                thin.add(place)
            one_by_one += min(less, fold)
            kept = 1.0
        elif isinstance(step, Elementwise | Normalise | Whole | Pool):
            at_once += rows * before * ELEMENT
            one_by_one += OPERATION + rows * before * ELEMENT / 2  # one draw's values are in the nearest cache
    largest = rows * max(math.prod(unit) for unit in units)
    masks = sum(math.prod(unit) for unit, step in zip(units, steps, strict=False) if isinstance(step, Drop))
    return Cost(at_once, one_by_one, frozenset(thin), largest, masks + rows * math.prod(units[-1]))


class _Product:
    """The arithmetic of a layer of weights on so many rows."""

    def __init__(self, step: Multiply, rows: int, before: int, after: int) -> None:
        weight: Tensor = step.layer.weight
        self._step, self._rows, self._before = step, rows, before
        self._outputs, self._inputs = weight.shape[:2]
        self.weights = weight.numel()
        self.seconds = rows * after * self.weights // self._outputs * MULTIPLY_ADD

    def thinned(self, kept: float, out: float) -> float:
        """Seconds of the same with a share of the inputs and of the outputs."""
        if self.weights == self._inputs * self._outputs:
            left = kept * out
        else:  # convolutions work on channels in sixteens
            left = _share(self._inputs, kept) * _share(self._outputs, out)
        picked = out * self.weights * COPIED_ROW * (out < 1) + kept * out * self.weights * GATHERED * (kept < 1)
        copied = kept * self._rows * self._before * COPIED_ROW * (kept < 1)
        operations = (3 + 3 * (out < 1) + 3 * (kept < 1)) * OPERATION
        return left * self.seconds + picked + copied + operations


def _share(channels: int, kept: float) -> float:
    return min(1.0, math.ceil(kept * channels / 16) * 16 / channels)
