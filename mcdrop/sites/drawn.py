"""Random numbers that a model draws itself: masks written by hand, DropPath, DropConnect, Gaussian dropout.

Each call of PyTorch's random functions is read as one record, so that its numbers can come from somewhere else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TINY = 1e-9
"""A quantile as good as 0."""


@dataclass(frozen=True)
class RandomCall:
    """One call of a random function.

    Args:
        operation: Name of the function.
        law: "uniform", "Bernoulli", "normal", or "" for what no mask is made of and nothing else is known.
        shape: Shape of what it draws.
        dtype: Its type.
        device: Its device.
        first: Lower end, probability of 1, or mean.
        second: Upper end or standard deviation; 0 for Bernoulli.
        target: The tensor that is overwritten; None for a function that returns a new one.
    """

    operation: str
    law: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    first: float | Tensor
    second: float | Tensor
    target: Tensor | None

    @property
    def controllable(self) -> bool:
        """Whether its numbers can come from somewhere else."""
        return bool(self.law)

    @property
    def law_in_words(self) -> str:
        """The law with its parameters, where they are numbers."""
        if isinstance(self.first, Tensor) or isinstance(self.second, Tensor):
            return self.law
        parameters = f"{self.first:.6g}" if self.law == "Bernoulli" else f"{self.first:.6g}, {self.second:.6g}"
        return f"{self.law}({parameters})"

    def value(self, uniform: Tensor) -> Tensor:
        """The numbers that stand at these quantiles of the law.

        Uniform: a + (b - a) u. Bernoulli: 1 where u < p. Normal: m + s Phi^-1(u).

        Args:
            uniform: u in (0, 1), float64, of this call's shape.
        """
        if self.law == "uniform":
            drawn = self.first + (self.second - self.first) * uniform
        elif self.law == "Bernoulli":
            drawn = uniform < self.first
        else:
            drawn = self.first + self.second * torch.special.ndtri(uniform)
        return drawn.to(self.dtype)

    def quantile(self, u: float) -> Tensor:
        """The number u in this call's shape, as `value` takes it."""
        return torch.full(self.shape, u, dtype=torch.float64, device=self.device)

    def extremes(self) -> Tensor:
        """The smallest and the largest numbers of the law in turn, in this call's shape."""
        count = math.prod(self.shape)
        turns = torch.arange(count, dtype=torch.float64, device=self.device).remainder(2)
        return self.value(turns.mul(1 - 2 * TINY).add(TINY).view(self.shape))

    def mean(self) -> Tensor:
        """The expectation, in this call's shape: what a pass without noise uses."""
        centre = self.first if self.law != "uniform" else (self.first + self.second) / 2
        return (torch.zeros(self.shape, dtype=torch.float64, device=self.device) + centre).to(self.dtype)


def _size(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, ...]:
    size = kwargs.get("size", args)
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], list | tuple) else tuple(size)


def _new(law: str, first: float, second: float) -> Callable[..., RandomCall]:
    def read(name: str, *args: Any, **kwargs: Any) -> RandomCall:
        dtype = kwargs.get("dtype") or torch.get_default_dtype()
        device = torch.device(kwargs.get("device") or torch.get_default_device())
        return RandomCall(name, law, _size(args, kwargs), dtype, device, first, second, None)

    return read


def _like(law: str, first: float, second: float) -> Callable[..., RandomCall]:
    def read(name: str, input: Tensor, **kwargs: Any) -> RandomCall:
        dtype, device = kwargs.get("dtype") or input.dtype, torch.device(kwargs.get("device") or input.device)
        return RandomCall(name, law, tuple(input.shape), dtype, device, first, second, None)

    return read


def _bernoulli(name: str, input: Tensor, p: float | None = None, **kwargs: Any) -> RandomCall:
    probability = input if p is None else p
    return RandomCall(name, "Bernoulli", tuple(input.shape), input.dtype, input.device, probability, 0.0, None)


def _inplace(law: str, names: tuple[str, ...], defaults: tuple[float, ...]) -> Callable[..., RandomCall]:
    def read(name: str, input: Tensor, *args: Any, **kwargs: Any) -> RandomCall:
        given = dict(zip(names, defaults, strict=True)) | dict(zip(names, args, strict=False)) | kwargs
        first, second = [*(given[key] for key in names), 0.0][:2]
        return RandomCall(name, law, tuple(input.shape), input.dtype, input.device, first, second, input)

    return read


def _normal(name: str, mean: Any = 0.0, std: Any = 1.0, size: Any = None, **kwargs: Any) -> RandomCall:
    given = [part for part in (mean, std) if isinstance(part, Tensor)]
    shape = tuple(size) if size is not None else torch.broadcast_shapes(*(part.shape for part in given))
    dtype = given[0].dtype if given else kwargs.get("dtype") or torch.get_default_dtype()
    device = given[0].device if given else torch.device(kwargs.get("device") or torch.get_default_device())
    return RandomCall(name, "normal", shape, dtype, device, mean, std, None)


_READERS: dict[Any, Callable[..., RandomCall]] = {
    torch.rand: _new("uniform", 0.0, 1.0),
    torch.randn: _new("normal", 0.0, 1.0),
    torch.rand_like: _like("uniform", 0.0, 1.0),
    torch.randn_like: _like("normal", 0.0, 1.0),
    torch.bernoulli: _bernoulli,
    torch.Tensor.bernoulli: _bernoulli,
    torch.normal: _normal,
    torch.Tensor.bernoulli_: _inplace("Bernoulli", ("p",), (0.5,)),
    torch.Tensor.uniform_: _inplace("uniform", ("from", "to"), (0.0, 1.0)),
    torch.Tensor.normal_: _inplace("normal", ("mean", "std"), (0.0, 1.0)),
}


_OTHERS = {
    torch.randint, torch.randint_like, torch.randperm, torch.multinomial, torch.poisson, torch.native_dropout,
    torch.Tensor.random_, torch.Tensor.exponential_, torch.Tensor.geometric_, torch.Tensor.log_normal_,
    torch.Tensor.cauchy_, torch.Tensor.multinomial,
}  # fmt: skip
RANDOM = frozenset(_READERS) | _OTHERS
"""The functions that draw."""


def read_random(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RandomCall | None:
    """The call as a record, or None when `function` draws nothing.

    Example:
        >>> import torch
        >>> call = read_random(torch.Tensor.bernoulli_, (torch.empty(3, 1), 0.9), {})
        >>> call.law_in_words, call.shape, call.mean().flatten().tolist()
        ('Bernoulli(0.9)', (3, 1), [0.899..., 0.899..., 0.899...])
    """
    reader = _READERS.get(function)
    if function in _OTHERS or (reader is not None and kwargs.get("out") is not None):
        return RandomCall(function.__name__, "", (), torch.float32, torch.device("cpu"), 0.0, 0.0, None)
    if reader is None:
        return None
    kwargs = {key: value for key, value in kwargs.items() if key not in ("generator", "out")}
    return reader(function.__name__, *args, **kwargs)
