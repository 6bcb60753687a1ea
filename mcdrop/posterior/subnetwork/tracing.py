"""One pass under a mask, followed operation by operation: the graph that a smaller network is made from.

The forward runs on symbols (`torch.fx`), and every operation is carried out on the example as well. So each dropout
operation meets the engine's own interception and gets its site's name from it, and the shape of every tensor is known.
Nothing is patched: symbols enter through the modules of a skeleton, never through PyTorch's classes.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate, map_arg

from mcdrop.errors import InputError, McdropError
from mcdrop.noise import BernoulliDropout, DropPath, OriginalDropout, SpatialDropout, used_probability
from mcdrop.posterior.mask import Mask
from mcdrop.sites import Call, Discovery, Interception, RandomCall, RowAxis, Shadow, Site, Switch, opened
from mcdrop.sites.intercept import place_of
from mcdrop.sites.operations import DROPOUTS
from mcdrop.tree import map_tensors
from mcdrop.types import Tree

_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_OWN_LAYERS = (BernoulliDropout, OriginalDropout, SpatialDropout, DropPath)
"""Layers that draw their mask themselves and multiply their input by it."""
REMEDY = "For such a model run the mask on the whole network: mcdrop.sampling.SubNetwork(model, mask)."


class MaskedPass:
    """Runs a skeleton under one mask.

    Args:
        model: The network; it is only read.
        mask: Its mask.
        discovery: What is known of its sites.

    Attributes:
        on_site: Hears of each site, and whether it draws its mask itself, when it is met.
        on_factor: Hears of its factor for one row, float64, before that is applied.
    """

    def __init__(self, model: nn.Module, mask: Mask, discovery: Discovery) -> None:
        self.model = model
        self.shadow = Shadow(model, Switch(discovery.on))
        self.interception = Interception(self.shadow, self._on_call, self._on_random)
        self.on_site: Callable[[str, bool], None] = lambda name, draws_itself: None
        self.on_factor: Callable[[Tensor], None] = lambda factor: None
        self._mask = mask
        self._discovery = discovery
        self._sites = {site.name: site for site in discovery.sites}

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tree:
        """The output of the masked network."""
        args, kwargs = map_tensors(torch.clone, (args, kwargs))  # the model may write to its inputs
        with self.interception:
            return self.shadow.root(*args, **kwargs)

    def _on_call(self, name: str, call: Call, frame: FrameType) -> Tensor:
        site = self._sites.get(name)
        if not call.training or (site is not None and (not site.chosen or site.p == 0)):
            return call.input
        self.on_site(name, False)
        values = self._values(name, site)[1]
        if call.keeps_moments:
            raise InputError(
                f"Site {name} is alpha dropout, which replaces what it drops by a number and not by 0. {REMEDY}"
            )
        used = used_probability(self._mask.p[name] or 0.0)
        self.on_factor(values.double() / (1 - used if used < 1 else 1.0))
        return call.apply(call.input, values.to(call.input.device), used)

    def _on_random(self, name: str, call: RandomCall, frame: FrameType) -> Tensor:
        if name in self._discovery.unused:
            return call.mean()
        self.on_site(name, True)
        row, uniform = self._values(name, self._sites.get(name))
        uniform = uniform.to(call.device)
        self.on_factor(call.value(uniform).double().cpu())
        return call.value(row.spread(uniform, call.shape))

    def _values(self, name: str, site: Site | None) -> tuple[RowAxis, Tensor]:
        if site is None or name not in self._mask.values:
            raise InputError(f"Site {name} is not among those of the mask: the forward depends on values. {REMEDY}")
        if site.row is None:
            raise InputError(f"Site {name} drops what does not depend on the input's rows (a weight, say). {REMEDY}")
        if site.row != RowAxis(0):
            raise InputError(f"The rows of site {name} lie on {site.row}; expected them on axis 0. {REMEDY}")
        return site.row, self._mask.values[name]


@dataclass
class Trace:
    """What one pass showed.

    Args:
        model: The network.
        root: The skeleton of it that ran.
        graph: Its operations.
        values: What each returned for the example.
        factors: What each dropout operation multiplies its input by, float64, for one row.
        places: Where each was called, in words.
        forwards: The forward of each layer that is one operation, by path.
    """

    model: nn.Module
    root: nn.Module
    graph: fx.Graph
    values: dict[fx.Node, Any] = field(default_factory=dict)
    factors: dict[fx.Node, Tensor] = field(default_factory=dict)
    places: dict[fx.Node, str] = field(default_factory=dict)
    forwards: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def original(self, path: str) -> nn.Module:
        """The user's own module of that path, whatever containers lie around the modules."""
        module = opened(self.model)
        for name in path.split("."):
            module = opened(getattr(module, name))
        return module

    def evaluate(self, node: fx.Node, given: dict[fx.Node, Any]) -> Any:
        """What an operation returns for other inputs."""
        args, kwargs = map_arg((node.args, node.kwargs), lambda one: given[one])
        target: Any = node.target
        if node.op == "call_module":
            return self.forwards[target](*args, **kwargs)
        return getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)


