"""Linear: columns of units that are fixed move into the bias, rows of units that nobody needs are not computed."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step, give, resized


class LinearRule(Rule):
    """y = W x + b. With the units K carried at scale s and the others fixed at c:

    y = (s W_K) x_K + (b + W_F c_F)
    """

    def takes(self, step: Step) -> bool:
        return step.kind is nn.Linear and len(step.inputs) == 1

    def known(self, step: Step) -> Known:
        layer, axis, size, known = step.layer, step.value.ndim - 1, step.value.shape[-1], step.along(_last(step))
        if not known.fixed.all():
            return Known.nothing(axis, size)
        value = layer.weight.detach().double().cpu() @ known.value
        value = value if layer.bias is None else value + layer.bias.detach().double().cpu()
        return Known(axis, torch.ones(size, dtype=torch.bool), value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return step.asks(_last(step), torch.ones(step.layer.in_features, dtype=torch.bool))

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        layer, known, part = step.layer, step.along(_last(step)), step.part(_last(step), building)
        weight, bias = folded(layer, known, part, wanted)
        new = resized(layer, nn.Linear, len(part.carried), len(wanted), bias=bias is not None)
        give(new, "weight", weight, layer.weight)
        if bias is not None:
            give(new, "bias", bias, layer.bias)
        return Part(building.layer(str(step.node.target), new, part.node), wanted)


def _last(step: Step) -> int:
    return step.example.ndim - 1


def folded(layer: Any, known: Known, part: Part, wanted: Int[Tensor, " wanted"]) -> tuple[Tensor, Tensor | None]:
    """The weight (out, in, ...) and bias of a layer for the outputs `wanted` of the inputs carried.

    Returns:
        Weight and bias; None for a bias of zeros that the layer does not have.
    """
    weight = layer.weight.detach()[wanted]
    gone = known.fixed.clone()
    gone[part.carried] = False
    constant = weight.double().cpu().flatten(2).sum(2) if weight.ndim > 2 else weight.double().cpu()
    constant = constant[:, gone] @ known.value[gone]
    weight = (weight[:, part.carried].double() * part.scale).to(weight)
    if layer.bias is None:
        return weight, constant.to(weight) if constant.any() else None
    return weight, (layer.bias.detach()[wanted].double().cpu() + constant).to(weight)
