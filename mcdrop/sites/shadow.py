"""A skeleton of a model: its modules copied shallowly, its weights by reference.

Everything that switches dropout on (mode flags, hooks, functional calls) is state of the modules, shared with whoever
else uses the model. So passes run on a skeleton: module objects of the very same classes with dictionaries of their
own, parameters by reference, buffers cloned, references between modules followed. The user's modules are only read.
"""

import collections
import functools
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.sites.containers import advice, opened, original, uncompiled
from mcdrop.sites.generators import HeldGenerators, kind_of
from mcdrop.sites.scripted import skeleton
from mcdrop.sites.switch import Switch, SwitchedBuffers

_ATOMS = frozenset({bool, int, float, str, type(None)})
_CONTAINERS = frozenset({dict, collections.OrderedDict, list, set, collections.deque})
_HOOKS = frozenset(name for name, value in vars(nn.Module()).items() if type(value) is collections.OrderedDict)
_REBUILT = frozenset({"_compiled_call_impl", "_parameters", "_buffers", "_modules"})
"""Attributes of a module that its copy is not given as they are."""


class Shadow:
    """A skeleton of `model` whose reads of `training` are answered by `switch`.

    Attributes:
        root: The skeleton of the model itself.
        paths: The name of each skeleton module in the tree, by `id`; "" for the root.

    Raises:
        InputError: The model is not an `nn.Module`, or holds a container that cannot be run this way.
        UncontrolledSiteError: It holds a scripted or traced module that may draw random numbers.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
        >>> shadow = Shadow(model, Switch())
        >>> shadow.root[0].weight is model[0].weight, shadow.root[1].training, model[1].training
        (True, False, False)
    """

    def __init__(self, model: nn.Module, switch: Switch) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(
                f"{type(model).__name__} was given as the model; expected a torch.nn.Module.{advice(model)}"
            )
        self._switch = switch
        self._copies: dict[int, Any] = {}
        self._buffers: list[tuple[torch.Tensor, torch.Tensor, int | None]] = []
        self._generators = HeldGenerators()
        self.root: nn.Module = self._module(model)
        self.paths: dict[int, str] = {}
        self._name(self.root, "")

    @property
    def generators_moved(self) -> list[tuple[str, str]]:
        """The kind of each generator held by the model that a pass drew from, and the path of the module that holds it;
        "" where that one holds it in a container."""
        found = []
        for generator in self._generators.moved():
            holders = (
                path for path, one in self.root.named_modules() if any(v is generator for v in vars(one).values())
            )
            found.append((kind_of(generator), next(holders, "")))
        return found

    def reseed_generators(self) -> None:
        """Seeds the generators held by the model from torch's global one."""
        self._generators.reseed()

    @property
    def buffers_changed(self) -> frozenset[int]:
        """The buffers that a pass wrote to, by their place among all, the same in every skeleton of a model."""
        return frozenset(
            place
            for place, (copy, original, version) in enumerate(self._buffers)
            if (version is not None and copy._version != version) or not _same_values(copy, original)
        )

    def _module(self, module: nn.Module) -> nn.Module:
        copies = self._copies
        if id(module) in copies:
            return copies[id(module)]
        inner = opened(module)
        if inner is not module:
            return self._module(inner)
        if isinstance(module, torch.jit.ScriptModule):
            copies[id(module)] = skeleton(module, self._buffer)
            return copies[id(module)]
        kind: type = type(module)
        copy: nn.Module = object.__new__(kind)
        copies[id(module)] = copy
        values, given = copy.__dict__, module.__dict__
        # A skeleton is built for each pass, and most attributes are empty dictionaries of hooks or atoms: no call for
        # those. A list, because another thread may run the model, and add to it, meanwhile.
        for name, value in list(given.items()):
            if name in _HOOKS and not value:
                values[name] = collections.OrderedDict()
            elif type(value) in _ATOMS:
                values[name] = value
            elif name not in _REBUILT:
                values[name] = self._value(value)
        values.pop("training", None)
        values["_parameters"] = given["_parameters"].copy()
        values["_buffers"] = buffers = SwitchedBuffers(self._switch)
        for key, buffer in given["_buffers"].items():
            buffers[key] = None if buffer is None else self._buffer(buffer)
        values["_modules"] = {
            key: None if child is None else self._module(child) for key, child in given["_modules"].items()
        }
        for name, function in uncompiled(kind).items():
            values.setdefault(name, MethodType(function, copy))
        return copy

    def _name(self, module: nn.Module, path: str) -> None:
        """Notes the paths in the tree below a skeleton module; the first of several counts, as in `named_modules`."""
        if id(module) in self.paths:
            return
        self.paths[id(module)] = path
        for name, child in module._modules.items():
            if child is not None:
                self._name(child, f"{path}.{name}" if path else name)

    def _buffer(self, buffer: torch.Tensor) -> torch.Tensor:
        if id(buffer) not in self._copies:
            copy = (buffer.detach() if buffer.requires_grad else buffer).clone()
            self._copies[id(buffer)] = copy
            self._buffers.append((copy, buffer, tensor_version(copy)))
        return self._copies[id(buffer)]

    def _value(self, value: Any) -> Any:
        """A copy of an attribute: containers copied, modules and bound methods led to the skeleton, the rest as is."""
        kind = type(value)  # exact types first: a skeleton is built for each pass, and most attributes are of these
        if kind in _ATOMS:
            return value
        if kind in _CONTAINERS:
            copies, key = self._copies, id(value)
            if key not in copies:
                if value or kind is collections.deque:  # which has a length that is not to be exceeded
                    copies[key] = copy = value.copy()
                    self._fill(copy, value)
                else:
                    copies[key] = kind()
            return copies[key]
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, torch.Tensor):
            return value if isinstance(value, nn.Parameter) else self._buffer(value)
        if isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
            return MethodType(value.__func__, self._module(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {key: self._value(item) for key, item in value.keywords.items()}
            return functools.partial(self._value(value.func), *map(self._value, value.args), **keywords)
        if isinstance(value, FunctionType):
            plain = original(value)
            return value if plain is value else self._value(plain)
        return kind(map(self._value, value)) if kind is tuple else self._generators.copied(value)

    def _fill(self, copy: Any, given: Any) -> None:
        """Leads what a container holds to the skeleton; its copy is noted before, for those that hold each other."""
        if isinstance(given, dict):
            copy.update((key, self._value(item)) for key, item in given.items())
        elif isinstance(given, set):
            copy.clear()
            copy.update(map(self._value, given))
        else:
            copy.clear()
            copy.extend(map(self._value, given))


def _same_values(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Bit for bit, NaN included: kernels such as batch_norm's write to their buffers without counting it as a write."""
    return torch.equal(first, second) or torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


def tensor_version(tensor: torch.Tensor) -> int | None:
    """The tensor's count of in-place writes; None for inference tensors, which keep none."""
    return None if tensor.is_inference() else tensor._version
