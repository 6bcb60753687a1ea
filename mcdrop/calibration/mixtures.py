"""The predictive distributions that draws make by themselves: a mixture of normals, of Poisson laws, or draws of y."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.distances import drawn_distances, normal_distances, remaining, with_deleted_means
from mcdrop.calibration.mixture_quantiles import draws_without_each, normal_quantiles, poisson_quantiles
from mcdrop.calibration.poisson_distances import poisson_cdf_and_pmf, poisson_distances
from mcdrop.calibration.predictive import Predictive
from mcdrop.prediction import Gaussian, Poisson, RegressionLikelihood
from mcdrop.prediction.mixture import empirical_quantile
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import counts as whole_numbers
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True, eq=False)
class NormalMixture(Predictive):
    """`1/T sum_t Normal(m_t, s_t^2)`.

    Args:
        means: Of each component.
        stds: Of each component, or one row for all of them.
        counts: Draws in each contiguous group.
    """

    means: Float[Tensor, "T M"]
    stds: Float[Tensor, "#T M"]
    counts: tuple[int, ...]

    def targets(self, targets: ArrayLike, shape: torch.Size) -> Float[Tensor, " M"]:
        return numbers(targets, shape, self.means).reshape(-1)

    def ranks(self, y: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R M"], Float[Tensor, "R M"]]:
        shares = torch.special.erfc((self.means - y) / (self.stds * math.sqrt(2))) / 2
        reached = with_deleted_means(shares, self.counts)
        return reached, reached

    def quantiles(self, q: float) -> Float[Tensor, "R M"]:
        return normal_quantiles(self.means, self.stds, q, self.counts)

    def mean(self) -> Float[Tensor, "R M"]:
        return with_deleted_means(self.means, self.counts)

    def variance(self) -> Float[Tensor, "R M"]:
        return _variance(self.means, self.stds.square(), self.counts)

    def crps(self, y: Float[Tensor, " M"], *, fair: bool) -> Float[Tensor, "R M"]:
        return normal_distances(self.means, self.stds, y, self.counts).crps(fair=fair)


@final
@dataclass(frozen=True, eq=False)
class PoissonMixture(Predictive):
    """`1/T sum_t Poisson(r_t)`.

    Args:
        rate: Of each component.
        counts: Draws in each contiguous group.
    """

    rate: Float[Tensor, "T M"]
    counts: tuple[int, ...]

    def targets(self, targets: ArrayLike, shape: torch.Size) -> Float[Tensor, " M"]:
        return whole_numbers(targets, shape, self.rate).reshape(-1)

    def ranks(self, y: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R M"], Float[Tensor, "R M"]]:
        reached, pmf = poisson_cdf_and_pmf(self.rate, y)
        below = (reached - pmf).clamp(min=0)
        return with_deleted_means(below, self.counts), with_deleted_means(reached, self.counts)

    def quantiles(self, q: float) -> Float[Tensor, "R M"]:
        return poisson_quantiles(self.rate, q, self.counts)

    def mean(self) -> Float[Tensor, "R M"]:
        return with_deleted_means(self.rate, self.counts)

    def variance(self) -> Float[Tensor, "R M"]:
        return _variance(self.rate, self.rate, self.counts)

    def crps(self, y: Float[Tensor, " M"], *, fair: bool) -> Float[Tensor, "R M"]:
        return poisson_distances(self.rate, y, self.counts).crps(fair=fair)


@final
@dataclass(frozen=True, eq=False)
class DrawnValues(Predictive):
    """T draws of y itself, noise included.

    Their rank takes y for one more draw: `P(Y < y)` is `#(x_t < y) / (T+1)`, `P(Y <= y)` is `(#(x_t <= y) + 1)/(T+1)`,
    and a rank between the two is uniform if y is drawn as they are. Quantiles are linear between order statistics.

    Args:
        draws: Of y.
        counts: Draws in each contiguous group.
    """

    draws: Float[Tensor, "T M"]
    counts: tuple[int, ...]

    def targets(self, targets: ArrayLike, shape: torch.Size) -> Float[Tensor, " M"]:
        return numbers(targets, shape, self.draws).reshape(-1)

    def ranks(self, y: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R M"], Float[Tensor, "R M"]]:
        total = remaining(self.counts, self.draws)[:, None]
        below, reached = (
            with_deleted_means(hits.to(self.draws.dtype), self.counts) * total
            for hits in (self.draws < y, self.draws <= y)
        )
        return below / (total + 1), (reached + 1) / (total + 1)

    def quantiles(self, q: float) -> Float[Tensor, "R M"]:
        others = [self.draws[kept] for kept in draws_without_each(self.counts)]
        return torch.stack([empirical_quantile(draws, q) for draws in (self.draws, *others)])

    def mean(self) -> Float[Tensor, "R M"]:
        return with_deleted_means(self.draws, self.counts)

    def variance(self) -> Float[Tensor, "R M"]:
        return _variance(self.draws, torch.zeros_like(self.draws[:1]), self.counts)

    def crps(self, y: Float[Tensor, " M"], *, fair: bool) -> Float[Tensor, "R M"]:
        return drawn_distances(self.draws, y, self.counts).crps(fair=fair)

    def inside(self, y: Float[Tensor, " M"], coverages: tuple[float, ...]) -> Float[Tensor, "L R M"]:
        ends = [(self.quantiles((1 - c) / 2), self.quantiles((1 + c) / 2)) for c in coverages]
        return torch.stack([(lower <= y) & (y <= upper) for lower, upper in ends]).to(y.dtype)


def drawn_mixture(likelihood: RegressionLikelihood, samples: Tree, counts: tuple[int, ...]) -> Predictive:
    """The mixture of the normals, or of the Poisson laws, that a likelihood makes of draws.

    Args:
        likelihood: `Gaussian`, `HeteroscedasticGaussian` or `Poisson`.
        samples: Its outputs (T, N, *out).
        counts: Draws in each contiguous group.

    Example:
        >>> drawn_mixture(Gaussian(4.0), torch.zeros(2, 3), (1, 1)).variance()[0]
        tensor([0.2500, 0.2500, 0.2500], dtype=torch.float64)
    """
    statistics = likelihood.statistics(samples)
    if isinstance(likelihood, Poisson):
        return PoissonMixture(flat(statistics["mean"]), counts)
    mean = accumulated(statistics["mean"])
    if isinstance(likelihood, Gaussian):
        precision = torch.tensor(likelihood.precision, dtype=mean.dtype, device=mean.device)
        return NormalMixture(flat(mean), flat(precision.rsqrt().expand_as(mean[:1])), counts)
    return NormalMixture(flat(mean), flat(statistics["noise"].sqrt()), counts)


def flat(values: Float[Tensor, " T *shape"]) -> Float[Tensor, "T M"]:
    """All elements of all rows on one axis."""
    return values.reshape(len(values), -1)


def _variance(mean: Tensor, noise: Tensor, counts: tuple[int, ...]) -> Tensor:
    """`1/T sum_t (v_t + (m_t - m)^2)`."""
    around = mean - mean.mean(dim=0)
    return with_deleted_means(around.square() + noise, counts) - with_deleted_means(around, counts).square()
