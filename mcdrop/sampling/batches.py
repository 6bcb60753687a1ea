"""Reading the batches of a loader: which part is the model's input, which the target."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from mcdrop.errors import InputError
from mcdrop.tree import describe
from mcdrop.types import Tree

Unpack = Callable[[Any], tuple[Any, Any]]
"""Takes a batch, returns (inputs, target): inputs a tensor, a tuple of positional or a dict of keyword arguments."""

Batch = tuple[tuple[Any, ...], dict[str, Any], Tree]
"""Positional inputs, keyword inputs, target (None if the batch has none)."""


def read_batches(
    function: Callable[..., Any], loader: Iterable[Any], unpack: Unpack | None, *, name: str
) -> Iterator[Batch]:
    """The batches of a loader as inputs and target.

    A tensor, or an array of another library, is the input. A mapping is the input: keyword arguments where its keys are
    names of the function's arguments, else one argument. A pair is (input, target) when the function takes one
    positional argument. For everything else `unpack` tells.

    Args:
        function: What is to be called with the inputs: a model's `forward`, or any other function.
        loader: The batches.
        unpack: How a batch is taken apart, or None for the above.
        name: Of the model or function, for messages.

    Raises:
        InputError: A tensor was given as the loader, the loader yields nothing, or a batch cannot be read.
    """
    if isinstance(loader, torch.Tensor):
        raise InputError(
            f"predict was given a tensor, {describe(loader)}; expected batches, such as a DataLoader. For one input "
            "call the object itself: mc(x)."
        )
    if not isinstance(loader, Iterable):
        raise InputError(f"{type(loader).__name__} was given as the loader; expected an iterable of batches.")
    empty = True
    for batch in loader:
        empty = False
        yield _unpacked(unpack(batch)) if unpack else _read(function, batch, name)
    if empty:
        raise InputError(
            "The loader yields no batch; expected at least one. (A generator that was read before is empty the second "
            "time.)"
        )


def length_of(loader: Any) -> int | None:
    """The number of batches, where the loader tells."""
    try:
        return len(loader)
    except TypeError:
        return None


def _read(function: Callable[..., Any], batch: Any, name: str) -> Batch:
    if hasattr(batch, "__array__"):
        return (batch,), {}, None
    if isinstance(batch, Mapping):
        return *_from_mapping(function, batch), None
    if isinstance(batch, tuple | list) and len(batch) == 1 and hasattr(batch[0], "__array__"):
        return (batch[0],), {}, None
    positional, variadic = _positional(function)
    if isinstance(batch, tuple | list) and len(batch) == 2 and len(positional) == 1 and not variadic:
        inputs, target = batch
        return *_inputs(function, inputs), target
    takes = f"({', '.join([*positional, *(['*args'] if variadic else [])])})"
    raise InputError(
        f"The loader yields a {describe(batch)} and {name} takes {takes}, so it cannot be told what is "
        "input and what target. Pass unpack=, a function from a batch to (inputs, target), where inputs is a tensor, a "
        "tuple of positional or a dict of keyword arguments."
    )


def _unpacked(unpacked: Any) -> Batch:
    if not isinstance(unpacked, tuple) or len(unpacked) != 2:
        raise InputError(
            f"unpack returned a {describe(unpacked)}; expected a pair (inputs, target), with target None if there is "
            "none."
        )
    inputs, target = unpacked
    if isinstance(inputs, tuple):
        return inputs, {}, target
    if isinstance(inputs, Mapping):
        return (), dict(inputs), target
    return (inputs,), {}, target


def _inputs(function: Callable[..., Any], inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return _from_mapping(function, inputs) if isinstance(inputs, Mapping) else ((inputs,), {})


def _from_mapping(function: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = _parameters(function)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if inputs and (set(inputs) <= set(parameters) or (open_ended and len(parameters) > 1)):
        return (), dict(inputs)
    return (inputs,), {}


def _positional(function: Callable[..., Any]) -> tuple[list[str], bool]:
    parameters = _parameters(function).values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names, any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # written in C, it does not say
        return {"args": inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)}
