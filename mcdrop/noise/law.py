"""What every law of noise answers: how a draw looks, and its moments, density and entropy in closed form.

Noise z enters an activation h as a factor, h' = h z, or as a summand, h' = h + z. It is unbiased when E[h'] = h: mean 1
as a factor, mean 0 as a summand.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError


class Law(ABC):
    """The law of noise. Subclasses are frozen dataclasses; each stands in one file with its `nn.Module`."""

    @abstractmethod
    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of a draw for an activation of `shape`; it broadcasts against the activation.

        Where nothing else is said its values are independent.

        Raises:
            InputError: The law does not fit such an activation.
        """

    @abstractmethod
    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        """One draw for an activation of `shape`, on the generator's device.

        Args:
            shape: Of the activation.
            generator: Source of the randomness; torch's global one is not touched.
            dtype: Of the draw.

        Returns:
            Tensor of `mask_shape(shape)`.
        """

    @property
    @abstractmethod
    def mean(self) -> float:
        """E[z] of one value.

        Raises:
            UnavailableError: Values at different places have different laws.
        """

    @property
    @abstractmethod
    def variance(self) -> float:
        """Var[z] of one value: E[z^2] - E[z]^2.

        Raises:
            UnavailableError: As `mean`.
        """

    @abstractmethod
    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        """log of the probability (or density) of each value, in nats; -inf where it is impossible.

        Raises:
            UnavailableError: The law is one point of a continuum, and so has no density; or as `mean`.
        """

    @property
    @abstractmethod
    def entropy(self) -> float:
        """Entropy of one value in nats: -sum p log p, or for a density -int f log f, which may be negative.

        Raises:
            UnavailableError: As `log_prob`.
        """


def check_probability(p: float) -> float:
    """Returns p as a float, or raises InputError when it is not in [0, 1].

    Example:
        >>> check_probability(0.25)
        0.25
    """
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0.0 <= p <= 1.0:
        raise InputError(f"p = {p!r} was given; expected a probability of zeroing in [0, 1].")
    return float(p)
