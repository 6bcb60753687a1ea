"""Numbers with normal noise whose scale the model predicts too."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError, OutputError
from mcdrop.prediction.likelihood import RegressionLikelihood
from mcdrop.prediction.mixture import normal_cdf, normal_quantile
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, floating, one_tensor
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.regression import RegressionPrediction
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import numbers
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True)
class HeteroscedasticGaussian(RegressionLikelihood[RegressionPrediction]):
    """`p(y | draw) = Normal(y; mean, variance)`, both from the model.

    The output is (N, 2D), first the D means and then the D scales, or a pair (mean, scale) of tensors of one shape.

    Args:
        scale: What the model returns for the noise: "log_variance" (natural logarithm), "variance" (unit squared) or
            "std" (unit of the mean).

    Source: Kendall & Gal 2017, "What uncertainties do we need in Bayesian deep learning for computer vision?", eq. 8
    and 9, https://arxiv.org/abs/1703.04977.

    Example:
        >>> import torch
        >>> HeteroscedasticGaussian("std").statistics(torch.tensor([[[5.0, 2.0]]]))  # mean 5, std 2
        {'mean': tensor([[[5.]]], dtype=torch.float64), 'noise': tensor([[[4.]]], dtype=torch.float64)}
    """

    scale: Literal["log_variance", "variance", "std"] = "log_variance"
    keeps_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.scale not in ("log_variance", "variance", "std"):
            raise InputError(f'scale="{self.scale}" given, the model returns "log_variance", "variance" or "std".')

    def check(self, outputs: Tree) -> None:
        wanted = "mean and scale (N, 2D), or a pair of them"
        if isinstance(outputs, tuple | list) and len(outputs) == 2 and all(isinstance(t, Tensor) for t in outputs):
            for part in outputs:
                floating(part, self, wanted)
                finite(~part.isfinite(), self)
            if outputs[0].shape != outputs[1].shape:
                raise OutputError(
                    f"{self} reads {wanted}, and the model returned means {tuple(outputs[0].shape[1:])} and scales "
                    f"{tuple(outputs[1].shape[1:])}: give one scale for each mean."
                )
        else:
            tensor = one_tensor(outputs, self, wanted)
            if tensor.ndim < 3 or tensor.shape[-1] % 2:
                raise OutputError(
                    f"{self} reads {wanted}, and the model returned {tuple(tensor.shape[1:])}: its last axis must hold "
                    "a mean and a scale for every output. For a mean alone use Gaussian(precision)."
                )
            finite(~tensor.isfinite(), self)
        self._check_scale(_halves(outputs)[1])

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        mean, log_variance = self._parameters(outputs)
        return {"mean": mean, "noise": log_variance.exp()}

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        mean, log_variance = self._parameters(outputs)
        y = numbers(targets, mean.shape[1:], mean)
        return -(math.log(2 * math.pi) + log_variance + (y - mean).square() * (-log_variance).exp()) / 2

    def geometric_mean(self, outputs: Tree) -> Tree:
        mean, log_variance = self._parameters(outputs)
        precision = (-log_variance).exp()
        average = precision.mean(dim=0)
        scale = {"log_variance": -average.log(), "variance": 1 / average, "std": average.rsqrt()}[self.scale]
        parts = (precision * mean).mean(dim=0) / average, scale
        return torch.cat(parts, dim=-1) if isinstance(outputs, Tensor) else parts

    def cdf(self, samples: Tree, values: ArrayLike) -> Float[Tensor, " N *out"]:
        mean, log_variance = self._parameters(samples)
        return normal_cdf(mean, (log_variance / 2).exp(), numbers(values, mean.shape[1:], mean))

    def quantile(self, samples: Tree, q: float) -> Float[Tensor, " N *out"]:
        mean, log_variance = self._parameters(samples)
        return normal_quantile(mean, (log_variance / 2).exp(), q)

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> RegressionPrediction:
        noise = moments["noise"].mean
        return RegressionPrediction(
            likelihood=self, provenance=provenance, moments=moments, samples=samples, aleatoric=noise
        )

    def _parameters(self, outputs: Tree) -> tuple[Tensor, Tensor]:
        """Mean and log variance, (n, N, *D) each."""
        mean, scale = (accumulated(part) for part in _halves(outputs))
        if self.scale == "log_variance":
            return mean, scale
        return mean, scale.log() * (1 if self.scale == "variance" else 2)

    def _check_scale(self, scale: Tensor) -> None:
        if self.scale != "log_variance":
            if (scale <= 0).any():
                raise OutputError(
                    f"{self} reads a {self.scale}, and {int((scale <= 0).sum())} of them are not positive. Put a "
                    'softplus behind the model\'s last layer, or use scale="log_variance" if it returns that.'
                )
            return
        # beyond it the variance is no longer a number in the precision of the statistics
        limit = math.log(torch.finfo(accumulated(scale[:0]).dtype).max)
        if scale.numel() and scale.abs().max().item() > limit:
            raise OutputError(
                f"{self} reads log variances, and one of them is {scale.abs().max().item():.4g} in size, so that the "
                'variance overflows. Clamp it in the model, or say scale="variance" or "std" if it returns that.'
            )


def _halves(outputs: Tree) -> tuple[Tensor, Tensor]:
    mean, scale = outputs.chunk(2, dim=-1) if isinstance(outputs, Tensor) else outputs
    return mean, scale
