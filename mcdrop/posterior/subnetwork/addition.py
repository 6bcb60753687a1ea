"""Sums of two tensors: what one branch lacks is filled in, so that the shapes agree."""

import operator

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step

_KINDS = {operator.add, operator.iadd, torch.add, "add", "add_"}


class AdditionRule(Rule):
    """x + y, unit by unit. Fixed where both are."""

    def takes(self, step: Step) -> bool:
        both = step.args
        if step.kind not in _KINDS or len(both) != 2 or step.node.kwargs or any(one not in step.inputs for one in both):
            return False
        of_one_shape = all(step.trace.values[node].shape == step.value.shape for node in step.inputs)
        same_axis = len({step.known_of[node].axis for node in step.inputs}) == 1
        return of_one_shape and same_axis

    def known(self, step: Step) -> Known:
        first, second = self._both(step)
        return Known.of(first.axis, first.fixed & second.fixed, first.value + second.value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        live = wanted & ~output.fixed
        return {node: live & ~step.known_of[node].fixed for node in step.inputs}

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        nodes = []
        for node in step.args:
            known, part = step.known_of[node], building.parts[node]
            if not known.fixed[wanted].all():
                nodes.append(building.scaled(building.carrying(part, known, wanted, step.value)))
            elif known.value[wanted].any():
                nodes.append(building.constant(known.value[wanted], known.axis, step.value))
        return Part(nodes[0] if len(nodes) == 1 else building.graph.call_function(operator.add, tuple(nodes)), wanted)

    def _both(self, step: Step) -> tuple[Known, Known]:
        first, second = step.args
        return step.known_of[first], step.known_of[second]
