"""A mask baked into a network: what it drops is cut out of the weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from mcdrop.errors import InputError
from mcdrop.posterior.mask import Mask
from mcdrop.posterior.subnetwork.addition import AdditionRule
from mcdrop.posterior.subnetwork.batch_norm import BatchNormRule
from mcdrop.posterior.subnetwork.building import Building
from mcdrop.posterior.subnetwork.convolution import ConvolutionRule
from mcdrop.posterior.subnetwork.dropping import DroppingRule
from mcdrop.posterior.subnetwork.elementwise import ElementwiseRule
from mcdrop.posterior.subnetwork.flattening import FlatteningRule
from mcdrop.posterior.subnetwork.known import Known, Part
from mcdrop.posterior.subnetwork.linear import LinearRule
from mcdrop.posterior.subnetwork.otherwise import OtherwiseRule
from mcdrop.posterior.subnetwork.pooling import PoolingRule
from mcdrop.posterior.subnetwork.rule import Rule, Step
from mcdrop.posterior.subnetwork.tracing import REMEDY, MaskedPass, Trace, traced
from mcdrop.posterior.units import check_same, units_of
from mcdrop.sites import Sites, close, discover
from mcdrop.tree import map_tensors, tensors

_RULES: tuple[Rule, ...] = (
    DroppingRule(), LinearRule(), ConvolutionRule(), BatchNormRule(), PoolingRule(), FlatteningRule(), AdditionRule(),
    ElementwiseRule(), OtherwiseRule(),
)  # fmt: skip


def bake(
    model: nn.Module,
    mask: Mask,
    *args: Tensor,
    sites: Sites = Sites(),  # noqa: B008 (frozen)
    **kwargs: Tensor,
) -> fx.GraphModule:
    """The sub-network that a mask picks, as a smaller network of its own.

    With the kept units K of one dropout layer between two linear ones, and s = 1 / (1 - p):

        W_2 (s z * f(W_1 x + b_1)) + b_2  =  (s W_2[:, K]) f(W_1[K] x + b_1[K]) + b_2

    Rows and columns of dropped units are gone. A unit that is one number for every input (one that is dropped before a
    BatchNorm, a function with f(0) != 0, or a layer with nothing left) moves into the next bias. A dropped input is not
    read. In sums the branches are filled with zeros. Where single pixels of a channel are dropped, the channel stays
    and is multiplied by its mask.

    The result computes what the masked model computes in evaluation mode (normalisation by running statistics), to
    rounding; this is checked on the example. It holds torch's modules alone, with copies of the weights under the old
    names: it can be trained, pickled, exported and loaded without mcdrop. A layer that is called twice becomes two,
    which training may part. Sizes other than that of the rows are those of the example.

    Args:
        model: The network; it is only read. Its forward must be one that `torch.fx` can follow (no branching on values
            or shapes).
        mask: A mask of it, from `mc.masks(t)`, `Dropout.draw`, `Enumeration.mask` or a file.
        *args: Its positional inputs, tensors with the rows along the first axis: an example.
        sites: The choice among its dropout sites that the mask was drawn with.
        **kwargs: Its keyword inputs, tensors.

    Returns:
        The network, in evaluation mode. Units are removed through Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d,
        elementwise functions, pooling, flatten and sums; other layers are kept where no unit that they take is dropped.

    Raises:
        InputError: The mask is of another model; an input is no tensor; the forward cannot be followed; or units are
            dropped before a layer through which they cannot be removed, which is named.
        UncontrolledSiteError, NoSiteError, RowAxisError: See `mcdrop.sites.discover`.

    Example:
        >>> from mcdrop.posterior import Mask, bake
        >>> model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 1))
        >>> keep = torch.tensor([[True, False, True, False, False, False]])
        >>> small = bake(model, Mask({"2:dropout": keep}, {"2:dropout": 0.5}), torch.randn(5, 2))
        >>> small
        GraphModule(
          (0): Linear(in_features=2, out_features=2, bias=True)
          (1): ReLU()
          (3): Linear(in_features=2, out_features=1, bias=True)
        )
        >>> x = torch.randn(3, 2)
        >>> by_hand = model[3](2 * keep * model[1](model[0](x)))
        >>> torch.allclose(small(x), by_hand, atol=1e-6)
        True
    """
    _check(mask, args, kwargs)
    discovery = discover(model, args, kwargs, sites=sites, batch_dim=0)
    discovery.require_active(model)
    check_same(mask.units, units_of(discovery))
    with torch.no_grad():
        trace = traced(MaskedPass(model, mask, discovery), args, kwargs)
        known = _known(trace)
        needed = _needed(trace, known)
        small = _built(trace, known, needed)
        expected = MaskedPass(model, mask, discovery).run(args, kwargs)
        found = small(*map(torch.clone, args), **map_tensors(torch.clone, kwargs))
    for ours, theirs in zip(tensors(found), tensors(expected), strict=True):
        if ours.shape != theirs.shape or not close(ours, theirs):
            raise InputError(
                f"The smaller network of {type(model).__name__} gives another output than the masked one: its forward "
                f"depends on values, or writes to a tensor that it uses elsewhere. {REMEDY}"
            )
    return small


def _check(mask: Mask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not isinstance(mask, Mask):
        raise InputError(f"A {type(mask).__name__} was given as the mask; expected a mcdrop.posterior.Mask.")
    if not (args or kwargs):
        raise InputError("No tensor was given as the model's input; expected an example of each.")
    for one in (*args, *kwargs.values()):
        if not isinstance(one, Tensor):
            raise InputError(f"A {type(one).__name__} was given as the model's input; expected tensors.")


def _rule(step: Step) -> Rule:
    return next(rule for rule in _RULES if rule.takes(step))


def _known(trace: Trace) -> dict[fx.Node, Known]:
    """What is known of each tensor that has an axis of units, from the first to the last."""
    known: dict[fx.Node, Known] = {}
    for node, value in trace.values.items():
        step = Step(trace, node, known)
        has_units = isinstance(value, Tensor) and value.ndim > 0
        known[node] = _rule(step).known(step) if has_units else Known.nothing(-1, 1)
    return known


def _needed(trace: Trace, known: Mapping[fx.Node, Known]) -> dict[fx.Node, Tensor]:
    """The units of each tensor that the output depends on, from the last to the first."""
    needed: dict[fx.Node, Tensor] = {}

    def ask(node: fx.Node, units: Tensor) -> None:
        needed[node] = needed[node] | units if node in needed else units

    for node in reversed(trace.graph.nodes):
        if node.op == "output":
            for one in node.all_input_nodes:
                ask(one, known[one].all_units)
        elif node.op.startswith("call") and node in needed and _varies(known[node], needed[node]):
            step = Step(trace, node, known)
            for one, units in _rule(step).needed(step, known[node], needed[node]).items():
                ask(one, units)
    return needed


def _built(trace: Trace, known: Mapping[fx.Node, Known], needed: Mapping[fx.Node, Tensor]) -> fx.GraphModule:
    """The smaller network, from the first operation to the last."""
    building = Building()
    for node in trace.graph.nodes:
        if node.op == "placeholder":
            building.parts[node] = building.input(str(node.target), known[node].size)
        elif node.op == "output":
            building.graph.output(map_arg(node.args[0], lambda one: building.whole(one, known[one], trace.values[one])))
        elif node in needed and _varies(known[node], needed[node]):
            step = Step(trace, node, known)
            wanted = (needed[node] & ~known[node].fixed).nonzero()[:, 0]
            building.parts[node] = _rule(step).built(step, known[node], wanted, building)
        elif node in needed:
            building.parts[node] = Part(None, torch.zeros(0, dtype=torch.long))
    return building.module()


def _varies(known: Known, needed: Tensor) -> bool:
    """Whether something of what is needed has to be computed."""
    return bool((needed & ~known.fixed).any())
