"""Gaussian dropout: every value is multiplied by a normal factor with the mean and variance of the Bernoulli one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise.additive import normal_entropy, normal_log_density
from mcdrop.noise.law import Law, check_probability


@dataclass(frozen=True)
class GaussianLaw(Law):
    """A factor z ~ N(1, a) with a = p / (1 - p), one for every element.

        E[z] = 1,   Var[z] = p / (1 - p),   H[z] = 1/2 log(2 pi e a)

    p is the rate of the Bernoulli law with the same mean and variance: nothing is ever exactly 0.

    Args:
        p: In [0, 1); p = 1 would be an infinite variance.

    Raises:
        InputError: p outside [0, 1).

    Example:
        >>> law = GaussianLaw(p=0.2)
        >>> law.mean, law.variance, round(law.entropy, 4)
        (1.0, 0.25, 0.7258)

    Source:
        Srivastava et al. 2014, JMLR 15, sec. 10, https://jmlr.org/papers/v15/srivastava14a.html.
    """

    p: float

    def __post_init__(self) -> None:
        _check(self.p)

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape)

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        normal = torch.empty(self.mask_shape(shape), dtype=dtype, device=generator.device).normal_(generator=generator)
        return 1 + math.sqrt(self.variance) * normal

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return self.p / (1 - self.p)

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        return normal_log_density(z, 1.0, self.variance)

    @property
    def entropy(self) -> float:
        return normal_entropy(self.variance)


class GaussianDropout(nn.Module):
    """In training h' = h (1 + sqrt(p / (1 - p)) e) with e ~ N(0, 1); in evaluation the identity.

    Args:
        p: Rate of the Bernoulli dropout with the same mean and variance, in [0, 1).

    Shape:
        Any; the output has the input's.

    Raises:
        InputError: p outside [0, 1).

    Example:
        >>> import torch
        >>> layer = GaussianDropout(p=0.5)
        >>> layer(torch.ones(3)).shape, layer.eval()(torch.ones(3))
        (torch.Size([3]), tensor([1., 1., 1.]))
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _check(p)

    @property
    def law(self) -> GaussianLaw:
        """The law of its factor."""
        return GaussianLaw(self.p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return input
        return input * (1 + math.sqrt(self.law.variance) * torch.randn_like(input))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _check(p: float) -> float:
    if check_probability(p) == 1:
        raise InputError("p = 1 was given; Gaussian noise of variance p / (1 - p) needs p in [0, 1).")
    return float(p)
