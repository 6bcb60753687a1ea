"""The Monte Carlo error of anything computed from the draws: compute it again without each group of them.

Source: Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m", Statistics and Computing 9, 3-8,
https://doi.org/10.1023/A:1008800423698.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.prediction import Moments, Recomputed
from mcdrop.prediction.recomputed import jackknife_squared_error


def jackknife_error(value: float, deleted: Float[Tensor, " G"], counts: tuple[int, ...]) -> float | None:
    """The delete-m_j jackknife standard error of an estimate, for groups of unequal size.

    The formula stands at `jackknife_squared_error`.

    Args:
        value: The estimate from all T draws.
        deleted: The estimates without each of the G groups.
        counts: Draws in each group, `n_j`.

    Returns:
        The error in the estimate's unit, None for fewer than two groups.

    Example:
        >>> import torch
        >>> jackknife_error(2.0, torch.tensor([2.5, 2.0, 1.5]), (1, 1, 1))  # the mean of 1, 2, 3: s/sqrt(3), s = 1
        0.577...
    """
    if len(counts) < 2:
        return None
    return math.sqrt(float(jackknife_squared_error(deleted.new_tensor(value), deleted, counts)))


def means_without(moments: Moments) -> Float[Tensor, " G *shape"]:
    """The means of all draws but those of one group, for each of the G groups; G = 0 if there is only one group.

    Example:
        >>> import torch
        >>> means_without(Moments.init().update(torch.tensor([1.0, 2.0, 6.0])))
        tensor([4.0000, 3.5000, 1.5000], dtype=torch.float64)
    """
    counts = moments.groups.counts
    if len(counts) < 2:
        return moments.mean[None][:0]
    if isinstance(moments, Recomputed):
        return torch.stack(moments.without).to(moments.mean.dtype)
    sums = torch.stack([mean.to(moments.mean.dtype) * n for mean, n in zip(moments.groups.means, counts, strict=True)])
    nothing = torch.zeros_like(sums[:1])
    # the sums of the groups before and after, not the total less one group: a small probability stays positive
    before = torch.cat([nothing, sums[:-1]]).cumsum(dim=0)
    after = torch.cat([sums[1:], nothing]).flip(0).cumsum(dim=0).flip(0)
    return (before + after) / _others(counts, sums)


def with_deleted(moments: Moments) -> Float[Tensor, " R *shape"]:
    """The mean of all draws, then the means without each of the G groups of them: R = 1 + G.

    Example:
        >>> import torch
        >>> with_deleted(Moments.init().update(torch.tensor([1.0, 2.0, 6.0])))
        tensor([3.0000, 4.0000, 3.5000, 1.5000], dtype=torch.float64)
    """
    return torch.cat([moments.mean[None], means_without(moments)])


def log_mean_exp_without(log_values: Float[Tensor, " T *shape"], counts: tuple[int, ...]) -> Float[Tensor, " G *shape"]:
    """`log mean exp` over all draws but those of one group, for each group; G = 0 if there is only one group.

    Args:
        log_values: One value per draw.
        counts: Draws in each of the contiguous groups, in order.

    Example:
        >>> import torch
        >>> log_mean_exp_without(torch.tensor([1.0, 2.0, 6.0]).log(), (1, 1, 1)).exp()
        tensor([4.0000, 3.5000, 1.5000])
    """
    if len(counts) < 2:
        return log_values[:0]
    groups = torch.stack([part.logsumexp(dim=0) for part in log_values.split(list(counts))])
    nothing = torch.full_like(groups[:1], -torch.inf)
    before = torch.cat([nothing, groups[:-1]]).logcumsumexp(dim=0)
    after = torch.cat([groups[1:], nothing]).flip(0).logcumsumexp(dim=0).flip(0)
    return torch.logaddexp(before, after) - _others(counts, groups).log()


def _others(counts: tuple[int, ...], like: Tensor) -> Tensor:
    """Draws outside of each group, (G, 1, ...)."""
    others = [sum(counts) - n for n in counts]
    return torch.tensor(others, dtype=like.dtype, device=like.device).reshape(-1, *[1] * (like.ndim - 1))
