"""Counts: the model returns the logarithm of their rate."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import OutputError
from mcdrop.prediction.likelihood import RegressionLikelihood
from mcdrop.prediction.mixture import poisson_cdf, poisson_quantile
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, one_tensor
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.regression import RegressionPrediction
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import counts, numbers
from mcdrop.types import ArrayLike, Tree

# exp(36) is about 2^52: counts beyond are no longer whole numbers in float64
_LARGEST_LOG_RATE = 36.0


@final
@dataclass(frozen=True)
class Poisson(RegressionLikelihood[RegressionPrediction]):
    """`p(y | draw) = rate^y exp(-rate) / y!` with `rate = exp(output)`, for outputs of any shape (N, *out).

    Mean and aleatoric variance are both E[rate], the epistemic variance is Var[rate] over the draws.

    Example:
        >>> import torch
        >>> Poisson().log_prob(torch.zeros(1, 1), torch.tensor([2]))  # -1 - log 2
        tensor([[-1.6931]], dtype=torch.float64)
    """

    keeps_samples: ClassVar[bool] = True

    def check(self, outputs: Tree) -> None:
        tensor = one_tensor(outputs, self, "log rates (N,)")
        finite(~tensor.isfinite(), self)
        if tensor.numel() and tensor.max().item() > _LARGEST_LOG_RATE:
            raise OutputError(
                f"Poisson() reads log rates, and one of them is {tensor.max().item():.4g}: above {_LARGEST_LOG_RATE:g} "
                "counts are no longer told apart. If the model returns rates, return their logarithm."
            )

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        return {"mean": accumulated(outputs).exp()}

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        y = counts(targets, outputs.shape[1:], outputs)
        log_rate = accumulated(outputs)
        return y * log_rate - log_rate.exp() - torch.lgamma(y + 1)

    def geometric_mean(self, outputs: Tree) -> Float[Tensor, " N *out"]:
        return accumulated(outputs).mean(dim=0)  # of log rates, the natural parameter

    def cdf(self, samples: Tree, values: ArrayLike) -> Float[Tensor, " N *out"]:
        rate = accumulated(samples).exp()
        return poisson_cdf(rate, numbers(values, rate.shape[1:], rate))

    def quantile(self, samples: Tree, q: float) -> Float[Tensor, " N *out"]:
        return poisson_quantile(accumulated(samples).exp(), q)

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> RegressionPrediction:
        rate = moments["mean"].mean
        return RegressionPrediction(
            likelihood=self, provenance=provenance, moments=moments, samples=samples, aleatoric=rate
        )
