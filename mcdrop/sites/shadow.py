"""A skeleton of a model: its modules copied shallowly, its weights by reference.

Everything that switches dropout on (mode flags, hooks, functional calls) is state of the modules, shared with whoever
else uses the model. So passes run on a skeleton: module objects of the very same classes with dictionaries of their
own, parameters by reference, buffers cloned, references between modules followed. The user's modules are only read.
"""

import collections
import functools
from types import MethodType
from typing import Any, cast

import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.sites.switch import Switch, SwitchedBuffers

_REFUSED: dict[type, str] = {
    torch.jit.ScriptModule: "wrap the module it was scripted or traced from",
    nn.DataParallel: "wrap its `.module`",
    nn.parallel.DistributedDataParallel: "wrap its `.module`",
}


class Shadow:
    """A skeleton of `model` whose reads of `training` are answered by `switch`.

    Attributes:
        root: The skeleton of the model itself.
        paths: The name of each skeleton module in the tree, by `id`; "" for the root.

    Raises:
        InputError: The model is not an `nn.Module`, or holds a container that cannot be copied this way.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
        >>> shadow = Shadow(model, Switch())
        >>> shadow.root[0].weight is model[0].weight, shadow.root[1].training, model[1].training
        (True, False, False)
    """

    def __init__(self, model: nn.Module, switch: Switch) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"{type(model).__name__} was given as the model; expected a torch.nn.Module.")
        self._switch = switch
        self._copies: dict[int, Any] = {}
        self._buffers: list[tuple[torch.Tensor, torch.Tensor, int | None]] = []
        self.root: nn.Module = self._module(model)
        self.paths = {id(module): name for name, module in self.root.named_modules()}

    @property
    def buffers_changed(self) -> bool:
        """Whether a pass wrote to a buffer."""
        return any(
            (version is not None and copy._version != version) or not _same_values(copy, original)
            for copy, original, version in self._buffers
        )

    def _module(self, module: nn.Module) -> nn.Module:
        if id(module) in self._copies:
            return self._copies[id(module)]
        if type(module).__module__.startswith("torch._dynamo") and "_orig_mod" in module._modules:
            return self._module(cast(nn.Module, module._orig_mod))  # torch.compile: the plain one computes the same
        for refused, remedy in _REFUSED.items():
            if isinstance(module, refused):
                raise InputError(f"{type(module).__name__} cannot be read inside: {remedy}.")
        for parameter in module._parameters.values():
            if isinstance(parameter, nn.UninitializedParameter):
                raise InputError(
                    f"{type(module).__name__} is a lazy module without weights yet: run the model once on an input."
                )
        copy = object.__new__(type(module))
        self._copies[id(module)] = copy
        values = copy.__dict__
        for name, value in module.__dict__.items():
            if name == "_parameters":
                values[name] = dict(value)
            elif name == "_buffers":
                values[name] = SwitchedBuffers(
                    {key: self._buffer(buffer) for key, buffer in value.items()}, self._switch
                )
            elif name == "_modules":
                values[name] = {key: child and self._module(child) for key, child in value.items()}
            elif name != "training":
                values[name] = self._value(value)
        return copy

    def _buffer(self, buffer: torch.Tensor | None) -> torch.Tensor | None:
        if buffer is None:
            return None
        if id(buffer) not in self._copies:
            copy = buffer.detach().clone()
            self._copies[id(buffer)] = copy
            self._buffers.append((copy, buffer, tensor_version(copy)))
        return self._copies[id(buffer)]

    def _value(self, value: Any) -> Any:
        """A copy of an attribute: containers copied, modules and bound methods led to the skeleton, the rest as is."""
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, torch.Tensor):
            return value if isinstance(value, nn.Parameter) else self._buffer(value)
        if isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
            return MethodType(value.__func__, self._module(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {key: self._value(item) for key, item in value.keywords.items()}
            return functools.partial(self._value(value.func), *map(self._value, value.args), **keywords)
        if type(value) in (dict, collections.OrderedDict):
            if id(value) not in self._copies:  # noted before it is filled, for containers that hold each other
                self._copies[id(value)] = copy = type(value)()
                copy.update((key, self._value(item)) for key, item in value.items())
            return self._copies[id(value)]
        if type(value) in (list, collections.deque):
            if id(value) not in self._copies:
                self._copies[id(value)] = copy = type(value)()
                copy.extend(map(self._value, value))
            return self._copies[id(value)]
        if type(value) in (set, tuple):
            return type(value)(map(self._value, value))
        return value


def _same_values(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Bit for bit, NaN included: kernels such as batch_norm's write to their buffers without counting it as a write."""
    return torch.equal(first, second) or torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


def tensor_version(tensor: torch.Tensor) -> int | None:
    """The tensor's count of in-place writes; None for inference tensors, which keep none."""
    return None if tensor.is_inference() else tensor._version
