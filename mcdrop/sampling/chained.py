"""The passes of one input through a model that is a chain: what all share, what they cost, and running them."""

from collections.abc import MutableMapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from mcdrop.sampling.chain import Drop, Step
from mcdrop.sampling.chain_at_once import run_at_once
from mcdrop.sampling.chain_cost import Cost, cost_of, units_of
from mcdrop.sampling.chain_one_by_one import Scratch, run_one_by_one
from mcdrop.sampling.chain_passes import Weights
from mcdrop.sampling.plan import Plan
from mcdrop.sampling.remembered import Remembered


class Chained:
    """A chain on one input. What lies before the first mask runs once, whatever the number of draws.

    Args:
        steps: Of the chain, with at least one `Drop`.
        x: The input, (N, *shape); not written to.
        masks: Where the masks come from.
        plan: Says how much memory the draws that run at once may take.
        costs: What draws of this chain on so many rows cost, as far as that is known; extended.
    """

    def __init__(
        self, steps: Sequence[Step], x: Tensor, masks: Remembered, plan: Plan, costs: MutableMapping[int, Cost]
    ) -> None:
        first = next(place for place, step in enumerate(steps) if isinstance(step, Drop))
        self._shared, self._steps = steps[:first], steps[first:]
        self._x = x
        self._masks = masks
        self._plan = plan
        self._costs = costs
        self._scratch = Scratch()

    @cached_property
    def _weights(self) -> Weights:
        return Weights((*self._shared, *self._steps))

    @cached_property
    def _values(self) -> Tensor:
        x = self._x
        if x.ndim == 4:  # measured: convolutions take two thirds of the time in this order
            x = x.contiguous(memory_format=torch.channels_last)
        return run_at_once(self._shared, self._weights, x, _none)[0]

    @property
    def cost(self) -> Cost:
        """What a draw costs in either way."""
        rows = len(self._x)
        if rows not in self._costs:
            self._costs[rows] = cost_of(self._steps, units_of(self._steps, self._values.shape[1:]), rows)
        return self._costs[rows]

    @cached_property
    def _left_out(self) -> frozenset[int]:
        """Steps of which only what masks keep is worked out; none where that could hide NaN: 0 * infinity is one."""
        return self.cost.thin if self._values.sum().isfinite() else frozenset()

    @property
    def chunk(self) -> int:
        """How many draws to run together."""
        if self._plan.chunk is not None:
            return self._plan.chunk
        return self.cost.chunk(self._plan.memory, len(self._steps), self._x.itemsize)

    @property
    def way(self) -> str:
        """How the draws run, in words."""
        if not self.cost.is_one_by_one:
            return "chain: all draws at once"
        return "chain: draw by draw, thinned" if self.cost.thin else "chain: draw by draw, masks in the weights"

    def run(self, start: int, stop: int) -> Tensor:
        """The outputs of draws `start` .. `stop - 1`, (stop - start, N, *out)."""

        def masks(step: Drop, unit: tuple[int, ...]) -> Tensor:
            return self._masks.keep(step.name, (1, *unit), step.p, start, stop)[:, 0]

        def factors(step: Drop, unit: tuple[int, ...]) -> Tensor:
            dtype = self._values.dtype
            return self._masks.factors(step.name, (1, *unit), step.p, start, stop, step.scale, dtype)[:, 0]

        if not self.cost.is_one_by_one:
            return run_at_once(self._steps, self._weights, self._values, factors)
        return run_one_by_one(
            self._steps, self._weights, self._values, masks, self._scratch, count=stop - start, thin=self._left_out
        )


def _none(step: Drop, unit: tuple[int, ...]) -> Tensor:
    raise AssertionError(f"{step.name} has no place before the first mask.")
