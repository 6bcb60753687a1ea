"""Conv1d and Conv2d: as Linear, with channels for units."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.linear import folded
from mcdrop.posterior.subnetwork.rule import Rule, Step, give, resized

_KINDS = (nn.Conv1d, nn.Conv2d)


class ConvolutionRule(Rule):
    """A channel that is c everywhere adds c times the sum of its kernel to the bias, if no zeros are padded around it.

    Where they are, and c is not 0, its share is smaller at the border: such a channel is filled in again.
    """

    def takes(self, step: Step) -> bool:
        if step.kind not in _KINDS or len(step.inputs) != 1 or step.layer.groups > 1:
            return False
        return step.example.ndim == (3 if step.kind is nn.Conv1d else 4)

    def known(self, step: Step) -> Known:
        layer, size = step.layer, step.value.shape[1]
        if not self._folds(step).all():
            return Known.nothing(1, size)
        value = layer.weight.detach().double().cpu().flatten(2).sum(2) @ step.known.value
        value = value if layer.bias is None else value + layer.bias.detach().double().cpu()
        return Known(1, torch.ones(size, dtype=torch.bool), value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return step.asks(1, torch.ones(step.layer.in_channels, dtype=torch.bool))

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        layer, known, want = step.layer, step.along(1), (~self._folds(step)).nonzero()[:, 0]
        part = building.carrying(step.part(1, building), known, want, step.example)
        weight, bias = folded(layer, known, part, wanted)
        options = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "padding_mode")}
        new = resized(
            layer, step.kind, len(want), len(wanted), layer.kernel_size, bias=bias is not None, **options
        )  # fmt: skip
        give(new, "weight", weight, layer.weight)
        if bias is not None:
            give(new, "bias", bias, layer.bias)
        return Part(building.layer(str(step.node.target), new, part.node), wanted)

    def _folds(self, step: Step) -> Tensor:
        """The channels whose share is one number for each output."""
        layer, known = step.layer, step.along(1)
        pads = any(layer._reversed_padding_repeated_twice) and layer.padding_mode == "zeros"
        return known.fixed & (known.value == 0) if pads else known.fixed
