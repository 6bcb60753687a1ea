"""Flatten: each channel becomes a block of units."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step

_KINDS = {nn.Flatten, torch.flatten, "flatten", torch.reshape, "reshape", "view"}


class FlatteningRule(Rule):
    """(N, d_1, ..., d_k) becomes (N, d_1 ... d_k), however it was written."""

    def takes(self, step: Step) -> bool:
        if step.kind not in _KINDS or len(step.inputs) != 1 or step.known.axis == 0:
            return False
        return step.value.shape == (len(step.example), step.example[0].numel())

    def known(self, step: Step) -> Known:
        fixed, value = (self._spread(step, units) for units in (step.known.fixed, step.known.value))
        return Known(1, fixed, value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        blocks = wanted.view(step.example.shape[1:]).movedim(step.known.axis - 1, 0).flatten(1)
        return {step.input: blocks.any(1) & ~step.known.fixed}

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        part = building.parts[step.input]
        places = torch.arange(output.size).view(step.example.shape[1:])
        carried = places.index_select(step.known.axis - 1, part.carried).flatten()
        return Part(building.graph.call_function(torch.flatten, (part.node, 1)), carried, part.scale)

    def _spread(self, step: Step, units: Tensor) -> Tensor:
        """One value for each unit, given to each of its places."""
        sizes = step.example.shape[1:]
        shape = [1] * len(sizes)
        shape[step.known.axis - 1] = len(units)
        return units.view(shape).expand(sizes).flatten()
