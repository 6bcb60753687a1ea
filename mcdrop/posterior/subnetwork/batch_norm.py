"""BatchNorm1d and BatchNorm2d in evaluation mode: one affine function for each unit."""

from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.rule import Rule, Step, give

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d)


class BatchNormRule(Rule):
    """y = (x - m) / sqrt(v + eps) g + b with the running m and v: a unit fixed at c is fixed at that."""

    def takes(self, step: Step) -> bool:
        return step.kind in _KINDS and step.layer.running_mean is not None and len(step.inputs) == 1

    def known(self, step: Step) -> Known:
        layer, known = step.layer, step.along(1)
        value = (known.value - _double(layer.running_mean)) / (_double(layer.running_var) + layer.eps).sqrt()
        value = value * _double(layer.weight) + _double(layer.bias) if layer.affine else value
        return Known.of(1, known.fixed, value)

    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        return step.asks(1, wanted)

    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        layer, part = step.layer, step.part(1, building)
        carried, options = part.carried, {"eps": layer.eps, "momentum": layer.momentum, "affine": layer.affine}
        new = type(layer)(len(carried), **options, device="meta").eval()
        for name in ("running_mean", "running_var"):
            setattr(new, name, getattr(layer, name)[carried].clone())
        new.num_batches_tracked = layer.num_batches_tracked.clone()
        if layer.affine:
            give(new, "weight", layer.weight[carried], layer.weight)
            give(new, "bias", layer.bias[carried], layer.bias)
        # The scale is not folded: statistics of a batch, in training, would undo it.
        return Part(building.layer(str(step.node.target), new, building.scaled(part)), carried)


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()
