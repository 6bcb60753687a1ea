"""The predictive distribution of regression: an equal mixture of T components, one per draw, never a single normal.

`p(y) = 1/T sum_t p(y | draw t)`, so densities and cumulative probabilities average over the draws, and quantiles invert
the averaged cumulative distribution F. The first axis of every argument holds the T components. Quantiles are computed
without gradient.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError


def log_mean_exp(log_values: Float[Tensor, " T *shape"]) -> Float[Tensor, "*shape"]:
    """`log (1/T sum_t exp v_t)`, without overflow.

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 8, https://arxiv.org/abs/1506.02142.

    Example:
        >>> import torch
        >>> log_mean_exp(torch.tensor([1000.0, 1000.0]))
        tensor(1000.)
    """
    return log_values.logsumexp(dim=0) - math.log(len(log_values))


def normal_cdf(
    mean: Float[Tensor, " T *shape"], std: Float[Tensor, " T *shape"], values: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """`F(y) = 1/T sum_t Phi((y - mean_t) / std_t)`.

    Example:
        >>> import torch
        >>> normal_cdf(torch.tensor([-1.0, 1.0]), torch.tensor([0.5, 0.5]), torch.tensor(0.0))
        tensor(0.5000)
    """
    return _standard_normal_cdf((values - mean) / std).mean(dim=0)


@torch.no_grad()
def normal_quantile(
    mean: Float[Tensor, " T *shape"], std: Float[Tensor, " T *shape"], q: float
) -> Float[Tensor, "*shape"]:
    """The y with `F(y) = q` of a mixture of normals.

    It lies between the least and the greatest quantile of the components. Newton's steps inside that bracket, and
    bisection where they leave it, at least every third step; ends when F(y) is q to 1e-10 of min(q, 1-q).

    Raises:
        InputError: If q is not between 0 and 1.

    Example:
        >>> import torch
        >>> normal_quantile(torch.zeros(5, 1, dtype=torch.float64), torch.ones(5, 1, dtype=torch.float64), 0.975)
        tensor([1.9600], dtype=torch.float64)
    """
    _check_probability(q)
    resolution = torch.finfo(mean.dtype).eps
    tolerance = max(1e-10 * min(q, 1 - q), 8 * resolution)
    of_components = mean + std * torch.special.ndtri(torch.tensor(q, dtype=mean.dtype, device=mean.device))
    lower, upper = of_components.amin(dim=0), of_components.amax(dim=0)
    y = (lower + upper) / 2
    for step in range(200):
        z = (y - mean) / std
        excess = _standard_normal_cdf(z).mean(dim=0) - q
        lower, upper = torch.where(excess < 0, y, lower), torch.where(excess < 0, upper, y)
        narrow = upper - lower <= resolution * torch.maximum(lower.abs(), upper.abs())
        found = (excess.abs() <= tolerance) | narrow
        if found.all():
            break
        density = ((-z.square() / 2).exp() / std).mean(dim=0) / math.sqrt(2 * math.pi)
        newton, middle = y - excess / density, (lower + upper) / 2
        inside = (newton > lower) & (newton < upper)
        following = torch.where(inside, newton, middle) if step % 3 < 2 else middle
        y = torch.where(found, y, following)
    return y


def poisson_cdf(rate: Float[Tensor, " T *shape"], values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`F(y) = 1/T sum_t P(Y <= y | rate_t)`, with `P(Y <= k) = Q(k + 1, rate)`, the regularised incomplete gamma.

    Example:
        >>> import torch
        >>> poisson_cdf(torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))
        tensor(0.2516, dtype=torch.float64)
    """
    count = values.floor()
    reached = torch.special.gammaincc(count.clamp(min=0) + 1, rate).mean(dim=0)
    return torch.where(count < 0, 0, reached)


@torch.no_grad()
def poisson_quantile(rate: Float[Tensor, " T *shape"], q: float) -> Float[Tensor, "*shape"]:
    """The smallest whole y with `F(y) >= q` of a mixture of Poisson distributions, by bisection.

    Raises:
        InputError: If q is not between 0 and 1.

    Example:
        >>> import torch
        >>> poisson_quantile(torch.tensor([[1.0], [2.0]], dtype=torch.float64), 0.5)
        tensor([1.], dtype=torch.float64)
    """
    _check_probability(q)
    lower = -torch.ones_like(rate[0])
    upper = rate.amax(dim=0).ceil() + 1
    while (short := poisson_cdf(rate, upper) < q).any():
        upper = torch.where(short, 2 * upper, upper)
    while (upper - lower > 1).any():
        middle = ((lower + upper) / 2).floor()
        reached = poisson_cdf(rate, middle) >= q
        lower, upper = torch.where(reached, lower, middle), torch.where(reached, middle, upper)
    return upper


@torch.no_grad()
def empirical_quantile(draws: Float[Tensor, " T *shape"], q: float) -> Float[Tensor, "*shape"]:
    """The quantile of the draws themselves: linear between the order statistics at `(T - 1) q`.

    Raises:
        InputError: If q is not between 0 and 1.

    Source: Hyndman & Fan 1996, "Sample quantiles in statistical packages", definition 7 (NumPy's default).

    Example:
        >>> import torch
        >>> empirical_quantile(torch.tensor([[3.0], [1.0], [2.0]]), 0.25)
        tensor([1.5000])
    """
    _check_probability(q)
    ordered = draws.sort(dim=0).values
    position = (len(draws) - 1) * q
    below = math.floor(position)
    above = min(below + 1, len(draws) - 1)
    return torch.lerp(ordered[below], ordered[above], position - below)


def _standard_normal_cdf(z: Tensor) -> Tensor:
    # torch.special.ndtr is (1 + erf)/2, which has no digits left in the lower tail
    return torch.special.erfc(-z / math.sqrt(2)) / 2


def _check_probability(q: float) -> None:
    if not 0 < q < 1:
        raise InputError(f"q={q} given, a quantile needs a probability between 0 and 1, both excluded.")
