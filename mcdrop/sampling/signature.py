"""When a discovery still holds: a fingerprint of the model, and the kind of an input."""

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import nn

from mcdrop.tree import map_tensors
from mcdrop.types import Tree

_PLAIN = (bool, int, float, str, type(None))
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""Mode, weights, buffers, children and hooks, which every pass reads anew."""


def model_fingerprint(model: nn.Module) -> Hashable:
    """Changes with the model's structure and with every plain attribute (p, a flag) of its modules and of the objects
    that they hold (a configuration); not with weights or modes.

    Example:
        >>> from torch import nn
        >>> model = nn.Dropout(0.1); before = model_fingerprint(model)
        >>> model.p = 0.2
        >>> model_fingerprint(model) == before
        False
    """
    return tuple((name, type(module), id(module), _plain(module, 1)) for name, module in model.named_modules())


def _number(value: Any) -> float | None:
    """The number that a rate of NumPy's or torch's kind is; None where there are several, or none that can be read."""
    if math.prod(value.shape) != 1 or (isinstance(value, torch.Tensor) and value.device.type == "meta"):
        return None
    item = value.item()
    return item if isinstance(item, int | float) else None


def _plain(thing: Any, depth: int) -> tuple[Any, ...]:
    found: list[Any] = []
    for name, value in vars(thing).items():
        if name in _OF_EVERY_MODULE:
            continue
        if isinstance(value, _PLAIN):
            found.append((name, value))
        elif isinstance(value, torch.Tensor | np.ndarray | np.generic):
            found.append((name, _number(value)))
        elif callable(value):
            found.append((name, id(value)))
        elif depth and hasattr(value, "__dict__") and not isinstance(value, nn.Module | torch.Tensor | type):
            found.append((name, _plain(value, depth - 1)))
    return tuple(found)


def input_kind(inputs: Tree, batch_dim: int | None, rows: int) -> Hashable:
    """Structure, types, devices and shapes of an input, without the number of its rows (one, or several)."""

    def kind(tensor: torch.Tensor) -> tuple[Any, ...]:
        sizes = list(tensor.shape)
        if batch_dim is not None and -len(sizes) <= batch_dim < len(sizes) and sizes[batch_dim] == rows:
            sizes[batch_dim] = -1
        return tensor.dtype, tensor.device, tuple(sizes)

    # The repr carries what is no tensor too: a flag may steer the forward. One row does not tell how several are folded
    # into an axis.
    return (
        repr(map_tensors(kind, inputs)),
        rows > 1,
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
    )
