"""What is said of rows where the last dropout site is integrated out (see `mcdrop.sampling.last_site`)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.prediction import Moments, RawPrediction, RegressionPrediction
from mcdrop.types import ArrayLike


@dataclass(frozen=True, eq=False)
class ClosedHead:
    """Mean and variance with the last site integrated out; float64, rows first, in the unit of the output.

    `log_prob`, `interval` and `samples` are those of `drawn`, which has quantiles and more.

    Args:
        site: Name of the last site.
        between: Moments of E[y | draw] over the draws of the sites before it.
        within: Var[y | draw] averaged over them, unit squared.
        aleatoric: Variance of the noise, unit squared; 0 where the likelihood has none.
        is_exact: Whether the last site is the only one, so that nothing was sampled.
        drawn: The prediction of T draws at all sites, None with `keep_samples=False`.
        pairs: Moments of E[y_i + y_k | draw], (N, D, D), where the covariance was asked for.
        within_pairs: Cov[y_i, y_k | draw] averaged over the draws, (N, D, D), where it was asked for.
    """

    site: str
    between: Moments
    within: Float[Tensor, " N *out"]
    aleatoric: Float[Tensor, " N *out"]
    is_exact: bool
    drawn: RegressionPrediction | RawPrediction | None = None
    pairs: Moments | None = None
    within_pairs: Float[Tensor, "N D D"] | None = None

    @property
    def num_samples(self) -> int:
        """T, the draws of the sites before the last; 1 where there are none and the result is exact."""
        return self.between.count

    @property
    def mean(self) -> Float[Tensor, " N *out"]:
        """avg_t E[y | h_t]."""
        return self.between.mean

    @property
    def epistemic(self) -> Float[Tensor, " N *out"]:
        """Var_t(E[y | h_t]) + avg_t Var[y | h_t], unbiased; the first is 0 where the last site is the only one.

        Raises:
            UnavailableError: One draw of the sites before the last has no variance.
        """
        return self.within if self.is_exact else self.between.variance + self.within

    @property
    def epistemic_covariance(self) -> Float[Tensor, "N D D"]:
        """Cov_t(E[y | h_t]) + avg_t Cov[y | h_t], unbiased; its diagonal is `epistemic`.

        Of draws in blocks it need not be positive semidefinite, as each entry is unbiased by itself.

        Raises:
            UnavailableError: It was not asked for, or there is one draw of the sites before the last.
        """
        if self.pairs is None or self.within_pairs is None:
            raise UnavailableError("The covariance of the outputs was not kept: closed_head(..., covariance=True).")
        if self.is_exact:
            return self.within_pairs
        alone = self.between.variance
        # Var[a + b] = Var[a] + Var[b] + 2 Cov[a, b]
        return self.within_pairs + (self.pairs.variance - alone[:, :, None] - alone[:, None]) / 2

    @property
    def variance(self) -> Float[Tensor, " N *out"]:
        """epistemic + aleatoric."""
        return self.epistemic + self.aleatoric

    @property
    def std(self) -> Float[Tensor, " N *out"]:
        """sqrt(variance)."""
        return self.variance.sqrt()

    @property
    def mc_error(self) -> Float[Tensor, " N *out"]:
        """Monte Carlo standard error of the mean, from the sites before the last; 0 where there are none.

        Raises:
            UnavailableError: One draw has no spread.
        """
        return torch.zeros_like(self.mean) if self.is_exact else self.between.mc_error

    @property
    def samples(self) -> Float[Tensor, " T N *out"]:
        """The T outputs with masks at all sites.

        Raises:
            UnavailableError: There are no draws.
        """
        return self._drawn("samples").samples

    def log_prob(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`log 1/T sum_t p(y | draw t)` of the draws, see `RegressionPrediction.log_prob`.

        Raises:
            UnavailableError: There are no draws, or the likelihood is `Identity()`, which has no density.
        """
        drawn = self._drawn("log_prob")
        if not isinstance(drawn, RegressionPrediction):
            raise UnavailableError("log_prob needs a density, and Identity() has none: likelihood=Gaussian(precision).")
        return drawn.log_prob(targets)

    def interval(self, coverage: float) -> tuple[Float[Tensor, " N *out"], Float[Tensor, " N *out"]]:
        """The central interval of the draws, see `RegressionPrediction.interval` and `RawPrediction.interval`.

        Raises:
            UnavailableError: There are no draws.
        """
        return self._drawn("interval").interval(coverage)

    def _drawn(self, wanted: str) -> RegressionPrediction | RawPrediction:
        if self.drawn is None:
            raise UnavailableError(
                f"{wanted} was asked of a closed form without draws, which has mean and variance alone: "
                "closed_head(..., keep_samples=True)."
            )
        return self.drawn
