"""Picking the tensor to read from what a model returns."""

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

from mcdrop.errors import OutputError
from mcdrop.tree import describe, tensors
from mcdrop.types import Tree

Output: TypeAlias = Hashable | Callable[[Any], Tree] | None
"""A key or field name, an index, a function of the model's output, or None for all of it."""


def selector(output: Output) -> Callable[[Any], Tree]:
    """The function that picks what `output` names.

    Example:
        >>> import torch
        >>> selector("logits")({"logits": torch.zeros(2, 3), "loss": None}).shape
        torch.Size([2, 3])
    """

    if output is None:
        return whole

    def select(result: Any) -> Tree:
        return whole(_pick(result, output))

    return select


def whole(result: Any) -> Tree:
    """All of a model's output, with a tensor in it."""
    if not tensors(result):
        raise OutputError(f"The output that is read is a {describe(result)}; expected at least one tensor.")
    return result


def _pick(result: Any, output: Output) -> Any:
    if callable(output):
        return output(result)
    try:
        return result[output]
    except (KeyError, IndexError, TypeError) as error:
        if isinstance(output, str) and hasattr(result, output):
            return getattr(result, output)
        raise OutputError(f"output={output!r} was given; the model returns a {describe(result)}.") from error
