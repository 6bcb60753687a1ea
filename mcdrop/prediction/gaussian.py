"""Numbers with normal noise of one known precision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError, OutputError
from mcdrop.prediction.likelihood import RegressionLikelihood
from mcdrop.prediction.mixture import normal_cdf, normal_quantile
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, one_tensor
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.regression import RegressionPrediction
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True)
class Gaussian(RegressionLikelihood[RegressionPrediction]):
    """`p(y | draw) = Normal(y; output, 1/precision)`.

    Args:
        precision: tau > 0, in 1/unit^2 of the output: one number, or D numbers for outputs (N, D) (kept as a tuple).

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 7 and 8, https://arxiv.org/abs/1506.02142.

    Example:
        >>> import torch
        >>> Gaussian(precision=4.0).log_prob(torch.zeros(1, 1), torch.zeros(1))  # log(2) - log(2 pi)/2
        tensor([[-0.2258]], dtype=torch.float64)
    """

    precision: float | Sequence[float] | ArrayLike
    keeps_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        values = torch.as_tensor(self.precision, dtype=torch.float64).detach().cpu()
        if values.ndim > 1 or values.numel() == 0 or not (values.isfinite() & (values > 0)).all():
            raise InputError(
                f"precision={self.precision} given, it is one positive number or one per output (D,): "
                "1/variance of the noise, in the output's units."
            )
        # numbers instead of a tensor: likelihoods compare equal, hash and are stored
        object.__setattr__(self, "precision", values.item() if values.ndim == 0 else tuple(values.tolist()))

    def check(self, outputs: Tree) -> None:
        tensor = one_tensor(outputs, self, "means (N, D)")
        if isinstance(self.precision, tuple) and tensor.shape[2:][-1:] != (len(self.precision),):
            raise OutputError(
                f"precision has {len(self.precision)} numbers, and the model returned {tuple(tensor.shape[1:])}: "
                "give one number for each output of the last axis, or one for all."
            )
        finite(~tensor.isfinite(), self)

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        return {"mean": outputs}

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        y = numbers(targets, outputs.shape[1:], outputs)
        precision = self._precision(outputs)
        return (precision / (2 * math.pi)).log() / 2 - precision * (y - accumulated(outputs)).square() / 2

    def geometric_mean(self, outputs: Tree) -> Float[Tensor, " N *out"]:
        return accumulated(outputs).mean(dim=0)

    def cdf(self, samples: Tree, values: ArrayLike) -> Float[Tensor, " N *out"]:
        mean = accumulated(samples)
        return normal_cdf(mean, self._std(mean), numbers(values, mean.shape[1:], mean))

    def quantile(self, samples: Tree, q: float) -> Float[Tensor, " N *out"]:
        mean = accumulated(samples)
        return normal_quantile(mean, self._std(mean), q)

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> RegressionPrediction:
        mean = moments["mean"].mean
        noise = (1 / self._precision(mean)).expand_as(mean)
        return RegressionPrediction(
            likelihood=self, provenance=provenance, moments=moments, samples=samples, aleatoric=noise
        )

    def _precision(self, like: Tensor) -> Tensor:
        return torch.tensor(self.precision, dtype=accumulated(like[:0]).dtype, device=like.device)

    def _std(self, mean: Tensor) -> Tensor:
        return self._precision(mean).rsqrt().expand_as(mean)
