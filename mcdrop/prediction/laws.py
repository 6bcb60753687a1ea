"""Laws of numbers made of another: stretched about its mean, or with its probabilities mapped."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.prediction.spread import accumulated

_NODES = 256
"""Cells of the numerical integrals over a cumulative distribution."""


def columns(values: Float[Tensor, " N *out"]) -> Float[Tensor, "rows D"]:
    """The numbers that share a law, as columns: each of D outputs (N, D) for itself, (N,) as one; all elements of
    outputs of more axes, such as pixels, as one.

    Example:
        >>> columns(torch.zeros(5, 2)).shape, columns(torch.zeros(5)).shape, columns(torch.zeros(5, 4, 4)).shape
        (torch.Size([5, 2]), torch.Size([5, 1]), torch.Size([80, 1]))
    """
    return values.reshape(len(values), -1) if values.ndim <= 2 else values.reshape(-1, 1)


Before: TypeAlias = Any
"""The prediction before: a `RegressionPrediction`, or a `RecalibratedPrediction`, which cannot be imported here."""


class Law(ABC):
    """How the law of each number is changed; every method is given the prediction before. Subclasses are final."""

    @abstractmethod
    def cdf(self, before: Before, y: Tensor) -> Tensor: ...

    @abstractmethod
    def log_prob(self, before: Before, y: Tensor) -> Tensor: ...

    @abstractmethod
    def quantile(self, before: Before, q: float) -> Tensor: ...

    @abstractmethod
    def mean(self, before: Before) -> Tensor: ...

    @abstractmethod
    def variance(self, before: Before) -> Tensor: ...

    @abstractmethod
    def part(self, name: str, before: Before) -> Tensor:
        """The epistemic or the aleatoric part of the variance, or the Monte Carlo error of the mean."""


@final
@dataclass(frozen=True)
class Stretch(Law):
    """`Y' = m + s (Y - m)` about the mean m: the mean is kept, the variance becomes s^2 times itself.

    Args:
        factors: s > 0 of each column (see `columns`), without unit.
    """

    factors: tuple[float, ...]

    def cdf(self, before: Before, y: Tensor) -> Tensor:
        return before.cdf(self.unstretched(before, y))

    def log_prob(self, before: Before, y: Tensor) -> Tensor:
        return before.log_prob(self.unstretched(before, y)) - self.scale(y).log()

    def quantile(self, before: Before, q: float) -> Tensor:
        mean = before.mean
        return mean + self.scale(mean) * (before.quantile(q) - mean)

    def mean(self, before: Before) -> Tensor:
        return before.mean

    def variance(self, before: Before) -> Tensor:
        return self.scale(before.mean).square() * before.variance

    def part(self, name: str, before: Before) -> Tensor:
        value = getattr(before, name)
        return value if name == "mc_error" else self.scale(value).square() * value

    def scale(self, like: Tensor) -> Tensor:
        """s, to multiply numbers in the shape of the mean by."""
        factors = torch.tensor(self.factors, dtype=accumulated(like[:0]).dtype, device=like.device)
        return factors if len(factors) > 1 else factors[0]

    def unstretched(self, before: Before, y: Tensor) -> Tensor:
        """Where y was before: `m + (y - m) / s`."""
        mean = before.mean
        return mean + (y - mean) / self.scale(mean)


@final
@dataclass(frozen=True)
class CdfMap(Law):
    """`F'(y) = R(F(y))` with R from 0 to 1 increasing, linear between knots.

    Mean and variance are integrals over F', by the trapezoidal rule with 256 cells for each number: good to about a
    thousandth of the standard deviation.

    Args:
        inputs: Knots of R for each column (see `columns`), strictly increasing from 0 to 1.
        outputs: R at the knots, strictly increasing from 0 to 1.
    """

    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    def cdf(self, before: Before, y: Tensor) -> Tensor:
        return self._mapped(before.cdf(y))

    def log_prob(self, before: Before, y: Tensor) -> Tensor:
        raise UnavailableError(
            "log_prob of a cumulative distribution that was recalibrated by steps asked: its density would be that of "
            "the gaps between held-out values, which does not settle with their number. Score it by coverage, or "
            "recalibrate by VarianceScaling or Precision, which have densities."
        )

    def quantile(self, before: Before, q: float) -> Tensor:
        # inside (0, 1) also where R is so steep that rounding would reach an end
        within = [float(np.clip(np.interp(q, out, at), 1e-300, 1 - 2**-53)) for at, out in self._knots]
        quantiles = [before.quantile(u) for u in within]
        if len(quantiles) == 1:
            return quantiles[0]
        return torch.stack([quantile[:, column] for column, quantile in enumerate(quantiles)], dim=1)

    def mean(self, before: Before) -> Tensor:
        return self._moments(before)[0]

    def variance(self, before: Before) -> Tensor:
        return self._moments(before)[1]

    def part(self, name: str, before: Before) -> Tensor:
        raise UnavailableError(
            f"{name} of a prediction whose cumulative distribution was recalibrated asked: the map changes what all "
            "draws say together, which has no such part. Ask for mean, variance, quantiles, or the prediction before."
        )

    @property
    def _knots(self) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        return list(zip(self.inputs, self.outputs, strict=True))

    def _mapped(self, probabilities: Tensor) -> Tensor:
        table = columns(probabilities.detach()).cpu().numpy()
        mapped = [np.interp(table[:, column], *knots) for column, knots in enumerate(self._knots)]
        return torch.from_numpy(np.stack(mapped, axis=1)).reshape(probabilities.shape).to(probabilities)

    def _moments(self, before: Before) -> tuple[Tensor, Tensor]:
        """`E Y = b - int F'` and `E (Y - b)^2 = 2 int (b - y) F'`, from a to b: beyond there is next to nothing."""
        # further out than the outermost knots, behind which R has mass of its own
        least = max(min(1e-8, *(at[1] / 100 for at in self.inputs)), 1e-300)
        most = min(max(1 - 1e-8, *(1 - (1 - at[-2]) / 100 for at in self.inputs)), 1 - 2**-53)
        a, b = before.quantile(least), before.quantile(most)
        nodes = torch.linspace(0, 1, _NODES + 1, dtype=a.dtype).tolist()
        first, second = torch.zeros_like(a), torch.zeros_like(a)
        for index, at in enumerate(nodes):
            weight = 0.5 if index in (0, _NODES) else 1.0
            share = self._mapped(before.cdf(torch.lerp(a, b, at))) * weight
            first, second = first + share, second + share * (1 - at)
        step = (b - a) / _NODES
        to_end = first * step  # b - E Y
        return b - to_end, 2 * second * step * (b - a) - to_end.square()
