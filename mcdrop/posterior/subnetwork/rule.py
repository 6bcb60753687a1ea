"""What a rule is: how one kind of operation is carried out on fewer units."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, fx, nn

from mcdrop.errors import InputError
from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.tracing import REMEDY, Trace

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of the masked network, and what is known of its inputs.

    Args:
        trace: The pass.
        node: The operation in it.
        known_of: What is known of what comes before it.
    """

    trace: Trace
    node: fx.Node
    known_of: Mapping[fx.Node, Known]

    @cached_property
    def layer(self) -> Any:
        """The layer, of the skeleton; None for an operation that is none."""
        return self.trace.root.get_submodule(str(self.node.target)) if self.node.op == "call_module" else None

    @property
    def kind(self) -> Any:
        """The layer's class, the function, or the method's name."""
        return self.node.target if self.layer is None else type(self.layer)

    @property
    def factor(self) -> Any:
        """What it multiplies its input by, if it is dropout; otherwise None."""
        return self.trace.factors.get(self.node)

    @property
    def args(self) -> Any:
        """What it is called with."""
        return self.node.args

    @property
    def value(self) -> Any:
        """What it returned for the example."""
        return self.trace.values[self.node]

    @property
    def inputs(self) -> list[fx.Node]:
        """The tensors with units that it takes."""
        return [node for node in self.node.all_input_nodes if self.known_of[node].axis >= 0]

    @property
    def input(self) -> fx.Node:
        """The first of them."""
        return self.inputs[0]

    @property
    def known(self) -> Known:
        """What is known of the first of them."""
        return self.known_of[self.input]

    @property
    def example(self) -> Tensor:
        """The first of them, as it was for the example."""
        return self.trace.values[self.input]

    def along(self, axis: int) -> Known:
        """What is known of the first of them where units lie along this axis: nothing, unless they were followed so."""
        return self.known if self.known.axis == axis else Known.nothing(axis, self.example.shape[axis])

    def asks(self, axis: int, units: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        """The units of the first of them that have to be computed so that these along an axis are there."""
        units = units if self.known.axis == axis else self.known.all_units
        return {self.input: units & ~self.known.fixed}

    def part(self, axis: int, building: Building) -> Part:
        """What there is of the first of them along an axis: what was dropped along another one is filled in again."""
        if self.known.axis == axis:
            return building.parts[self.input]
        whole = building.whole(self.input, self.known, self.example)
        return Part(whole, torch.arange(self.example.shape[axis]))

    @property
    def maps_one_tensor(self) -> bool:
        """Whether it takes and returns one tensor of one shape."""
        return len(self.inputs) == 1 and isinstance(self.value, Tensor) and self.value.shape == self.example.shape

    def refuse(self, why: str) -> InputError:
        """The error that names the layer and says why units that a mask drops cannot be removed there."""
        name = getattr(self.kind, "__name__", str(self.kind))
        where = f"`{self.node.target}`" if self.layer is not None else self.trace.places[self.node]
        return InputError(
            f"{name} {where}".rstrip() + f": {why}. Units can be removed through Linear, Conv1d, Conv2d, BatchNorm, "
            f"elementwise functions, pooling, flatten and sums. {REMEDY}"
        )


class Rule(ABC):
    """One kind of operation. The three questions are asked in turn, each of all operations."""

    @abstractmethod
    def takes(self, step: Step) -> bool:
        """Whether it is of this kind."""

    @abstractmethod
    def known(self, step: Step) -> Known:
        """What is known of its output, a tensor: asked from the first operation to the last."""

    @abstractmethod
    def needed(self, step: Step, output: Known, wanted: Bool[Tensor, " units"]) -> dict[fx.Node, Tensor]:
        """The units of its inputs that the units `wanted` of its output need: asked from the last to the first."""

    @abstractmethod
    def built(self, step: Step, output: Known, wanted: Int[Tensor, " wanted"], building: Building) -> Part:
        """The smaller operation, which carries at least the units `wanted`: asked from the first to the last."""


def resized(layer: nn.Module, kind: type[nn.Module], *sizes: Any, **options: Any) -> nn.Module:
    """A new layer of another size, its parameters still to be given: made on the meta device, which draws nothing."""
    return kind(*sizes, **options, device="meta", dtype=layer.weight.dtype).eval()


def give(new: nn.Module, name: str, values: Tensor, like: Tensor | None) -> None:
    """Sets a parameter, trainable if the one that it comes from was."""
    trains = like is None or like.requires_grad
    setattr(new, name, nn.Parameter(values.detach().clone(), requires_grad=trains))


def bare(step: Step) -> nn.Module | None:
    """A copy of the layer without hooks or dropout, in evaluation mode, that does not write to its input.

    None for a function.
    """
    if step.layer is None:
        return None
    new: Any = copy.deepcopy(step.trace.original(str(step.node.target))).eval()
    for one in new.modules():
        for hooks in (one._forward_hooks, one._forward_pre_hooks, one._backward_hooks, one._backward_pre_hooks):
            hooks.clear()
        if isinstance(one, nn.RNNBase | nn.MultiheadAttention):
            one.dropout = 0.0
        elif isinstance(one, _DROPOUTS):
            one.p = 0.0
    if getattr(new, "inplace", False):
        new.inplace = False
    return new
