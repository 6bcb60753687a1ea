"""What the draws say about classes: probabilities and entropies.

Entropies are in nats. `predictive_entropy` and `mutual_information` are the plug-in values that the field reports, low
by about `entropy_bias` on average.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.prediction import uncertainty
from mcdrop.prediction.result import Prediction
from mcdrop.prediction.targets import class_labels, events
from mcdrop.types import ArrayLike


class _ClassPrediction(Prediction):
    """What predictions of one class and of events have in common; `*out` is the shape of the output of one row."""

    quantities: ClassVar[tuple[str, ...]] = (
        "probs",
        "labels",
        "confidence",
        "predictive_entropy",
        "expected_entropy",
        "mutual_information",
        "entropy_bias",
        "epistemic",
        "aleatoric",
        "variance",
        "mc_error",
    )
    shown: ClassVar[tuple[str, ...]] = ("confidence", "predictive_entropy", "mutual_information", "mc_error")

    @property
    def probs(self) -> Float[Tensor, " N *out"]:
        """`1/T sum_t p_t`: unbiased."""
        return self.moments["probs"].mean

    @property
    def epistemic(self) -> Float[Tensor, " N *out"]:
        """Variance of `p_t` over the draws, unbiased (see `Moments.variance`)."""
        return self.moments["probs"].variance

    @property
    def aleatoric(self) -> Float[Tensor, " N *out"]:
        """`1/T sum_t p_t (1 - p_t)`, the expected variance of the event: unbiased."""
        mean = self.probs
        if self.num_samples == 1:
            return mean * (1 - mean)
        # the same as m (1 - m) - 1/T sum_t (p_t - m)^2; rounding can take it below the bound, 0
        return (mean * (1 - mean) - self.moments["probs"].mean_square_deviation).clamp(min=0)

    @property
    def variance(self) -> Float[Tensor, " N *out"]:
        """`epistemic + aleatoric`: unbiased for the variance of the event's indicator.

        It equals `m (1 - m) + mc_error^2` with `m = probs`, so it differs from the variance p (1 - p) of the mean
        probability by mc_error^2.
        """
        return self.epistemic + self.aleatoric

    @property
    def mc_error(self) -> Float[Tensor, " N *out"] | None:
        """Monte Carlo standard error of `probs`."""
        return None if self.provenance.members else self.moments["probs"].mc_error

    @property
    def expected_entropy(self) -> Float[Tensor, " N *_"]:
        """`1/T sum_t H[p_t]` in nats: unbiased."""
        if "entropy" not in self.moments:
            raise UnavailableError(
                "expected_entropy needs the probabilities of each draw, and this prediction was recalibrated after "
                "they were averaged: ask the prediction before, or recalibrate inside the average."
            )
        return self.moments["entropy"].mean


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CategoricalPrediction(_ClassPrediction):
    """What T draws say about one of C classes. Shapes are for outputs (N, C); results keep the model's layout.

    Args:
        class_dim: The class axis of `probs`, from 1.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> prediction = from_draws(torch.tensor([[[0.0, 9.0]], [[9.0, 0.0]]]), Categorical())  # two draws, one row
        >>> prediction.probs, prediction.mutual_information
        (tensor([[0.5000, 0.5000]], dtype=torch.float64), tensor([0.6919], dtype=torch.float64))
    """

    class_dim: int = 1

    @property
    def predictive_entropy(self) -> Float[Tensor, " N *_"]:
        """`H[probs]` in nats, total uncertainty (N,): the plug-in value, low by about `entropy_bias`."""
        return uncertainty.entropy(self.probs, dim=self.class_dim)

    @property
    def mutual_information(self) -> Float[Tensor, " N *_"]:
        """`predictive_entropy - expected_entropy` in nats, epistemic uncertainty (N,): low by about `entropy_bias`."""
        return uncertainty.mutual_information(self.predictive_entropy, self.expected_entropy)

    @property
    def entropy_bias(self) -> Float[Tensor, " N *_"]:
        """`1/2 sum_c mc_error_c^2 / p_c` in nats (N,): add it to correct the two above."""
        if self.mc_error is None:
            return torch.zeros_like(self.predictive_entropy)
        return uncertainty.entropy_bias(self.probs, self.mc_error, dim=self.class_dim)

    @property
    def labels(self) -> Int[Tensor, " N *_"]:
        """The most probable class (N,)."""
        return self.probs.argmax(dim=self.class_dim)

    @property
    def confidence(self) -> Float[Tensor, " N *_"]:
        """Its probability (N,)."""
        return self.probs.amax(dim=self.class_dim)

    def log_prob(self, targets: ArrayLike) -> Float[Tensor, " N *_"]:
        """`log probs` of the target class in nats (N,), the log of the mixture.

        Args:
            targets: Integer labels (N,), 0 to C-1.

        Raises:
            InputError: If dtype, shape or range do not fit.
        """
        shape = self.probs.select(self.class_dim, 0).shape
        labels = class_labels(targets, shape, self.probs.shape[self.class_dim], self.probs)
        return self.probs.gather(self.class_dim, labels.unsqueeze(self.class_dim)).squeeze(self.class_dim).log()


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BinaryPrediction(_ClassPrediction):
    """What T draws say about events; `probs` is the probability of 1 and every result has the shape of the output.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Binary, from_draws
        >>> prediction = from_draws(torch.tensor([[9.0], [-9.0]]), Binary())  # two draws, one row
        >>> prediction.probs, prediction.mutual_information
        (tensor([0.5000], dtype=torch.float64), tensor([0.6919], dtype=torch.float64))
    """

    @property
    def predictive_entropy(self) -> Float[Tensor, " N *out"]:
        """`H[probs]` of both outcomes in nats, total uncertainty: the plug-in value, low by about `entropy_bias`."""
        return uncertainty.entropy(self._both)

    @property
    def mutual_information(self) -> Float[Tensor, " N *out"]:
        """`predictive_entropy - expected_entropy` in nats, epistemic uncertainty: low by about `entropy_bias`."""
        return uncertainty.mutual_information(self.predictive_entropy, self.expected_entropy)

    @property
    def entropy_bias(self) -> Float[Tensor, " N *out"]:
        """`1/2 mc_error^2 (1/p + 1/(1-p))` in nats: add it to correct the two above."""
        if self.mc_error is None:
            return torch.zeros_like(self.predictive_entropy)
        return uncertainty.entropy_bias(self._both, self.mc_error.unsqueeze(-1).expand_as(self._both))

    @property
    def labels(self) -> Int[Tensor, " N *out"]:
        """1 where `probs` exceeds one half, else 0."""
        return (self.probs > 0.5).long()

    @property
    def confidence(self) -> Float[Tensor, " N *out"]:
        """The probability of the label."""
        return self._both.amax(dim=-1)

    def log_prob(self, targets: ArrayLike) -> Float[Tensor, " N *out"]:
        """`log probs` where the target is 1, `log(1 - probs)` where it is 0, in nats: the log of the mixture.

        Args:
            targets: 0 or 1, in the shape of the output; (N,) and (N, 1) stand for each other.

        Raises:
            InputError: If shape or values do not fit.
        """
        labels = events(targets, self.probs.shape, self.probs).long()
        return self._both.gather(-1, labels.unsqueeze(-1)).squeeze(-1).log()

    @property
    def _both(self) -> Float[Tensor, " N *out 2"]:
        """Probabilities of 0 and of 1."""
        return torch.stack([self.moments["complement"].mean, self.probs], dim=-1)
