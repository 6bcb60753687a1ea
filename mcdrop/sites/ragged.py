"""Rows of different lengths: operations that make a size of values, be it of a tensor or in the host program.

Where none runs, sizes follow from the shapes of the input, and what a few rows show of them holds for all rows. Where
one does (packed sequences, boolean masks), it holds for the very input that was looked at.
"""

from typing import Any

import torch
from torch import Tensor

_NAMES = (
    "nonzero", "nonzero_static", "argwhere", "masked_select", "unique", "unique_consecutive", "repeat_interleave",
    "bincount", "item", "tolist", "numpy", "__int__", "__index__", "__array__", "_pack_padded_sequence",
)  # fmt: skip
_SIZING = frozenset(
    getattr(house, name)
    for house in (torch, Tensor, torch._C._VariableFunctions)
    for name in _NAMES
    if hasattr(house, name)
)


def is_sized_by_values(operation: Any, args: tuple[Any, ...]) -> bool:
    """Whether an operation makes a size of values.

    Example:
        >>> x = torch.arange(3)
        >>> [is_sized_by_values(Tensor.__getitem__, (x, index)) for index in (x > 1, x, slice(2), slice(x[2]))]
        [True, False, False, True]
    """
    if operation is Tensor.__getitem__:
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        return any(_picks_by_values(part) for part in index)
    return operation in _SIZING or (operation is torch.where and len(args) == 1)


def _picks_by_values(index: Any) -> bool:
    if isinstance(index, slice):
        return any(isinstance(bound, Tensor) for bound in (index.start, index.stop, index.step))
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
