"""Dropout itself: units that the mask drops go, what is kept takes the factor 1 / (1 - p) along."""

import operator

from jaxtyping import Bool, Int
from torch import Tensor, fx

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step


class DroppingRule(Rule):
    """y = z x with the mask's z. A unit goes where z is 0 in all of its places.

    Where z differs from place to place of a unit (single pixels dropped) it stays, and is multiplied by its z.
    """

    def takes(self, step: Step) -> bool:
        return step.factor is not None

    def known(self, step: Step) -> Known:
        axis = _axis(step)
        known, grid = step.along(axis), _grid(step, axis)
        stays = known.fixed & ((grid == grid[:, :1]).all(1) | (known.value == 0))
        return Known.of(axis, stays | (grid == 0).all(1) & _is_whole(step, axis), known.value * grid[:, 0])

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return step.asks(output.axis, wanted & ~output.fixed)

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        axis = output.axis
        part = building.carrying(step.part(axis, building), step.along(axis), wanted, step.example)
        grid = _grid(step, axis)[wanted]
        if (grid == grid[0, 0]).all():
            return Part(part.node, wanted, part.scale * grid[0, 0].item())
        factor = step.factor.to(step.example)
        if factor.shape[axis] > 1:
            factor = factor.index_select(axis, wanted.to(factor.device))
        factors = building.held("_factor", factor)
        return Part(building.graph.call_function(operator.mul, (part.node, factors)), wanted, part.scale)


def _grid(step: Step, axis: int) -> Tensor:
    """z by units and their places, (units, places)."""
    return step.factor.movedim(axis, 0).flatten(1).expand(step.example.shape[axis], -1)


def _is_whole(step: Step, axis: int) -> bool:
    """Whether the mask has one value for each unit along an axis, whatever was drawn."""
    return step.factor.numel() == step.factor.shape[axis]


def _axis(step: Step) -> int:
    """The axis along which whole units are dropped: that of the input if it can be, otherwise any."""
    axes = (step.known.axis, *range(step.example.ndim - 1, 0, -1))
    return next((axis for axis in axes if _is_whole(step, axis)), step.known.axis)
