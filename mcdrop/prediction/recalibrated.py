"""Numbers whose predictive law was changed after the draws were mixed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.prediction.laws import Law
from mcdrop.prediction.likelihood import RegressionLikelihood
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.regression import RegressionPrediction, check_coverage
from mcdrop.prediction.result import Prediction
from mcdrop.prediction.summary import from_draws
from mcdrop.prediction.targets import numbers
from mcdrop.tree import map_tensors
from mcdrop.types import ArrayLike


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RecalibratedPrediction(Prediction):
    """What T draws say about numbers once their mixture was changed, element by element in the shape of the mean.

    Moments and samples are those of the draws as they were; everything that is asked goes through `laws`.

    Args:
        aleatoric_before: Variance of the noise before, averaged over the draws, in the output's unit squared.
        laws: The changes, in order.

    Example:
        >>> from mcdrop.prediction import Gaussian
        >>> from mcdrop.prediction.laws import Stretch
        >>> drawn = from_draws(torch.tensor([[1.0], [3.0]]), Gaussian(precision=4.0))  # two draws, one row
        >>> wider = recalibrated(drawn, (Stretch((2.0,)),), drawn.provenance)
        >>> [round(bound.item(), 2) for bound in (*drawn.interval(0.95), *wider.interval(0.95))]
        [0.18, 3.82, -1.64, 5.64]
    """

    likelihood: RegressionLikelihood
    aleatoric_before: Float[Tensor, " N *out"]
    laws: tuple[Law, ...]

    row_fields: ClassVar[tuple[str, ...]] = ("moments", "aleatoric_before")
    quantities: ClassVar[tuple[str, ...]] = ("mean", "epistemic", "aleatoric", "variance", "std", "mc_error")

    @property
    def mean(self) -> Float[Tensor, " N *out"]:
        """The mean of the changed law in the output's unit."""
        return self.laws[-1].mean(self.before)

    @property
    def variance(self) -> Float[Tensor, " N *out"]:
        """The variance of the changed law, unit squared."""
        return self.laws[-1].variance(self.before)

    @property
    def std(self) -> Float[Tensor, " N *out"]:
        """`sqrt(variance)`, in the output's unit."""
        return self.variance.sqrt()

    @property
    def epistemic(self) -> Float[Tensor, " N *out"]:
        """The part of the variance that comes from the spread of the draws, unit squared.

        Raises:
            UnavailableError: The law was changed by its cumulative distribution, which knows no parts.
        """
        return self.laws[-1].part("epistemic", self.before)

    @property
    def aleatoric(self) -> Float[Tensor, " N *out"]:
        """The part of the variance that comes from the noise, unit squared; raises as `epistemic`."""
        return self.laws[-1].part("aleatoric", self.before)

    @property
    def mc_error(self) -> Float[Tensor, " N *out"] | None:
        """Monte Carlo standard error of `mean`, in the output's unit; raises as `epistemic`."""
        return None if self.provenance.members else self.laws[-1].part("mc_error", self.before)

    @property
    def before(self) -> "Numbers":
        """The prediction before the last change."""
        if len(self.laws) > 1:
            return replace(self, laws=self.laws[:-1])
        return RegressionPrediction(
            likelihood=self.likelihood,
            provenance=self.provenance,
            moments=self.moments,
            samples=self.samples,
            aleatoric=self.aleatoric_before,
        )

    def log_prob(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`log p(y)` of each element under the changed law, in nats.

        Raises:
            UnavailableError: Without samples, or where the law has no density to speak of.
            InputError: If shape or values do not fit.
        """
        return self.laws[-1].log_prob(self.before, self._numbers(targets))

    def cdf(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`P(Y <= y)` of each element.

        Raises:
            UnavailableError: Without samples.
            InputError: If shape or values do not fit.
        """
        return self.laws[-1].cdf(self.before, self._numbers(targets))

    def quantile(self, q: float) -> Float[Tensor, " N *out"]:
        """The y with `P(Y <= y) = q`, in the output's unit, without gradient.

        Raises:
            UnavailableError: Without samples.
            InputError: If q is not between 0 and 1.
        """
        return self.laws[-1].quantile(self.before, q)

    def interval(self, coverage: float) -> tuple[Float[Tensor, " N *out"], Float[Tensor, " N *out"]]:
        """The central interval: the quantiles at `(1 - coverage)/2` and `(1 + coverage)/2`.

        Returns:
            Lower and upper bound, in the output's unit.

        Raises:
            UnavailableError: Without samples.
            InputError: If coverage is not between 0 and 1.
        """
        check_coverage(coverage)
        return self.quantile((1 - coverage) / 2), self.quantile((1 + coverage) / 2)

    def _numbers(self, targets: ArrayLike) -> Tensor:
        drawn = self.moments["mean"].mean
        return numbers(targets, drawn.shape, drawn)


Numbers: TypeAlias = RegressionPrediction | RecalibratedPrediction
"""A prediction of numbers."""


def recalibrated(before: Numbers, laws: tuple[Law, ...], provenance: Provenance) -> RecalibratedPrediction:
    """The prediction whose law is changed further.

    Args:
        before: The prediction as it is.
        laws: The changes, in order.
        provenance: Of the result.
    """
    if isinstance(before, RecalibratedPrediction):
        return replace(before, laws=(*before.laws, *laws), provenance=provenance)
    return RecalibratedPrediction(
        likelihood=before.likelihood,
        provenance=provenance,
        moments=before.moments,
        samples=before.samples,
        aleatoric_before=before.aleatoric,
        laws=laws,
    )


def without_groups(prediction: RecalibratedPrediction) -> Iterator[RecalibratedPrediction]:
    """The predictions without each group of draws, their mixtures changed by the same laws; none for a single group.

    Raises:
        UnavailableError: Without samples.
    """
    samples = prediction._kept_samples("leaving out a group of draws")
    counts = prediction.moments["mean"].groups.counts
    numbers_of_draws = torch.arange(prediction.num_samples).split(list(counts))
    for group in numbers_of_draws if len(counts) > 1 else ():
        kept = torch.ones(prediction.num_samples, dtype=torch.bool).index_fill(0, group, False)
        others = map_tensors(partial(_draws, kept), samples)
        provenance = replace(prediction.provenance, num_samples=int(kept.sum()))
        rest = from_draws(
            others, prediction.likelihood, block_size=provenance.block_size, keep_samples=True, provenance=provenance
        )
        assert isinstance(rest, RegressionPrediction)  # what a RegressionLikelihood makes
        yield recalibrated(rest, prediction.laws, provenance)


def _draws(kept: Tensor, samples: Tensor) -> Tensor:
    return samples[kept.to(samples.device)]
