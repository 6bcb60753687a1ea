"""Expected distances of a mixture of Poisson distributions over T draws, see `distances`."""

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.distances import Distances, remaining, with_deleted_means

_SPARE = 40.0
"""Tails below exp(-40) = 4e-18 are left out."""


def poisson_distances(rate: Float[Tensor, "T M"], y: Float[Tensor, " M"], counts: tuple[int, ...]) -> Distances:
    """Of a mixture of Poisson distributions, to about 1e-8 of them: torch's incomplete gamma function is off by 4e-10.

    `E|Y_t - y| = 2 (y F_t(y) - r_t F_t(y-1)) + r_t - y` for the rate r_t, and `E|Y - Y'| = 2 sum_k F(k) (1 - F(k))` of
    the mixture's F. The sum goes over all k where a term matters, in steps of half the smallest standard deviation
    where that is above 1: the terms are so smooth that the trapezoidal rule is then off by exp(-32) of them at most.

    Args:
        rate: Of each component, above 0.
        y: The targets, whole numbers from 0.
        counts: Draws in each contiguous group.

    Source: Wei & Held 2014, "Calibration tests for count data", section 2 (one Poisson distribution),
    https://doi.org/10.1007/s11749-014-0380-8; the trapezoidal rule: Trefethen & Weideman 2014, "The exponentially
    convergent trapezoidal rule", SIAM Review 56, theorem 5.1, https://doi.org/10.1137/130932132.

    Example:
        >>> import torch
        >>> rate = torch.ones(1, 1, dtype=torch.float64)
        >>> distances = poisson_distances(rate, torch.zeros(1).double(), (1,))
        >>> distances.near, distances.mutual  # the mean itself; 2 exp(-2) (I_0(2) + I_1(2))
        (tensor([[1.0000]], dtype=torch.float64), tensor([[1.0476]], dtype=torch.float64))
    """
    reached, pmf = poisson_cdf_and_pmf(rate, y)
    below = (reached - pmf).clamp(min=0)
    near = 2 * (y * reached - rate * below) + rate - y
    own = 2 * rate * (torch.special.i0e(2 * rate) + torch.special.i1e(2 * rate))
    mutual = torch.empty(len(remaining(counts, rate)), rate.shape[1], dtype=rate.dtype, device=rate.device)
    step = (rate.amin(dim=0).sqrt() / 2).floor().clamp(min=1)
    for chosen in (step == 1, step > 1):
        if chosen.any():
            mutual[:, chosen] = 2 * _sum_of_products(rate[:, chosen], step[chosen], counts)
    return Distances(with_deleted_means(near, counts), mutual, with_deleted_means(own, counts), remaining(counts, rate))


def poisson_cdf_and_pmf(
    rate: Float[Tensor, "T M"], y: Float[Tensor, " M"]
) -> tuple[Float[Tensor, "T M"], Float[Tensor, "T M"]]:
    """`P(Y_t <= y)` and `P(Y_t = y)` of each component, for whole y from 0."""
    return torch.special.gammaincc((y + 1).expand_as(rate), rate), _pmf(rate, rate.log(), y)


def _pmf(rate: Tensor, log_rate: Tensor, k: Tensor) -> Tensor:
    return (k * log_rate - rate - torch.lgamma(k + 1)).exp()


def _sum_of_products(rate: Tensor, step: Tensor, counts: tuple[int, ...]) -> Tensor:
    """`sum_k F(k) (1 - F(k))` over whole k, (R, M): all have the step 1, or all a longer one."""
    least, most = rate.amin(dim=0), rate.amax(dim=0)
    # Chernoff: P(Y <= r - x) <= exp(-x^2 / 2r) and P(Y >= r + x) <= exp(-x^2 / 2(r + x/3))
    k = (least - (2 * _SPARE * least).sqrt()).floor().clamp(min=0)
    last = most + _SPARE / 3 + (_SPARE**2 / 9 + 2 * _SPARE * most).sqrt()
    total = torch.zeros(len(remaining(counts, rate)), len(k), dtype=rate.dtype, device=rate.device)
    log_rate = rate.log()
    reached = torch.zeros_like(rate)
    for index in range(int(((last - k) / step).max()) + 2):
        if index and (step == 1).all():  # adding up probabilities is 50 times faster than the incomplete gamma function
            reached = (reached + _pmf(rate, log_rate, k)).clamp(max=1)
        else:
            reached = torch.special.gammaincc((k + 1).expand_as(rate), rate)
        shares = with_deleted_means(reached, counts)
        total += step * shares * (1 - shares)
        k = k + step
    return total
