"""Additive Gaussian noise: every value is moved by a normal error of mean zero."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise.law import Law


@dataclass(frozen=True)
class AdditiveLaw(Law):
    """A summand z ~ N(0, s^2), one for every element: h' = h + z, so E[h'] = h whatever h is.

        E[z] = 0,   Var[z] = s^2,   H[z] = 1/2 log(2 pi e s^2)

    Args:
        std: s >= 0, in the unit of the activation.

    Raises:
        InputError: s is negative or not finite.

    Example:
        >>> law = AdditiveLaw(std=0.5)
        >>> law.mean, law.variance, round(law.entropy, 4)
        (0.0, 0.25, 0.7258)

    Source:
        Bishop 1995, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7:108-116.
    """

    std: float

    def __post_init__(self) -> None:
        _check(self.std)

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape)

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        normal = torch.empty(self.mask_shape(shape), dtype=dtype, device=generator.device).normal_(generator=generator)
        return self.std * normal

    @property
    def mean(self) -> float:
        return 0.0

    @property
    def variance(self) -> float:
        return self.std**2

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        return normal_log_density(z, 0.0, self.variance)

    @property
    def entropy(self) -> float:
        return normal_entropy(self.variance)


class GaussianNoise(nn.Module):
    """In training h' = h + s e with e ~ N(0, 1); in evaluation the identity.

    It does not scale with h, so it is no dropout: a prediction with mcdrop leaves it off unless it is asked for.

    Args:
        std: s >= 0, in the unit of the activation.

    Shape:
        Any; the output has the input's.

    Raises:
        InputError: s is negative or not finite.

    Example:
        >>> import torch
        >>> layer = GaussianNoise(std=0.1)
        >>> layer(torch.ones(3)).shape, layer.eval()(torch.ones(3))
        (torch.Size([3]), tensor([1., 1., 1.]))
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = _check(std)

    @property
    def law(self) -> AdditiveLaw:
        """The law of its summand."""
        return AdditiveLaw(self.std)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.std == 0:
            return input
        return input + self.std * torch.randn_like(input)

    def extra_repr(self) -> str:
        return f"std={self.std}"


def normal_log_density(z: Float[Tensor, "*mask"], mean: float, variance: float) -> Float[Tensor, "*mask"]:
    """log N(z; mean, variance) in nats.

    Raises:
        UnavailableError: The variance is 0.
    """
    _check_density(variance)
    return -0.5 * math.log(2 * math.pi * variance) - (z - mean).square() / (2 * variance)


def normal_entropy(variance: float) -> float:
    """1/2 log(2 pi e variance) in nats.

    Raises:
        UnavailableError: The variance is 0.
    """
    _check_density(variance)
    return 0.5 * math.log(2 * math.pi * math.e * variance)


def _check_density(variance: float) -> None:
    if variance == 0:
        raise UnavailableError("Noise of variance 0 is one point: it has no density. Give it p > 0, or std > 0.")


def _check(std: float) -> float:
    if isinstance(std, bool) or not isinstance(std, int | float) or not 0 <= std < math.inf:
        raise InputError(f"std = {std!r} was given; expected a standard deviation, finite and >= 0.")
    return float(std)
