"""Means of at most 16 contiguous groups of draws, kept so that a score can be computed again without each of them.

The delete-one-group jackknife of a whole data set's score needs the predictions without a group of draws. To keep every
draw would let memory grow with their number; 16 means of groups give 15 degrees of freedom and do not.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.prediction.spread import accumulated

MOST_GROUPS = 16


@dataclass(frozen=True, eq=False)
class Groups:
    """Group means of a stream of draws.

    Args:
        size: Draws in a full group: the block size times a power of two. Only the last group is ever filled further.
        counts: Draws in each group.
        means: Mean of each group, without gradient.
        dtype: Of the means; None is float64 for float64 draws and float32 for all others.
    """

    size: int
    counts: tuple[int, ...] = ()
    means: tuple[Float[Tensor, "*shape"], ...] = ()
    dtype: torch.dtype | None = None


def extend(groups: Groups, draws: Float[Tensor, " n *shape"]) -> Groups:
    """The groups after `n` more draws.

    A group is filled up to `size` before the next one opens. When the 17th would open, neighbours merge in pairs and
    `size` doubles. So the groups of a stream depend on its length alone and not on how it was cut into chunks.

    Example:
        >>> import torch
        >>> groups = extend(Groups(size=1), torch.arange(20.0))
        >>> groups.size, groups.counts[:2], groups.means[:2]
        (2, (2, 2), (tensor(0.5000), tensor(2.5000)))
    """
    dtype = groups.dtype or (torch.float64 if draws.dtype == torch.float64 else torch.float32)
    while _number(groups, len(draws)) > MOST_GROUPS:
        groups = _halve(groups)
    counts, means = list(groups.counts), list(groups.means)
    start = 0
    while start < len(draws):
        if not counts or counts[-1] >= groups.size:
            counts.append(0)
            means.append(torch.zeros(draws.shape[1:], dtype=dtype, device=draws.device))
        part = accumulated(draws[start : start + groups.size - counts[-1]].detach())
        means[-1] = _mean(counts[-1], means[-1], len(part), part.mean(dim=0), dtype)
        counts[-1] += len(part)
        start += len(part)
    return Groups(groups.size, tuple(counts), tuple(means), dtype)


def join(first: Groups, second: Groups) -> Groups:
    """The groups of one stream followed by another; groups of the two are not aligned, only contiguous.

    Example:
        >>> import torch
        >>> join(extend(Groups(size=1), torch.arange(3.0)), extend(Groups(size=1), torch.ones(2))).counts
        (1, 1, 1, 1, 1)
    """
    while first.size < second.size:
        first = _halve(first)
    while second.size < first.size:
        second = _halve(second)
    joined = Groups(first.size, first.counts + second.counts, first.means + second.means, first.dtype or second.dtype)
    while len(joined.counts) > MOST_GROUPS:
        joined = _halve(joined)
    return joined


def _number(groups: Groups, more: int) -> int:
    room = groups.size - groups.counts[-1] if groups.counts else 0
    return len(groups.counts) + -(-max(0, more - room) // groups.size)


def _halve(groups: Groups) -> Groups:
    counts, means = [], []
    for index in range(0, len(groups.counts), 2):
        pair, both = groups.counts[index : index + 2], groups.means[index : index + 2]
        counts.append(sum(pair))
        means.append(_mean(pair[0], both[0], pair[1], both[1], both[0].dtype) if len(pair) == 2 else both[0])
    return Groups(2 * groups.size, tuple(counts), tuple(means), groups.dtype)


def _mean(count: int, mean: Tensor, more: int, other: Tensor, dtype: torch.dtype) -> Tensor:
    mean, other = accumulated(mean), accumulated(other)
    return (mean + (other - mean) * (more / (count + more))).to(dtype)
