"""Nested structures of tensors: what models take and return.

A tree is a tensor, or a tuple, list, mapping, namedtuple or dataclass of trees; anything else is a leaf that is carried
along unchanged. transformers' `ModelOutput` is a mapping and a dataclass at once and comes back as its own class.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch


def _rebuild_mapping(tree: Any, values: dict[Any, Any]) -> Any:
    if isinstance(tree, dict) and dataclasses.is_dataclass(tree):
        return type(tree)(**values)  # ModelOutput: absent fields are not keys and keep their default, None
    if type(tree) is dict:
        return values
    try:
        return type(tree)(values)
    except TypeError:  # defaultdict and its like take something else first
        return values


def map_tensors(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree with `function` applied to each tensor, and to the tensors at the same place in `others`.

    Args:
        function: Takes as many tensors as there are trees; may return anything.
        tree: The tree whose structure is kept.
        *others: Trees of the same structure.

    Returns:
        A tree of the same classes.

    Example:
        >>> import torch
        >>> map_tensors(lambda t: tuple(t.shape), {"a": torch.zeros(2, 3), "b": (torch.ones(1), "text")})
        {'a': (2, 3), 'b': ((1,), 'text')}
    """
    return _map(lambda leaf: isinstance(leaf, torch.Tensor), function, tree, others)


def from_arrays(tree: Any) -> Any:
    """The tree with every array of another library (NumPy, JAX, TensorFlow) as a tensor of its own memory.

    An array is what has `__array__`. Tensors stay as they are.

    Raises:
        TypeError: An array holds no numbers.

    Example:
        >>> import numpy as np
        >>> from_arrays({"a": np.zeros(2), "b": "text"})
        {'a': tensor([0., 0.], dtype=torch.float64), 'b': 'text'}
    """
    return _map(lambda leaf: hasattr(leaf, "__array__"), _to_tensor, tree, ())


def _to_tensor(array: Any) -> torch.Tensor:
    if isinstance(array, torch.Tensor):
        return array
    copy = np.asarray(array).copy()
    # NumPy has no bfloat16 of its own; JAX and TensorFlow give that of ml_dtypes, which torch does not read.
    return torch.from_numpy(copy.astype(np.float32) if copy.dtype.name == "bfloat16" else copy)


def _map(is_leaf: Callable[[Any], bool], function: Callable[..., Any], tree: Any, others: tuple[Any, ...]) -> Any:
    if is_leaf(tree):
        return function(tree, *others)
    if isinstance(tree, Mapping):
        values = {
            key: _map(is_leaf, function, value, tuple(other[key] for other in others)) for key, value in tree.items()
        }
        return _rebuild_mapping(tree, values)
    if isinstance(tree, tuple | list):
        items = [_map(is_leaf, function, first, tuple(rest)) for first, *rest in zip(tree, *others, strict=True)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        fields = {
            field.name: _map(
                is_leaf,
                function,
                getattr(tree, field.name),
                tuple(getattr(other, field.name) for other in others),
            )
            for field in dataclasses.fields(tree)
            if field.init
        }
        return dataclasses.replace(tree, **fields)
    return tree


def named_tensors(tree: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a tree in order, each with its place in words.

    Example:
        >>> import torch
        >>> [name for name, _ in named_tensors({"a": torch.zeros(2), "b": (torch.ones(1), 3)})]
        ['a', 'b.0']
    """
    if isinstance(tree, torch.Tensor):
        yield prefix, tree
        return
    if isinstance(tree, Mapping):
        parts = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        parts = list(zip(tree._fields, tree, strict=True))
    elif isinstance(tree, tuple | list):
        parts = [(str(index), value) for index, value in enumerate(tree)]
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        parts = [(field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree)]
    else:
        return
    for name, value in parts:
        yield from named_tensors(value, f"{prefix}.{name}" if prefix else name)


def tensors(tree: Any) -> list[torch.Tensor]:
    """The tensors of a tree, in order."""
    return [tensor for _, tensor in named_tensors(tree)]


def describe(tree: Any) -> str:
    """One line that says what a tree holds, for error messages.

    Example:
        >>> import torch
        >>> describe({"logits": torch.zeros(2, 3), "loss": None})
        'dict with logits: float32 (2, 3)'
    """
    if isinstance(tree, torch.Tensor):
        return f"{str(tree.dtype).removeprefix('torch.')} {tuple(tree.shape)}"
    parts = [f"{name}: {describe(tensor)}" for name, tensor in named_tensors(tree)]
    return f"{type(tree).__name__} with {', '.join(parts) if parts else 'no tensor'}"
