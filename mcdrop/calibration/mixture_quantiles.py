"""Quantiles of a mixture over T draws, and of the mixtures without each group of them.

A mixture that lacks a few draws has its quantile near that of all, so one step from there finds it, to the third power
of how far it is; where that is not near, it is solved for.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.distances import with_deleted_means
from mcdrop.calibration.poisson_distances import poisson_cdf_and_pmf
from mcdrop.prediction.mixture import poisson_quantile

_NEAR = 0.2
"""How long a step may be to be taken as it is, in standard deviations of the narrowest component."""


def normal_quantiles(
    mean: Float[Tensor, "T M"], std: Float[Tensor, "#T M"], q: float, counts: tuple[int, ...]
) -> Float[Tensor, "R M"]:
    """The y with `F(y) = q` of mixtures of normals: of all draws to 1e-10 of min(q, 1-q) in F, then without each group.

    The latter by Halley's step from the first: `y - (E / f) / (1 - E f' / (2 f^2))`, E = F(y) - q, f the density.

    Args:
        mean: Of each component.
        std: Of each component, or one row for all of them.
        q: Between 0 and 1.
        counts: Draws in each contiguous group.

    Example:
        >>> import torch
        >>> normal_quantiles(torch.zeros(2, 1).double(), torch.ones(2, 1).double(), 0.975, (1, 1))
        tensor([[1.9600], [1.9600], [1.9600]], dtype=torch.float64)
    """
    deviation = (mean.var(dim=0, correction=0) + std.square().mean(dim=0)).sqrt()
    z = torch.special.ndtri(mean.new_tensor(q))
    of_all = _root(mean, std, q, mean.mean(dim=0) + z * deviation)
    if len(counts) < 2:
        return of_all[None]
    at = (of_all - mean) / std
    excess = with_deleted_means(torch.special.erfc(at / -math.sqrt(2)) / 2, counts)[1:] - q
    densities = _density(at, std)
    density, slope = (with_deleted_means(values, counts)[1:] for values in (densities, -at / std * densities))
    step = -excess / density
    bend = step * slope / (2 * density)
    found = of_all + step / (1 + bend)
    far = ~((step.abs() <= _NEAR * std.amin(dim=0)) & (bend.abs() <= _NEAR / 2))
    for group, kept in enumerate(draws_without_each(counts)):
        columns = far[group]
        if columns.any():
            some = std[:, columns]
            start = found[group, columns]
            found[group, columns] = _root(mean[kept][:, columns], some if len(std) == 1 else some[kept], q, start)
    return torch.cat([of_all[None], found])


def poisson_quantiles(rate: Float[Tensor, "T M"], q: float, counts: tuple[int, ...]) -> Float[Tensor, "R M"]:
    """The smallest whole y with `F(y) >= q` of mixtures of Poisson laws; arguments as in `normal_quantiles`.

    Example:
        >>> import torch
        >>> poisson_quantiles(torch.tensor([[1.0], [2.0]], dtype=torch.float64), 0.5, (1, 1))
        tensor([[1.], [2.], [1.]], dtype=torch.float64)
    """
    of_all = poisson_quantile(rate, q)
    if len(counts) < 2:
        return of_all[None]
    reached, pmf = poisson_cdf_and_pmf(rate, of_all)
    changed = (with_deleted_means(reached, counts) < q) | (with_deleted_means(reached - pmf, counts) >= q)
    found = [of_all]
    for kept, columns in zip(draws_without_each(counts), changed[1:], strict=True):
        found.append(of_all.clone())
        if columns.any():
            found[-1][columns] = poisson_quantile(rate[kept][:, columns], q)
    return torch.stack(found)


def draws_without_each(counts: tuple[int, ...]) -> list[Int[Tensor, " kept"]]:
    """The numbers of the draws outside of each group; none if there is one group only.

    Example:
        >>> draws_without_each((1, 2))
        [tensor([1, 2]), tensor([0])]
    """
    groups = torch.arange(sum(counts)).split(list(counts))
    return [torch.cat(groups[:g] + groups[g + 1 :]) for g in range(len(groups))] if len(groups) > 1 else []


def _root(mean: Tensor, std: Tensor, q: float, start: Tensor) -> Tensor:
    """Newton's steps from `start` between the least and the greatest quantile of a component.

    Where a step leaves the bracket, or is more than half of the one before, the bracket is halved instead.
    """
    tolerance, resolution = max(1e-10 * min(q, 1 - q), 1e-15), torch.finfo(mean.dtype).eps
    ends = mean + std * torch.special.ndtri(mean.new_tensor(q))
    lower, upper = ends.amin(dim=0), ends.amax(dim=0)
    y = torch.where(start.isfinite(), start, lower).clamp(lower, upper)
    before, open_, result = torch.full_like(y, torch.inf), torch.arange(len(y)), y.clone()
    for _ in range(200):
        z = (y - mean) / std
        excess = (torch.special.erfc(z / -math.sqrt(2)) / 2).mean(dim=0) - q
        lower, upper = torch.where(excess < 0, y, lower), torch.where(excess < 0, upper, y)
        step = -excess / _density(z, std).mean(dim=0)
        good = (y + step > lower) & (y + step < upper) & (2 * step.abs() <= before)
        before = torch.where(good, step.abs(), torch.inf)  # any step may follow upon a halving
        step = torch.where(good, step, (lower + upper) / 2 - y)
        narrow = upper - lower <= resolution * torch.maximum(lower.abs(), upper.abs())
        result[open_] = y
        left = ~((excess.abs() <= tolerance) | narrow)
        if not left.any():
            break
        y = torch.where(left, y + step, y)
        if 2 * int(left.sum()) < len(left):  # else a copy of what is left costs more than it saves
            mean, std, open_ = mean[:, left], std[:, left], open_[left]
            lower, upper, before, y = lower[left], upper[left], before[left], y[left]
    return result


def _density(z: Tensor, std: Tensor) -> Tensor:
    return (z.square() / -2).exp() / (std * math.sqrt(2 * math.pi))
