"""Tensors that `torch.func.vmap` maps over: taking one out of its map, and putting one in.

PyTorch's public way, an autograd function with a rule for vmap, does the same and takes .14 ms for each call: as long
as the work of a small layer.
"""

from torch import Tensor
from torch._C import _functorch


def is_mapped(tensor: Tensor) -> bool:
    """Whether it is one tensor for each sample of a map."""
    return _functorch.is_batchedtensor(tensor)


def level_of(tensor: Tensor) -> int:
    """Which map it is mapped by: maps may be nested."""
    return _functorch.maybe_get_level(tensor)


def all_samples(tensor: Tensor) -> Tensor:
    """A mapped tensor with its samples as leading axis."""
    return _functorch.get_unwrapped(tensor).movedim(_functorch.maybe_get_bdim(tensor), 0)


def map_over(samples: Tensor, level: int) -> Tensor:
    """The tensor that is mapped by the map of that level, from its samples along the leading axis."""
    return _functorch._add_batch_dim(samples, 0, level)
