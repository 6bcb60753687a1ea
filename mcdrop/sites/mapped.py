"""Tensors that `torch.func.vmap` maps over: taking one out of its map, and putting one in.

PyTorch's public way, an autograd function with a rule for vmap, does the same and takes .14 ms for each call: as long
as the work of a small layer.
"""

from torch import Tensor
from torch._C import _functorch
from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_all_functorch_interpreters


def is_mapped(tensor: Tensor) -> bool:
    """Whether it is one tensor for each sample of a map."""
    return _functorch.is_batchedtensor(tensor)


def draws_apart() -> bool:
    """Whether one of the maps that are running is told to draw random numbers anew for each of its samples."""
    running = retrieve_all_functorch_interpreters()
    return any(isinstance(one, VmapInterpreter) and one.randomness() == "different" for one in running)


def is_innermost(tensor: Tensor) -> bool:
    """Whether a mapped tensor's map is the innermost of the transforms (maps, gradients) that are running."""
    return _functorch.maybe_get_level(tensor) == _functorch.current_level()


def all_samples(tensor: Tensor) -> Tensor:
    """A mapped tensor with its samples as leading axis."""
    return _functorch.get_unwrapped(tensor).movedim(_functorch.maybe_get_bdim(tensor), 0)


def map_over(samples: Tensor, like: Tensor) -> Tensor:
    """The tensor that is mapped as `like` is, from its samples along the leading axis.

    The map must be the innermost: PyTorch does not expect tensors that appear behind the back of an inner transform.
    """
    return _functorch._add_batch_dim(samples, 0, _functorch.maybe_get_level(like))
