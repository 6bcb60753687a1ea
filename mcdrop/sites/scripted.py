"""Scripted and traced modules: their operations run outside Python, where no mask can be handed to them.

One that draws is refused by name. One that cannot draw (a backbone without dropout) runs, in evaluation mode, on a
skeleton of its own: submodules copied shallowly, parameters by reference, buffers cloned.
"""

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.jit import ScriptModule

from mcdrop.errors import UncontrolledSiteError
from mcdrop.sites.mapped import is_mapped
from mcdrop.tree import tensors

_PROBABILITIES = ("p", "dropout", "dropout_p")
_OUTSIDE = ("prim::PythonOp", "prim::CallMethod", "prim::CallFunction")
"""Calls that remain when a graph is inlined: of Python, and of what is known only when it runs."""


def skeleton(module: ScriptModule, cloned: Callable[[Tensor], Tensor]) -> ScriptModule:
    """A copy in evaluation mode that shares the parameters.

    Args:
        module: A scripted or traced module; it is only read.
        cloned: Gives the copy of a buffer.

    Raises:
        UncontrolledSiteError: The module draws random numbers in training mode or always.
    """
    drawing = sorted({kind for name in module._c._method_names() for kind in _drawing(module._c._get_method(name))})
    if drawing:
        raise UncontrolledSiteError(
            f"{type(module).__name__} {module.original_name} is scripted or traced, and it may draw random numbers "
            f"({', '.join(drawing)}), which nothing can control there. Pass the model with the module that it was "
            "scripted or traced from; torch.jit.freeze(module.eval()) leaves dropout out of it for good."
        )
    ours = torch.jit._recursive.wrap_cpp_module(_copied(module._c, cloned))
    # Written past `register_forward_pre_hook`, which no scripted module has: theirs are compiled.
    ours._forward_pre_hooks[id(_refuse_vmap)] = _refuse_vmap
    return ours


def _copied(module: Any, cloned: Callable[[Tensor], Tensor]) -> Any:
    ours = copy.copy(module)
    children, buffers = cast(Any, torch._C.ModuleDict(module)), cast(Any, torch._C.BufferDict(module))
    for name, child in children.items():
        ours.setattr(name, _copied(child, cloned))
    for name, buffer in buffers.items():
        ours.setattr(name, cloned(buffer))
    if ours.hasattr("training"):
        ours.setattr("training", False)
    return ours


def _drawing(method: Any) -> Iterator[str]:
    """The operations of a method that may draw."""
    return (node.kind() for node in _nodes(method.inlined_graph) if _may_draw(node))


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _may_draw(node: Any) -> bool:
    kind = node.kind()
    if kind in _OUTSIDE:
        return True
    if not kind.startswith("aten::") or node.schema() == "(no schema)":
        return False
    names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
    given = {
        name: value.toIValue()
        for name, value in zip(names, node.inputs(), strict=False)  # some take any number
        if value.node().kind() == "prim::Constant"
    }
    probability = next((name for name in _PROBABILITIES if name in names), None)
    if probability is not None and (_is_random(kind) or probability != "p"):
        return given.get(probability) != 0.0
    return _is_random(kind)


@lru_cache(maxsize=4096)
def _is_random(kind: str) -> bool:
    packet = getattr(torch.ops.aten, kind.removeprefix("aten::"), None)
    overloads = packet.overloads() if packet is not None else []
    return any(torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags for overload in overloads)


def _refuse_vmap(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
    """TorchScript specialises its code to what it has seen, and then fails on the tensors of vmap."""
    if any(is_mapped(tensor) for tensor in tensors(args)):
        raise RuntimeError("what a scripted or traced module is given depends on a mask")
