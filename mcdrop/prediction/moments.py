"""Mean, variance and Monte Carlo error of draws that arrive in chunks, counted by blocks.

Draws within a block may depend on each other (stratified or antithetic designs make them so), blocks do not. So the
spread of the draws tells the variance, and the spread of the block means tells how far the mean is off.

`T` draws `x_t` of overall mean `m`; block `k` of `K` holds `n_k` draws (`block_size`, the last one may hold fewer) of
mean `m_k`. Everything is accumulated in float64, or in float32 on devices that have no other.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction.groups import Groups, extend, join
from mcdrop.prediction.spread import Spread, accumulated, combine, spread


@dataclass(frozen=True, eq=False)
class Moments:
    """What is kept of a stream of draws. Made by `Moments.init`, extended by `update` and `merge`.

    Args:
        block_size: Draws per block.
        draws: Spread of all draws, each of weight 1.
        blocks: Spread of the means of full blocks, each of weight `n_k^2`; None for blocks of one draw, where it would
            repeat `draws`.
        open_count: Draws in the block that is not full yet.
        open_mean: Their mean.
        groups: Means of at most 16 groups of whole blocks.
    """

    block_size: int = 1
    draws: Spread | None = None
    blocks: Spread | None = None
    open_count: int = 0
    open_mean: Float[Tensor, "*shape"] | None = None
    groups: Groups = field(default_factory=lambda: Groups(size=1))

    @classmethod
    def init(cls, block_size: int = 1, group_dtype: torch.dtype | None = None) -> "Moments":
        """Moments of no draws yet.

        Args:
            block_size: Draws per block, at least 1.
            group_dtype: Precision in which the group means are kept; None is float64 for float64 draws and float32
                for others.

        Raises:
            InputError: If block_size is below 1.
        """
        if block_size < 1:
            raise InputError(f"block_size={block_size} given, a block holds at least one draw: block_size>=1.")
        return cls(block_size, groups=Groups(size=block_size, dtype=group_dtype))

    def update(self, draws: Float[Tensor, " n *shape"]) -> "Moments":
        """The moments after `n >= 0` more draws; a chunk may begin and end anywhere in a block.

        Args:
            draws: The next draws, first axis.

        Returns:
            New moments; gradients flow to the draws (not through the group means).

        Raises:
            InputError: If a draw has another shape than those before.

        Example:
            >>> import torch
            >>> moments = Moments.init().update(torch.tensor([1.0, 2.0])).update(torch.tensor([6.0]))
            >>> moments.mean.item(), moments.variance.item(), round(moments.mc_error.item(), 6)
            (3.0, 7.0, 1.527525)
        """
        if self.draws is not None and draws.shape[1:] != self.draws.centre.shape:
            raise InputError(
                f"Draws of shape {tuple(draws.shape[1:])} given after draws of shape {tuple(self.draws.centre.shape)}: "
                "all draws of one statistic have the same shape."
            )
        if len(draws) == 0:
            return self
        return replace(self._accumulate(draws), groups=extend(self.groups, draws))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of one stream followed by another, as if all draws had been one stream.

        Args:
            other: Of the draws that follow, of the same block size; its last block may be open, that of this one may
                not, since a block cannot be cut between two streams.

        Returns:
            Moments equal to those of the joined stream up to rounding; only the borders of the groups may differ.

        Raises:
            InputError: If the block sizes differ or this one ends within a block.

        Source: Chan, Golub & LeVeque 1983, eq. 2.1 (see `mcdrop.prediction.spread.combine`).

        Example:
            >>> import torch
            >>> both = Moments.init().update(torch.tensor([1.0, 2.0])).merge(Moments.init().update(torch.tensor([6.0])))
            >>> both.count, both.mean.item(), both.variance.item()
            (3, 3.0, 7.0)
        """
        if self.block_size != other.block_size:
            raise InputError(
                f"Moments of blocks of {self.block_size} and {other.block_size} draws given: merge needs equal ones."
            )
        if self.count % self.block_size:
            raise InputError(
                f"The first moments hold {self.count} draws in blocks of {self.block_size}, their last block is open: "
                f"merge at a multiple of {self.block_size} draws."
            )
        if self.draws is not None and other.draws is not None and self.mean.shape != other.mean.shape:
            raise InputError(
                f"Moments of shape {tuple(self.mean.shape)} and {tuple(other.mean.shape)} given: merge joins draws of "
                "one shape."
            )
        return Moments(
            self.block_size,
            combine(self.draws, other.draws),
            combine(self.blocks, other.blocks),
            other.open_count,
            other.open_mean,
            join(self.groups, other.groups),
        )

    @property
    def count(self) -> int:
        """`T`, the number of draws."""
        return 0 if self.draws is None else self.draws.weight

    @property
    def counts_per_row(self) -> Int[Tensor, " N"]:
        """`T` of each row, the first axis of a draw."""
        return torch.full((len(self.mean),), self.count, dtype=torch.int64, device=self.mean.device)

    @property
    def num_blocks(self) -> int:
        """`K`, the number of blocks, a last one that is not full included."""
        return -(-self.count // self.block_size)

    @property
    def mean(self) -> Float[Tensor, "*shape"]:
        """`m = 1/T sum_t x_t`, in the unit of the draws."""
        return self._spread(1).centre

    @property
    def mean_square_deviation(self) -> Float[Tensor, "*shape"]:
        """`1/T sum_t (x_t - m)^2`: divisor T, so low by the factor (T-1)/T for independent draws; unit squared."""
        return self._spread(2).squares / self.count

    @property
    def variance(self) -> Float[Tensor, "*shape"]:
        """The variance of one draw, unit squared: `1/T sum_t (x_t - m)^2 + mc_error^2`.

        Unbiased for two equal blocks or more, since E[1/T sum_t (x_t - m)^2] = Var[x] - Var[m] and mc_error^2 estimates
        Var[m]. For blocks of one draw it is the sample variance, divisor T-1. With a single block the divisor is T-1
        too, and the bias (Var[x] - T Var[m]) / (T-1) is 0 for independent draws and at most Var[x] / (T-1).
        """
        return self._spread(2).squares / self.count + self._squared_error()

    @property
    def mc_error(self) -> Float[Tensor, "*shape"]:
        """The Monte Carlo standard error of the mean, in the unit of the draws.

        `mc_error^2 = sum_k w_k^2 (m_k - m)^2 / (1 - sum_k w_k^2)` with `w_k = n_k/T`, and K-1 degrees of freedom. For
        equal blocks the divisor makes it `K/(K-1) sum_k w_k^2 (m_k - m)^2`; with a last block that is not full it
        stays unbiased for independent draws, where K/(K-1) would be low by .18 for 20 + 1 draws. For blocks of one
        draw it is s/sqrt(T) with s of divisor T-1. With a single block there is no second block mean to compare with:
        then it is s/sqrt(T), an upper bound for designs that lower the error (see `mc_error_is_upper_bound`).
        """
        return self._squared_error().sqrt()

    @property
    def mc_degrees_of_freedom(self) -> int:
        """`K - 1`; 0 where `mc_error` is only an upper bound."""
        self._spread(2)
        return self.num_blocks - 1

    @property
    def mc_error_is_upper_bound(self) -> bool:
        """True for one block of several draws: its inner dependence cannot be seen."""
        self._spread(2)
        return self.num_blocks == 1

    @property
    def group_means(self) -> Float[Tensor, " G *shape"]:
        """Means of `G <= 16` contiguous groups of whole blocks; weighted by `group_counts` they average to `mean`."""
        self._spread(1)  # raises without draws
        return torch.stack(self.groups.means)

    @property
    def group_counts(self) -> Int[Tensor, " G"]:
        """Draws in each group; they sum to T."""
        return torch.tensor(self.groups.counts, dtype=torch.int64, device=self.mean.device)

    def _spread(self, least: int) -> Spread:
        if self.draws is None:
            raise UnavailableError("0 draws given, a mean needs at least 1: `update` the moments first.")
        if self.count < least:
            raise UnavailableError(
                f"1 draw given: it has a mean, but a variance or an error needs at least {least}: num_samples>={least}."
            )
        return self.draws

    def _squared_error(self) -> Tensor:
        total = self._spread(2)
        if self.block_size == 1 or self.num_blocks == 1:
            return total.squares / (self.count * (self.count - 1))
        blocks = self.blocks
        if self.open_mean is not None:
            last = Spread(self.open_count**2, self.open_mean, torch.zeros_like(self.open_mean))
            blocks = combine(blocks, last)
        assert blocks is not None  # two blocks or more: the first one is full
        about_mean = blocks.squares + blocks.weight * (blocks.centre - total.centre).square()
        return about_mean / (self.count**2 - blocks.weight)

    def _accumulate(self, draws: Tensor) -> "Moments":
        """Adds draws to the spread of the draws and to that of the block means."""
        size, total = self.block_size, combine(self.draws, spread(draws))
        if size == 1:
            return Moments(size, total, groups=self.groups)
        draws = accumulated(draws)
        blocks, open_count, open_mean = self.blocks, self.open_count, self.open_mean
        if open_mean is not None:
            part, draws = draws[: size - open_count], draws[size - open_count :]
            open_mean = open_mean + (part.mean(dim=0) - open_mean) * (len(part) / (open_count + len(part)))
            open_count += len(part)
            if open_count == size:
                blocks, open_count, open_mean = combine(blocks, spread(open_mean[None], size**2)), 0, None
        whole = len(draws) // size * size
        if whole:
            means = draws[:whole].unflatten(0, (-1, size)).mean(dim=1)
            blocks = combine(blocks, spread(means, size**2))
        if whole < len(draws):
            open_count, open_mean = len(draws) - whole, draws[whole:].mean(dim=0)
        return Moments(size, total, blocks, open_count, open_mean, self.groups)
