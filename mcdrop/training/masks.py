"""The masks of many networks that are trained at once: each from a generator of its own.

Under `torch.func.vmap` dropout would draw for all members from one stream, and the masks are wanted that each member
would draw alone: on the CPU `F.dropout` multiplies by `bernoulli_` numbers in the order of its calls. So the calls are
noted once; then masks are drawn before each pass, and the pass multiplies by them. Likewise `torch.rand`, of which
concrete dropout makes its masks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mcdrop.errors import VectorisationError

_ELEMENTWISE = F.dropout
_WHOLE_CHANNELS = (F.dropout1d, F.dropout2d, F.dropout3d)
_OF_RAND = {"size", "dtype", "device"}
"""Arguments of torch.rand that are followed; with others it draws for itself, and is refused under vmap."""

_UNBATCHED = {F.dropout1d: 2, F.dropout3d: 4}
"""Axes of an input whose first is taken for the channels; dropout2d takes it for the rows whatever the axes."""


@dataclass(frozen=True)
class DropoutCall:
    """One call of a dropout function.

    Args:
        shape: Of the mask of one member.
        p: Probability of zeroing.
        dtype: Of the input.
        device: Of the input.
        strides: Of the mask, which is drawn in the order in which it lies in memory.
    """

    shape: torch.Size
    p: float
    dtype: torch.dtype
    device: torch.device
    strides: torch.Size

    def factors(self, generators: Sequence[torch.Generator]) -> Float[Tensor, " M *mask"]:
        """0 or 1 / (1 - p), drawn for each member from its generator."""
        order = sorted(range(len(self.shape)), key=lambda axis: -self.strides[axis])
        sizes = [self.shape[axis] for axis in order]
        kept = torch.empty(len(generators), *sizes, dtype=self.dtype, device=self.device)
        if self.p < 1:
            for mask, generator in zip(kept, generators, strict=True):
                mask.bernoulli_(1 - self.p, generator=generator)
            kept.div_(1 - self.p)
        else:  # torch draws nothing
            kept.zero_()
        return kept.permute(0, *(1 + order.index(axis) for axis in range(len(sizes))))


@dataclass(frozen=True)
class UniformCall:
    """One call of `torch.rand`.

    Args:
        shape: Of what one member draws.
        dtype: As asked for, or torch's default.
        device: As asked for, or torch's default.
    """

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    def factors(self, generators: Sequence[torch.Generator]) -> Float[Tensor, " M *mask"]:
        """Uniform in [0, 1), drawn for each member from its generator."""
        drawn = torch.empty(len(generators), *self.shape, dtype=self.dtype, device=self.device)
        for numbers, generator in zip(drawn, generators, strict=True):
            numbers.uniform_(generator=generator)
        return drawn


Call: TypeAlias = DropoutCall | UniformCall


def in_turn(calls: Sequence[Call], masks: Sequence[Tensor]) -> Callable[[Call], Tensor]:
    """Gives each call the factors that were drawn for it, in the order in which the calls were noted.

    Args:
        calls: The calls noted.
        masks: The factors of one member for each of them.

    Raises:
        VectorisationError: By the function returned: another call than the one noted asks.
    """
    waiting = iter(zip(calls, masks, strict=True))

    def factor(call: Call) -> Tensor:
        noted, mask = next(waiting, (None, None))
        if noted is None or mask is None or _asked(noted) != _asked(call):
            raise VectorisationError(
                f"{_asked(call)} runs in a step where the first had {'none' if noted is None else _asked(noted)}. "
                "Networks that change their dropout are trained one by one: fit(initialise(build, seed), ..., "
                "seed=seed)."
            )
        return mask

    return factor


def _asked(call: Call) -> str:
    if isinstance(call, UniformCall):
        return f"torch.rand of {tuple(call.shape)}"
    return f"Dropout with p={call.p} on {tuple(call.shape)}"


def _uniform(*size: Any, device: Any = None, **kwargs: Any) -> UniformCall:
    drawn = torch.empty(*size, **kwargs, device="meta")
    return UniformCall(drawn.shape, drawn.dtype, torch.empty(0, device=device).device)


class DropoutBy(TorchFunctionMode):
    """Inside of it, dropout that is on multiplies by what a function of the call returns, and `torch.rand` returns it.

    Args:
        factor: Gives the factors of one member.
    """

    def __init__(self, factor: Callable[[Call], Tensor]) -> None:
        super().__init__()
        self._factor = factor

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is _ELEMENTWISE or func in _WHOLE_CHANNELS:
            return self._dropout(func, *args, **(kwargs or {}))
        if func is torch.rand and (kwargs or {}).keys() <= _OF_RAND:
            return self._factor(_uniform(*args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, func: Any, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        if func is _ELEMENTWISE:
            mask = torch.empty_like(input, device="meta")  # in the layout of the input
        else:
            kept = 1 if input.ndim == _UNBATCHED.get(func) else 2
            mask = torch.empty(*input.shape[:kept], *(1,) * (input.ndim - kept), device="meta")
        call = DropoutCall(mask.shape, p, input.dtype, input.device, torch.Size(mask.stride()))
        factor = self._factor(call)
        return input.mul_(factor) if inplace else input * factor
