"""Expected distances of a mixture over T draws: from the target, and between two draws of y.

A continuous ranked probability score is the one less half of the other, `E|Y - y| - 1/2 E|Y - Y'|` (Gneiting & Raftery
2007, "Strictly proper scoring rules, prediction, and estimation", eq. 21, https://doi.org/10.1198/016214506000001437).
Components lie on the first axis, rows on the second; draws come in contiguous groups, and everything is also given
without each group of them.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

_MOST_PER_BLOCK = 16
"""Components compared at once with as many others, so that memory grows with rows and not with T^2."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Expected distances, in the unit of y. R = 1 + G: of all draws, then without each of the G groups.

    Args:
        near: (R, M) `1/T sum_t E|Y_t - y|`.
        mutual: (R, M) `1/T^2 sum_t sum_u E|Y_t - Y_u'|` of independent Y_t and Y_u'.
        own: (R, M) `1/T sum_t E|Y_t - Y_t'|`.
        draws: (R,) T, then the draws outside of each group.
    """

    near: Float[Tensor, "R M"]
    mutual: Float[Tensor, "R M"]
    own: Float[Tensor, "R M"]
    draws: Float[Tensor, " R"]

    def crps(self, *, fair: bool) -> Float[Tensor, "R M"]:
        """`near - mutual/2`; fair: without pairs of a draw with itself, divisor T (T-1) in place of T^2."""
        draws = self.draws[:, None]
        return self.near - ((draws * self.mutual - self.own) / (draws - 1) if fair else self.mutual) / 2


def normal_distances(
    mean: Float[Tensor, "T M"], std: Float[Tensor, "#T M"], y: Float[Tensor, " M"], counts: tuple[int, ...]
) -> Distances:
    """Of a mixture of normals, in closed form: T + T(T+1)/2 terms a row.

    `E|X| = 2 s phi(m/s) + m (2 Phi(m/s) - 1)` for X of mean m and standard deviation s; here X is Y_t - y, of standard
    deviation s_t, or Y_t - Y_u, of `sqrt(s_t^2 + s_u^2)`.

    Args:
        mean: Of each component.
        std: Of each component, or one row for all of them.
        y: The targets.
        counts: Draws in each contiguous group.

    Source: Grimit, Gneiting, Berrocal & Johnson 2006, "The continuous ranked probability score for circular variables",
    eq. 5 (mixtures of normals), https://doi.org/10.1256/qj.05.235.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> normal_distances(0 * one, one, torch.zeros(1).double(), (1,)).mutual  # 2/sqrt(pi)
        tensor([[1.1284]], dtype=torch.float64)
    """
    std = std.expand(len(mean) if len(std) > 1 else 1, -1)
    own = (std * (2 / math.sqrt(math.pi))).expand_as(mean)
    near = _mean_of_size(mean - y, std)
    parts = _parts(counts)
    between, inner = (torch.zeros(len(counts), len(y), dtype=mean.dtype, device=mean.device) for _ in range(2))
    for (g, first), (h, second) in combinations_with_replacement(parts, 2):
        spread = torch.sqrt(_of(std, first)[:, None].square() + _of(std, second)[None].square())
        total = _mean_of_size(mean[first][:, None] - mean[second][None], spread).sum(dim=(0, 1))
        between[g] += total
        if first != second:
            between[h] += total
        if g == h:
            inner[g] += total if first == second else 2 * total
    return _distances(near, own, between, inner, counts)


def drawn_distances(draws: Float[Tensor, "T M"], y: Float[Tensor, " M"], counts: tuple[int, ...]) -> Distances:
    """Of the draws themselves, each a point of mass 1/T: by sorting, O(T log T) a row.

    With ranks r and sums `C_r` of the r smallest, `sum_u |x_(r) - x_u| = (2r - T) x_(r) - 2 C_r + C_T`.

    Args:
        draws: Of y.
        y: The targets.
        counts: Draws in each contiguous group.

    Example:
        >>> import torch
        >>> drawn_distances(torch.tensor([[0.0], [3.0]]), torch.tensor([1.0]), (2,)).mutual
        tensor([[1.5000]])
    """
    offsets = draws - y
    between = torch.stack([part.sum(dim=0) for part in _sums_of_distances(offsets).split(list(counts))])
    inner = torch.stack([_sums_of_distances(part).sum(dim=0) for part in offsets.split(list(counts))])
    return _distances(offsets.abs(), torch.zeros_like(offsets), between, inner, counts)


def with_deleted_means(values: Float[Tensor, "T M"], counts: tuple[int, ...]) -> Float[Tensor, "R M"]:
    """The mean over all draws, then over those outside of each group; R = 1 if there is one group only.

    Example:
        >>> import torch
        >>> with_deleted_means(torch.tensor([[1.0], [2.0], [6.0]]), (1, 1, 1)).flatten()
        tensor([3.0000, 4.0000, 3.5000, 1.5000])
    """
    sums = torch.stack([part.sum(dim=0) for part in values.split(list(counts))])
    return with_deleted_sums(sums) / remaining(counts, values)[:, None]


def with_deleted_sums(sums: Float[Tensor, " G *shape"]) -> Float[Tensor, " R *shape"]:
    """The sum of all groups, then of all but one; R = 1 if there is one group only.

    Sums of the groups before and after are added and nothing is subtracted, so that a small share stays positive.

    Example:
        >>> import torch
        >>> with_deleted_sums(torch.tensor([1.0, 2.0, 6.0]))
        tensor([9., 8., 7., 3.])
    """
    total = sums.sum(dim=0, keepdim=True)
    if len(sums) < 2:
        return total
    nothing = torch.zeros_like(sums[:1])
    before = torch.cat([nothing, sums[:-1]]).cumsum(dim=0)
    after = torch.cat([sums[1:], nothing]).flip(0).cumsum(dim=0).flip(0)
    return torch.cat([total, before + after])


def remaining(counts: tuple[int, ...], like: Tensor) -> Float[Tensor, " R"]:
    """`T`, then the draws outside of each group."""
    return with_deleted_sums(torch.tensor(counts, dtype=like.dtype, device=like.device))


def _mean_of_size(mean: Tensor, std: Tensor) -> Tensor:
    """`E|X|` of a normal X."""
    z = mean / std
    density = (z.square() / -2).exp() * (math.sqrt(2 / math.pi) * std)
    return density.addcmul_(mean, torch.erf(z / math.sqrt(2)))


def _sums_of_distances(values: Tensor) -> Tensor:
    """`sum_u |x_t - x_u|` of each x_t."""
    total = len(values)
    ordered, places = values.sort(dim=0)
    ranks = torch.arange(1, total + 1, dtype=values.dtype, device=values.device)[:, None]
    up_to = ordered.cumsum(dim=0)
    return torch.empty_like(values).scatter_(0, places, (2 * ranks - total) * ordered - 2 * up_to + up_to[-1])


def _distances(near: Tensor, own: Tensor, between: Tensor, inner: Tensor, counts: tuple[int, ...]) -> Distances:
    """From terms of each draw (T, M) and sums over pairs (G, M): of a group with all draws, and within the group."""
    draws = remaining(counts, near)
    pairs = between.sum(dim=0, keepdim=True)
    if len(counts) > 1:
        pairs = torch.cat([pairs, pairs - 2 * between + inner])
    mutual = pairs / draws[:, None].square()
    return Distances(with_deleted_means(near, counts), mutual, with_deleted_means(own, counts), draws)


def _parts(counts: tuple[int, ...]) -> list[tuple[int, slice]]:
    """Slices of at most 16 draws with the number of the group that they lie in."""
    parts, start = [], 0
    for group, count in enumerate(counts):
        steps = range(start, start + count, _MOST_PER_BLOCK)
        parts += [(group, slice(at, min(at + _MOST_PER_BLOCK, start + count))) for at in steps]
        start += count
    return parts


def _of(std: Tensor, part: slice) -> Tensor:
    return std[part] if len(std) > 1 else std