def traced(masked: MaskedPass, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Follows the forward for these inputs.

    Raises:
        InputError: The forward cannot be followed symbolically, or a site lies where no rule removes units.
    """
    return _Tracer(masked, args, kwargs).trace_once()


class _Tracer(fx.Tracer):
    def __init__(self, masked: MaskedPass, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self._masked = masked
        self._inputs = (args, kwargs)
        self.root = masked.shadow.root
        self.graph = fx.Graph()
        self.tensor_attrs = {}
        self.found = Trace(masked.model, self.root, self.graph)
        masked.on_site, masked.on_factor = self._on_site, self._on_factor

    def trace_once(self) -> Trace:
        self._enter(self.root, "")
        args, kwargs = self._inputs
        names = _names(self.root, len(args))
        try:
            symbols = [self._placeholder(name, value) for name, value in zip(names, args, strict=True)]
            named = {name: self._placeholder(name, value) for name, value in kwargs.items()}
            output = self.root(*symbols, **named)
            self.create_node("output", "output", (self.create_arg(output),), {})
        except McdropError:
            raise
        except Exception as error:  # the same forward has run on tensors: what fails is following it
            raise InputError(
                f"The forward of {type(self.root).__name__} cannot be followed by torch.fx, so that no smaller network "
                f"can be made of it: {error}"
            ) from error
        return self.found

    def _enter(self, module: nn.Module, path: str, in_leaf: bool = False) -> None:
        """Lets a skeleton module hand symbols on: a leaf when it is called, others in place of their parameters."""
        is_leaf, inside = bool(path) and self.is_leaf_module(module, path), f"{path}." if path else ""
        if is_leaf:
            self.found.forwards[path] = module.forward
            module.__dict__["forward"] = partial(self._call_leaf, path)
        elif not in_leaf:
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    symbol: Any = self.create_proxy("get_attr", inside + name, (), {})
                    module._parameters[name] = symbol
        for name, child in module._modules.items():
            if child is not None and self._masked.shadow.paths[id(child)] == inside + name:  # once, if it is shared
                self._enter(child, inside + name, in_leaf or is_leaf)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, nn.ModuleList | nn.ModuleDict):
            return False
        return isinstance(m, (torch.jit.ScriptModule, *_OWN_LAYERS)) or super().is_leaf_module(m, module_qualified_name)

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, target, *args, **kwargs)
        if kind == "get_attr":
            self.found.values[node] = _attribute(self.root, target)
        elif kind.startswith("call"):
            self._current = node
            place = place_of(self._masked.shadow, sys._getframe(1), source=True)
            where = [f"in `{place.path}`"] * bool(place.path) + [f"at {place.source}"] * bool(place.source)
            self.found.places[node] = " ".join(where)
            with self._masked.interception:
                self.found.values[node] = self.found.evaluate(node, self.found.values)
            if node not in self.found.factors:
                self._note_what_is_off()
        return node

    def _placeholder(self, name: str, value: Tensor) -> fx.Proxy:
        node = self.create_node("placeholder", name, (), {}, name)
        self.found.values[node] = value.clone()
        return self.proxy(node)

    def _call_leaf(self, path: str, *args: Any, **kwargs: Any) -> Any:
        symbols: list[fx.Proxy] = []
        map_aggregate((args, kwargs), lambda one: symbols.append(one) if isinstance(one, fx.Proxy) else None)
        if not symbols:  # inside another leaf, or on constants
            return self.found.forwards[path](*args, **kwargs)
        return self.create_proxy("call_module", path, args, kwargs)

    def _on_site(self, name: str, draws_itself: bool) -> None:
        """Refuses a site that does not multiply the input of the operation at hand, and all of it."""
        node, layer = self._current, self._layer
        if type(layer) in (_OWN_LAYERS if draws_itself else _LAYERS):
            return
        if layer is not None:
            raise InputError(
                f"Site {name} lies inside {type(layer).__name__} `{node.target}`, of which no unit can be cut out "
                f"exactly. {REMEDY}"
            )
        if draws_itself or node.op != "call_function" or node.target not in DROPOUTS:
            raise InputError(f"Site {name} is no dropout operation of its own but drawn in the model's code. {REMEDY}")

    def _on_factor(self, factor: Tensor) -> None:
        layer = self._layer
        self.found.factors[self._current] = factor * (layer.law.kept_value if type(layer) in _OWN_LAYERS else 1.0)

    def _note_what_is_off(self) -> None:
        """The factor of dropout that is off: its mean."""
        node, layer = self._current, self._layer
        if type(layer) in (*_LAYERS, *_OWN_LAYERS) or (node.op == "call_function" and node.target in DROPOUTS):
            mean = layer.law.mean if type(layer) in _OWN_LAYERS else 1.0
            self.found.factors[node] = torch.full([1] * self.found.values[node].ndim, mean, dtype=torch.float64)

    @property
    def _layer(self) -> Any:
        node = self._current
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None


def _attribute(root: nn.Module, path: str) -> Any:
    *parents, name = path.split(".")
    return getattr(root.get_submodule(".".join(parents)), name)


def _names(root: nn.Module, count: int) -> list[str]:
    """What the first inputs are called: as in the forward's signature, where it names them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [name for name, one in inspect.signature(root.forward).parameters.items() if one.kind in kinds]
    return [named[place] if place < len(named) else f"input_{place}" for place in range(count)]
