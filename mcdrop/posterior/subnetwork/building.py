"""The smaller network while it is made: a graph, its layers and its buffers."""

import operator
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from mcdrop.posterior.subnetwork.known import Known, Part


class Building:
    """A graph that grows by one operation at a time.

    Attributes:
        graph: The graph so far.
        parts: What it has of each tensor of the masked network.
    """

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self.parts: dict[fx.Node, Part] = {}
        self._held: dict[str, Any] = {}
        self._first: fx.Node | None = None
        self._rows: fx.Node | None = None

    def module(self) -> fx.GraphModule:
        """The network."""
        self.graph.lint()
        return fx.GraphModule(self._held, self.graph).eval()

    def input(self, name: str, size: int) -> Part:
        """One of the network's inputs; the first one says how many rows there are."""
        node = self.graph.placeholder(name)
        self._first = self._first or node
        return Part(node, torch.arange(size))

    def layer(self, path: str, layer: nn.Module, *args: Any, **kwargs: Any) -> fx.Node:
        """A call of a layer, which is held under its old path if that is free."""
        return self.graph.call_module(self._hold(path, layer), args, kwargs)

    def same(self, node: fx.Node, layer: nn.Module | None, given: Mapping[fx.Node, fx.Node]) -> fx.Node:
        """The operation of the masked network on these inputs; `layer` is a copy of its layer, if it is one."""
        args = map_arg(node.args, lambda one: given[one])
        kwargs = map_arg(node.kwargs, lambda one: given[one])
        if layer is not None:
            return self.layer(str(node.target), layer, *args, **kwargs)
        return self.graph.create_node(node.op, node.target, args, kwargs)

    def held(self, name: str, tensor: Tensor) -> fx.Node:
        """A parameter or a buffer."""
        return self.graph.get_attr(self._hold(name, tensor))

    def scaled(self, part: Part) -> Any:
        """The units carried, with their factor."""
        if part.node is None or part.scale == 1:
            return part.node
        return self.graph.call_function(operator.mul, (part.node, part.scale))

    def carrying(self, part: Part, known: Known, want: Int[Tensor, " want"], example: Any) -> Part:
        """The part with just these units: some are left out, and those that are fixed may be filled in.

        Args:
            part: What there is.
            known: What is known of the tensor.
            want: Indices of the units, ascending; each is carried or fixed.
            example: The whole tensor for some input, for its shape and type.
        """
        if torch.equal(want, part.carried):
            return part
        here, place = torch.isin(want, part.carried), torch.searchsorted(part.carried, want)
        if here.all():
            return Part(self._select(part.node, known.axis, place, example), want, part.scale)
        missing = known.value[want].where(~here, 0.0)
        if not here.any():
            sizes = [self._row_count(), *example.shape[1:]]
            sizes[known.axis] = -1
            constant = self.constant(missing, known.axis, example)
            return Part(self.graph.call_method("expand", (constant, *sizes)), want)
        # One unit of zeros behind the others, which stands for all that is not there.
        pad = [0, 0] * (example.ndim - 1 - known.axis) + [0, 1]
        padded = self.graph.call_function(torch.nn.functional.pad, (self.scaled(part), pad))
        filled = self._select(padded, known.axis, place.where(here, len(part.carried)), example)
        if missing.any():
            constant = self.constant(missing, known.axis, example)
            filled = self.graph.call_function(operator.add, (filled, constant))
        return Part(filled, want)

    def constant(self, values: Float[Tensor, " units"], axis: int, example: Tensor) -> fx.Node:
        """Values of units along an axis, in a shape that broadcasts against the example's."""
        shape = [1] * example.ndim
        shape[axis] = len(values)
        return self.held("_constant", values.to(example).view(shape))

    def whole(self, node: fx.Node, known: Known, example: Any) -> fx.Node:
        """A tensor of the masked network with all of its units."""
        return self.scaled(self.carrying(self.parts[node], known, torch.arange(known.size), example))

    def _row_count(self) -> fx.Node:
        if self._rows is None:
            self._rows = self.graph.call_method("size", (self._first, 0))
        return self._rows

    def _select(self, node: fx.Node, axis: int, place: Tensor, example: Tensor) -> fx.Node:
        index = self.held("_kept", place.to(example.device))
        return self.graph.call_function(torch.index_select, (node, axis, index))

    def _hold(self, name: str, one: Any) -> str:
        free, count = name, 1
        while free in self._held:
            count += 1
            free = f"{name}_{count}"
        self._held[free] = one
        return free
