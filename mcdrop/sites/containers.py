"""Containers around a model: those that compute what the module inside computes are opened, the others refused."""

from functools import lru_cache
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, cast

import torch
from torch import nn
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch.nn.parameter import is_lazy

from mcdrop.errors import InputError

_COMPILER = str(Path(torch.__file__).parent / "_dynamo")
_PLAIN = frozenset({torch.Tensor, nn.Parameter, nn.Buffer})
_WHOLE = (
    "Pass a plain model that has loaded the full state: torch.distributed.checkpoint.state_dict.get_model_state_dict "
    "with StateDictOptions(full_state_dict=True)."
)
COMPILED = (
    "The model calls a function that torch.compile wrapped and that is no method of its modules, so that dropout in it "
    "cannot be controlled. Turn the compiler off for the call (with torch.compiler.set_stance('force_eager'): ...), or "
    "compile the model instead: compiled modules and methods are opened."
)


def is_compiling() -> bool:
    """Whether the running code is that of a function which `torch.compile` wrapped."""
    callback = get_eval_frame_callback()
    return callback is not None and callback is not False


def opened(module: nn.Module) -> nn.Module:
    """The module inside `torch.compile`, `DataParallel` and `DistributedDataParallel`, which compute what it computes.

    Raises:
        InputError: The module, or the container around it, cannot be run on a skeleton; the message names the remedy.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> opened(nn.DataParallel(model)) is model
        True
    """
    kind: type = type(module)
    inside = _inside(kind)
    if inside:
        if getattr(module, "mixed_precision", None) is not None:
            raise InputError(
                "DistributedDataParallel with mixed_precision computes in another precision than the module inside. "
                "Pass its `.module`, cast or under torch.autocast as you want it."
            )
        if module._forward_hooks or module._forward_pre_hooks:
            raise InputError(
                f"{kind.__name__} has forward hooks of its own, which are none of the module inside. Register them on "
                f"that one, its `.{inside}`."
            )
        return opened(cast(nn.Module, module._modules[inside]))
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None and type(tensor) not in _PLAIN:
            _refuse(kind.__name__, tensor)
    return module


@lru_cache(maxsize=4096)
def _inside(kind: type) -> str:
    """The name under which a container of this kind holds the module that it computes; "" for any other module."""
    if kind.__module__.startswith("torch._dynamo"):
        return "_orig_mod"
    if issubclass(kind, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return "module"
    if any(base.__module__.startswith("torch.distributed.fsdp") for base in kind.__mro__):
        raise InputError(
            f"{kind.__name__} is fully sharded: its weights lie in parts on several processes and are gathered by "
            f"hooks. {_WHOLE}"
        )
    if issubclass(kind, torch.ao.nn.quantized.Dropout):
        raise InputError(
            "The model is statically quantised: in place of its dropout it holds placeholders that pass quantised "
            "numbers on. Pass the float model, or one quantised by quantize_dynamic."
        )
    return ""


def _refuse(name: str, tensor: torch.Tensor) -> None:
    if is_lazy(tensor):
        raise InputError(
            f"{name} is a lazy module without weights yet: run the model once on an input, model(x), before sampling."
        )
    if type(tensor).__module__.startswith("torch.distributed.tensor"):
        raise InputError(f"{name} holds a DTensor, of which this process has only a part. {_WHOLE}")


@lru_cache(maxsize=4096)
def uncompiled(kind: type) -> dict[str, Any]:
    """The methods of a class that `torch.compile` wrapped, by name, as they were written.

    A compiled function would trace mcdrop's own interception of dropout; what the compiler makes of it computes the
    same.
    """
    methods = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    return {name: original(value) for name, value in methods.items() if original(value) is not value}


def original(function: Any) -> Any:
    """The function that `torch.compile` wrapped; everything else is returned as it is.

    Example:
        >>> original(len) is len
        True
    """
    while isinstance(function, FunctionType) and function.__code__.co_filename.startswith(_COMPILER):
        if not hasattr(function, "__wrapped__"):
            break
        function = function.__wrapped__
    return function


def is_graph(kind: type) -> bool:
    """Whether the modules of this class run a traced or exported graph, in which flags are constants.

    Example:
        >>> is_graph(type(torch.fx.symbolic_trace(nn.ReLU()))), is_graph(nn.ReLU)
        (True, False)
    """
    # told by their file, because importing torch.export takes half as long as importing torch
    return issubclass(kind, torch.fx.GraphModule) or kind.__module__ == "torch.export.unflatten"


def traced(model: nn.Module) -> list[str]:
    """Paths of the outermost traced or exported graphs in a model.

    Example:
        >>> traced(nn.Sequential(nn.ReLU(), torch.fx.symbolic_trace(nn.ReLU())))
        ['1']
    """
    paths: list[str] = []
    for path, module in model.named_modules():
        inside = any(not outer or path.startswith(f"{outer}.") for outer in paths)
        paths += [path] if is_graph(type(module)) and not inside else []
    return paths


def advice(model: object) -> str:
    """What to do about a thing that was given as the model and is none; "" where nothing better is known.

    Example:
        >>> advice("model")
        ''
    """
    if isinstance(model, torch.export.ExportedProgram):
        return (
            " An exported program is no module: pass the model that it was exported from, or its `.module()` where it "
            "was exported in training mode with a dynamic batch dimension."
        )
    if isinstance(model, MethodType | FunctionType):
        return " Pass the module itself, or read a function that draws itself with mcdrop.from_callable."
    return ""
