"""What the draws predict of numbers, as scores read it.

Elements (rows, and outputs within rows) are flattened to M; R = 1 + G stands for all draws, then without each of the G
groups of them.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.types import ArrayLike


class Predictive(ABC):
    """The predictive distribution of M numbers. Subclasses are final, frozen dataclasses."""

    @abstractmethod
    def targets(self, targets: ArrayLike, shape: torch.Size) -> Float[Tensor, " M"]:
        """The targets of predictions of the shape (N, *out), checked and flat.

        Raises:
            InputError: If they do not have the shape, are not finite, or are negative or fractional counts.
        """

    @abstractmethod
    def ranks(self, y: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R M"], Float[Tensor, "R M"]]:
        """`P(Y < y)` and `P(Y <= y)`, between which the probability integral transform lies; equal if continuous."""

    @abstractmethod
    def quantiles(self, q: float) -> Float[Tensor, "R M"]:
        """The smallest y with `P(Y <= y) >= q`."""

    @abstractmethod
    def mean(self) -> Float[Tensor, "R M"]:
        """The mean of the predictive distribution."""

    @abstractmethod
    def variance(self) -> Float[Tensor, "R M"]:
        """The variance of the predictive distribution itself: divisor T."""

    @abstractmethod
    def crps(self, y: Float[Tensor, " M"], *, fair: bool) -> Float[Tensor, "R M"]:
        """The continuous ranked probability score, or its unbiased estimate for infinitely many draws."""

    def inside(self, y: Float[Tensor, " M"], coverages: tuple[float, ...]) -> Float[Tensor, "L R M"]:
        """1 where y lies in the central interval of each coverage, both ends included."""
        below, reached = self.ranks(y)
        return torch.stack([(reached >= (1 - c) / 2) & (below < (1 + c) / 2) for c in coverages]).to(reached.dtype)
