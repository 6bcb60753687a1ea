"""Pooling: channel by channel, over positions."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step, bare

_LAYERS = {
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
}  # fmt: skip
_FUNCTIONS = {
    F.max_pool1d, F.max_pool2d, F.avg_pool1d, F.avg_pool2d, torch.max_pool1d, torch.max_pool2d, torch.avg_pool1d,
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_max_pool1d, F.adaptive_max_pool2d,
    torch.adaptive_avg_pool1d, torch.adaptive_max_pool1d,
}  # fmt: skip
_MEANS = {torch.mean, "mean"}


class PoolingRule(Rule):
    """A channel that is c everywhere stays so, unless zeros padded around it are counted in an average."""

    def takes(self, step: Step) -> bool:
        if len(step.inputs) != 1 or not isinstance(step.value, Tensor) or step.example.ndim < 3:
            return False
        if step.kind in _MEANS:
            return _axes(step) <= set(range(2, step.example.ndim))
        of_batch = step.value.ndim == step.example.ndim and step.value.shape[:2] == step.example.shape[:2]
        return of_batch and (step.kind in _LAYERS or step.kind in _FUNCTIONS)

    def known(self, step: Step) -> Known:
        ones = torch.ones_like(step.example[:1])
        keeps_constants = bool((step.trace.evaluate(step.node, {step.input: ones}) == 1).all())
        known = step.along(1)
        return Known.of(1, known.fixed if keeps_constants else known.fixed & (known.value == 0), known.value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return step.asks(1, wanted)

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        part = building.carrying(step.part(1, building), step.along(1), wanted, step.example)
        return Part(building.same(step.node, bare(step), {step.input: part.node}), wanted, part.scale)


def _axes(step: Step) -> set[int]:
    """The axes that a mean runs over."""
    given = step.node.kwargs.get("dim", step.args[1] if len(step.args) > 1 else None)
    axes: Any = given if isinstance(given, list | tuple) else [given]
    known = all(isinstance(axis, int) for axis in axes)
    return {axis % step.example.ndim for axis in axes} if known else set(range(step.example.ndim))
