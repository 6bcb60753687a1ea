"""Elementwise functions: a unit fixed at c is fixed at f(c), and the others do not notice."""

import inspect
import operator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step, bare

_LAYERS = {
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink,
    nn.Tanhshrink, nn.Threshold, nn.Identity,
}  # fmt: skip
_FUNCTIONS = {
    F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.sigmoid, F.tanh, F.softplus,
    F.softsign, F.logsigmoid, F.hardtanh, F.hardswish, F.hardsigmoid, F.hardshrink, F.softshrink, F.tanhshrink,
    torch.relu, torch.relu_, torch.sigmoid, torch.tanh, torch.selu, torch.abs, torch.neg, torch.exp, torch.erf,
    torch.sin, torch.cos, torch.sqrt, torch.square, torch.clamp,
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.neg,
}  # fmt: skip
_METHODS = {
    "relu", "relu_", "sigmoid", "tanh", "abs", "neg", "exp", "erf", "sin", "cos", "sqrt", "square", "clamp",
    "add", "sub", "mul", "div", "contiguous", "clone",
}  # fmt: skip
_KINDS = _LAYERS | _FUNCTIONS | _METHODS
_HOMOGENEOUS = {nn.ReLU, nn.LeakyReLU, nn.Identity, F.relu, F.leaky_relu, torch.relu, torch.relu_, "relu", "relu_"}
"""f(s x) = s f(x) for s > 0, so that a scale waits for the next weights."""


class ElementwiseRule(Rule):
    """y = f(x), f the same for every unit; 1 / (1 - p) passes through where f(s x) = s f(x)."""

    def takes(self, step: Step) -> bool:
        alone = len(step.node.all_input_nodes) == len(step.inputs) == 1
        return step.kind in _KINDS and alone and step.maps_one_tensor

    def known(self, step: Step) -> Known:
        units = step.known.value.to(step.example)
        values = step.trace.evaluate(step.node, {step.input: units})
        return Known.of(step.known.axis, step.known.fixed, values.double().cpu())

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return {step.input: wanted & ~step.known.fixed}

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        part = building.parts[step.input]
        waits = step.kind in _HOMOGENEOUS
        input = part.node if waits else building.scaled(part)
        node = building.same(step.node, bare(step), {step.input: input})
        _not_in_place(node)
        return Part(node, part.carried, part.scale if waits else 1.0)


def _not_in_place(node: fx.Node) -> None:
    """Lets the operation return a new tensor: what it takes may be several tensors of the masked network."""
    if node.target is torch.relu_ or node.target == "relu_":
        node.target = torch.relu if node.op == "call_function" else "relu"
    elif inspect.isfunction(node.target) and "inplace" in inspect.signature(node.target).parameters:
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs).arguments
        if given.get("inplace"):
            node.args, node.kwargs = (), given | {"inplace": False}
