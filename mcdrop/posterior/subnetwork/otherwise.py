"""What no other rule takes: it is left as it is, where its inputs are whole."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step, bare


class OtherwiseRule(Rule):
    """Any operation, on tensors with all of their units; refused where the mask drops some of them."""

    def takes(self, step: Step) -> bool:
        return True

    def known(self, step: Step) -> Known:
        axis = min(1, step.value.ndim - 1)
        return Known.nothing(axis, step.value.shape[axis])

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return {node: step.known_of[node].all_units for node in step.node.all_input_nodes}

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        every = torch.arange(output.size)
        if step.node.op == "get_attr":
            copied = step.value.detach().clone()
            if isinstance(step.value, nn.Parameter):
                copied = nn.Parameter(copied, requires_grad=step.value.requires_grad)
            return Part(building.held(str(step.node.target), copied), every)
        if any(step.known_of[node].fixed.any() for node in step.inputs):
            raise step.refuse("it takes units that the mask drops, and no rule says what it computes without them")
        layer = bare(step)
        if layer is not None and any(not type(one).__module__.startswith("torch.") for one in layer.modules()):
            raise step.refuse("it holds modules of other packages, and the smaller network is to need torch alone")
        given = {
            node: building.whole(node, step.known_of[node], step.trace.values[node])
            for node in step.node.all_input_nodes
        }
        return Part(building.same(step.node, layer, given), every)
