"""Interception: while it is active, every dropout operation of the running pass is handed to a function.

A `TorchFunctionMode` sees PyTorch's operations whoever calls them and however they were imported, in this thread only,
and without touching a module or `torch.nn.functional`. Under it PyTorch's fused transformer kernels, which skip
dropout, are off.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mcdrop.errors import UncontrolledSiteError
from mcdrop.sites.attention import attend, dropout_probability, fused, multi_head_attention_forward
from mcdrop.sites.containers import COMPILED, is_compiling
from mcdrop.sites.drawn import RANDOM, RandomCall, read_random
from mcdrop.sites.operations import DROPOUTS, Call, read_call
from mcdrop.sites.overloads import public
from mcdrop.sites.recurrent import RECURRENT, read_layers
from mcdrop.sites.shadow import Shadow

_NOT_THE_MODEL = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))


@dataclass(frozen=True)
class Place:
    """Where an operation was called.

    Args:
        path: Name of the innermost module of the model that was running; "" for the root.
        owner: Class of the innermost module, of the model or not.
        outside: Whether that one is not of the model's tree, but held by something that is no module.
        source: The innermost line outside PyTorch and mcdrop, "file.py:12"; "" where the model is made of PyTorch's
            modules alone.
    """

    path: str
    owner: type
    outside: bool
    source: str


def place_of(shadow: Shadow, frame: FrameType | None, *, source: bool) -> Place:
    """Where the code that runs in `frame` stands in the model; the source line only if asked for."""
    innermost, known, line = None, None, ""
    while frame is not None:
        code = frame.f_code
        if source and not line and not code.co_filename.startswith(_NOT_THE_MODEL):
            line = f"{Path(code.co_filename).name}:{frame.f_lineno}"
        # the first variable of a method; `f_locals` copies them all, so it is read for these alone
        module = frame.f_locals.get("self") if code.co_varnames[:1] == ("self",) else None
        if isinstance(module, nn.Module):
            innermost = innermost or module
            known = module if known is None and id(module) in shadow.paths else known
            if known is not None and (not source or line or module is shadow.root):
                break
        frame = frame.f_back
    path = "" if known is None else shadow.paths[id(known)]
    owner = type(shadow.root if innermost is None else innermost)
    return Place(path, owner, innermost is not None and type(known) is not owner, line)


_SHAPES = ("empty", "zeros", "ones", "full")
_MAKERS = frozenset(
    getattr(house, name)
    for house, names in (
        (torch, [*_SHAPES, *(f"{shape}_like" for shape in _SHAPES), "empty_strided"]),
        (Tensor, [f"new_{shape}" for shape in _SHAPES]),
    )
    for name in names
)
"""Functions that make a tensor of no other, into which a model may write a mask afterwards."""

_INTERCEPTED = frozenset(
    {F.multi_head_attention_forward, F.scaled_dot_product_attention, *DROPOUTS, *RECURRENT, *RANDOM}
)
"""Functions for which something else may be supplied."""


class Interception(TorchFunctionMode):
    """Hands every dropout operation of a pass to `on_call`, every draw of random numbers to `on_random`, and what all
    other operations return to `on_result`.

    Args:
        shadow: The skeleton that runs.
        on_call: Takes the site's name, the call and the calling frame; returns the masked tensor, or None for what
            torch itself would do.
        on_random: Takes the site's name, the call and the calling frame; returns the numbers, or None as above.
        on_result: Takes the operation, its arguments, its result and the calling frame.
        on_made: Takes a tensor that was made of no other (by torch.zeros, say) and returns one in its place.
    """

    def __init__(
        self,
        shadow: Shadow,
        on_call: Callable[[str, Call, FrameType], Tensor | None],
        on_random: Callable[[str, RandomCall, FrameType], Tensor | None],
        on_result: Callable[[Any, tuple[Any, ...], dict[str, Any], Any, FrameType], None] | None = None,
        on_made: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._shadow = shadow
        self._on_call = on_call
        self._on_random = on_random
        self._on_result = on_result
        self._on_made = on_made
        self._counts: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        frame = sys._getframe(1)
        if is_compiling():
            raise UncontrolledSiteError(COMPILED)
        given, func = func, public(func)
        if func in _INTERCEPTED:  # most are not, and cost no further question
            supplied = self._supplied(func, args, kwargs, frame)
            if supplied is not NotImplemented:
                return supplied
            given = fused if func is F.scaled_dot_product_attention else given
        result = given(*args, **kwargs)
        if self._on_result is not None:
            self._on_result(func, args, kwargs, result, frame)
        if self._on_made is not None and func in _MAKERS:
            return self._on_made(result)
        return result

    def _supplied(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType) -> Any:
        """What is returned in place of torch's own result; NotImplemented where that is wanted."""
        call = read_call(func, args, kwargs)
        if call is not None:
            masked = self._ask(call, frame)
            if masked is not None:
                return call.input.copy_(masked) if call.inplace else masked
        elif func is F.multi_head_attention_forward:
            with self:
                return multi_head_attention_forward(*args, **kwargs)
        elif func is F.scaled_dot_product_attention:
            if dropout_probability(*args, **kwargs) > 0:
                return attend(partial(self._masked, frame), *args, **kwargs)
            return NotImplemented
        layers = read_layers(func, args, kwargs)
        if layers is not None:  # without dropout too: vmap has no rule for these functions
            return layers.run(partial(self._masked, frame) if layers.has_dropout else lambda call: call.input)
        random = read_random(func, args, kwargs)
        if random is not None:
            drawn = self._on_random(self._name(random.operation, frame), random, frame)
            if drawn is not None:
                return drawn if random.target is None else random.target.copy_(drawn)
        return NotImplemented

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if kind is not None and kind.__module__ == "torch._dynamo.exc":
            raise UncontrolledSiteError(COMPILED) from error

    def _name(self, operation: str, frame: FrameType) -> str:
        base = f"{place_of(self._shadow, frame, source=False).path or '(model)'}:{operation}"
        self._counts[base] += 1
        return base if self._counts[base] == 1 else f"{base}#{self._counts[base]}"

    def _ask(self, call: Call, frame: FrameType) -> Tensor | None:
        return self._on_call(self._name(call.operation, frame), call, frame)

    def _masked(self, frame: FrameType, call: Call) -> Tensor:
        masked = self._ask(call, frame)
        return call.input if masked is None else masked
