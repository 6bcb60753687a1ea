"""Moments of rows that were averaged over different numbers of draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.prediction.groups import Groups
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.spread import Spread


@final
@dataclass(frozen=True, eq=False)
class Uneven(Moments):
    """What each row's own draws say of it. Made by `of`.

    The rows share no groups of draws, so that nothing which leaves out a group is defined.

    Args:
        counts: Draws of each row.
        deviation: Mean square deviation of each row's draws, divisor T.
        squared_error: Square of the Monte Carlo error of each row's mean.

    Example:
        >>> import torch
        >>> few, more = (Moments.init().update(torch.arange(float(n))[:, None]) for n in (2, 4))
        >>> both = Uneven.of([few, more])
        >>> both.counts, both.mean, both.variance
        (tensor([2, 4]), tensor([0.5000, 1.5000], ...), tensor([0.5000, 1.6667], ...))
    """

    counts: Int[Tensor, " N"] | None = None
    deviation: Float[Tensor, " N *_"] | None = None
    squared_error: Float[Tensor, " N *_"] | None = None

    @classmethod
    def of(cls, parts: Sequence[Moments]) -> "Uneven":
        """The moments of the rows of several, in order."""
        mean = torch.cat([part.mean for part in parts])
        counts = torch.cat([part.counts_per_row for part in parts])
        return cls(
            parts[0].block_size,
            Spread(int(counts.max()), mean, mean.new_full((), torch.nan).expand_as(mean)),
            groups=Groups(parts[0].block_size, dtype=parts[0].groups.dtype),
            counts=counts,
            deviation=torch.cat([part.mean_square_deviation for part in parts]),
            squared_error=torch.cat([part.mc_error.square() for part in parts]),
        )

    def update(self, draws: Float[Tensor, " n *shape"]) -> Moments:
        """Raises UnavailableError: the rows do not share draws."""
        raise _unavailable("Another draw")

    def merge(self, other: Moments) -> Moments:
        """Raises UnavailableError, as `update`."""
        raise _unavailable("A merger")

    @property
    def count(self) -> int:
        """The largest number of draws of a row."""
        counts = self.counts_per_row
        return int(counts.max()) if len(counts) else super().count

    @property
    def counts_per_row(self) -> Int[Tensor, " N"]:
        """Draws of each row."""
        assert self.counts is not None
        return self.counts

    @property
    def mean_square_deviation(self) -> Float[Tensor, "*shape"]:
        """`1/T sum_t (x_t - m)^2` with each row's T, unit squared."""
        assert self.deviation is not None
        return self.deviation

    @property
    def variance(self) -> Float[Tensor, "*shape"]:
        """The variance of one draw, unit squared, as `Moments.variance` of each row."""
        return self.mean_square_deviation + self._squared_error()

    @property
    def mc_degrees_of_freedom(self) -> int:
        """Of the row with the fewest draws."""
        return -(-int(self.counts_per_row.min()) // self.block_size) - 1

    @property
    def group_means(self) -> Float[Tensor, " G *shape"]:
        """Raises UnavailableError: the rows have no groups of draws in common."""
        raise _unavailable("The mean of a group")

    def _squared_error(self) -> Tensor:
        assert self.squared_error is not None
        return self.squared_error


def _unavailable(what: str) -> UnavailableError:
    return UnavailableError(
        f"{what} asked of rows with different numbers of draws, which share none: give num_samples a number instead of "
        "Until, or ask each batch."
    )
