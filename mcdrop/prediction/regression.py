"""What the draws say about numbers: mean, variances and the exact mixture of the draws."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.prediction.likelihood import RegressionLikelihood
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.result import Prediction, row_pieces
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RegressionPrediction(Prediction):
    """What T draws say about numbers, element by element in the shape of the mean.

    `log_prob`, `cdf`, `quantile` and `interval` read the equal mixture of the T draws and need `samples`; a single
    draw is a mixture of one. With several outputs they give each output's marginal distribution: the draws couple the
    outputs, so the joint density is not the sum of these.

    Args:
        aleatoric: Variance of the noise, averaged over the draws, in the output's unit squared.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.tensor([[1.0], [3.0]]), Gaussian(precision=4.0))  # two draws, one row
        >>> prediction.mean, prediction.epistemic, prediction.aleatoric
        (tensor([2.], ...), tensor([2.], ...), tensor([0.2500], ...))
        >>> prediction.interval(0.95)
        (tensor([0.1776], dtype=torch.float64), tensor([3.8224], dtype=torch.float64))
    """

    likelihood: RegressionLikelihood
    aleatoric: Float[Tensor, " N *out"]

    row_fields: ClassVar[tuple[str, ...]] = ("moments", "aleatoric")
    quantities: ClassVar[tuple[str, ...]] = ("mean", "epistemic", "aleatoric", "variance", "std", "mc_error")
    shown: ClassVar[tuple[str, ...]] = ("mean", "std", "epistemic", "aleatoric", "mc_error")

    @property
    def mean(self) -> Float[Tensor, " N *out"]:
        """`1/T sum_t E[y | draw t]` in the output's unit: unbiased."""
        return self.moments["mean"].mean

    @property
    def epistemic(self) -> Float[Tensor, " N *out"]:
        """Variance of `E[y | draw]` over the draws, unit squared, unbiased (see `Moments.variance`)."""
        return self.moments["mean"].variance

    @property
    def variance(self) -> Float[Tensor, " N *out"]:
        """`epistemic + aleatoric`, unit squared.

        Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 7 (there with divisor T).
        """
        return self.epistemic + self.aleatoric

    @property
    def std(self) -> Float[Tensor, " N *out"]:
        """`sqrt(variance)`, in the output's unit."""
        return self.variance.sqrt()

    @property
    def mc_error(self) -> Float[Tensor, " N *out"] | None:
        """Monte Carlo standard error of `mean`, in the output's unit."""
        return None if self.provenance.members else self.moments["mean"].mc_error

    def log_prob(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`log 1/T sum_t p(y | draw t)` of each element in nats.

        Args:
            targets: In the shape of the mean; (N,) and (N, 1) stand for each other.

        Raises:
            UnavailableError: Without samples.
            InputError: If shape or values do not fit.

        Source: Gal & Ghahramani 2016, eq. 8.
        """
        return log_mean_exp(self.likelihood.log_prob(self._kept_samples("log_prob of the mixture"), targets))

    def cdf(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`P(Y <= y)` of each element; at the observed y this is the probability integral transform.

        Raises:
            UnavailableError: Without samples.
            InputError: If shape or values do not fit.
        """
        return self.likelihood.cdf(self._kept_samples("cdf of the mixture"), targets)

    def quantile(self, q: float) -> Float[Tensor, " N *out"]:
        """The smallest y with `P(Y <= y) >= q`, in the output's unit, without gradient.

        Raises:
            UnavailableError: Without samples.
            InputError: If q is not between 0 and 1.
        """
        self._kept_samples("quantile of the mixture")
        pieces = row_pieces(len(self), self.num_samples * self.mean[:1].numel())
        return torch.cat([self.likelihood.quantile(self[rows].samples, q) for rows in pieces])

    def interval(self, coverage: float) -> tuple[Float[Tensor, " N *out"], Float[Tensor, " N *out"]]:
        """The central interval of the mixture: its quantiles at `(1 - coverage)/2` and `(1 + coverage)/2`.

        For counts the two are whole numbers, both included, and hold at least the coverage.

        Returns:
            Lower and upper bound, in the output's unit.

        Raises:
            UnavailableError: Without samples.
            InputError: If coverage is not between 0 and 1.
        """
        check_coverage(coverage)
        return self.quantile((1 - coverage) / 2), self.quantile((1 + coverage) / 2)


def check_coverage(coverage: float) -> None:
    """Raises InputError unless the coverage lies between 0 and 1."""
    if not 0 < coverage < 1:
        raise InputError(f"coverage={coverage} given, it is the share inside: between 0 and 1, such as 0.95 for 95 %.")
