"""The masks of many networks that are trained at once: each from a generator of its own.

Under `torch.func.vmap` dropout would draw for all members from one stream, and the masks are wanted that each member
would draw alone: on the CPU `F.dropout` multiplies by `bernoulli_` numbers in the order of its calls. So the calls are
noted once; then masks are drawn before each pass, and the pass multiplies by them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ELEMENTWISE = F.dropout
_WHOLE_CHANNELS = (F.dropout1d, F.dropout2d, F.dropout3d)


@dataclass(frozen=True)
class DropoutCall:
    """One call of a dropout function.

    Args:
        shape: Of the mask of one member.
        p: Probability of zeroing.
        dtype: Of the input.
        device: Of the input.
    """

    shape: torch.Size
    p: float
    dtype: torch.dtype
    device: torch.device

    def factors(self, generators: Sequence[torch.Generator]) -> Float[Tensor, " M *mask"]:
        """0 or 1 / (1 - p), drawn for each member from its generator."""
        kept = torch.empty(len(generators), *self.shape, dtype=self.dtype, device=self.device)
        for mask, generator in zip(kept, generators, strict=True):
            mask.bernoulli_(1 - self.p, generator=generator)
        return kept.div_(1 - self.p) if self.p < 1 else kept


class DropoutBy(TorchFunctionMode):
    """Inside of it, dropout that is on multiplies by what a function of the call returns.

    Args:
        factor: Gives the factors of one member.
    """

    def __init__(self, factor: Callable[[DropoutCall], Tensor]) -> None:
        super().__init__()
        self._factor = factor

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is _ELEMENTWISE or func in _WHOLE_CHANNELS:
            return self._dropout(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, func: Any, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        shape = input.shape if func is _ELEMENTWISE else torch.Size((*input.shape[:2], *(1,) * (input.ndim - 2)))
        return input * self._factor(DropoutCall(shape, p, input.dtype, input.device))
