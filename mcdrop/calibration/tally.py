"""All scores of a likelihood at once, streamed over batches of rows."""

from dataclasses import dataclass, field, replace

from mcdrop.calibration.losses import group_counts, row_losses
from mcdrop.calibration.score import Score
from mcdrop.calibration.scores import from_spread
from mcdrop.errors import InputError
from mcdrop.prediction import Likelihood, Prediction, RegressionLikelihood
from mcdrop.prediction.spread import Spread, combine
from mcdrop.types import ArrayLike


@dataclass(frozen=True, eq=False)
class Tally:
    """All scores of a likelihood, streamed over batches of rows; every batch must come from the same draws.

    Args:
        likelihood: Decides which scores there are: accuracy, negative_log_likelihood and brier_score for classes and
            events, negative_log_likelihood and rmse for numbers.
        losses: Spread over rows of each score's loss: element 0 with all draws, the others without one group of them.
        counts: Draws in each group.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> tally = Tally(Categorical())
        >>> for batch in torch.eye(2).expand(4, 2, 2).split(1, dim=1):  # logits of 4 draws, a row at a time
        ...     tally = tally.update(from_draws(batch, Categorical()), torch.tensor([0]))
        >>> tally.scores()["accuracy"]
        Score(value=0.5, standard_error=0.5, mc_error=0.0)
    """

    likelihood: Likelihood
    losses: dict[str, Spread] = field(default_factory=dict)
    counts: tuple[int, ...] = ()

    @property
    def needs_samples(self) -> bool:
        """Whether predictions must hold their draws."""
        return isinstance(self.likelihood, RegressionLikelihood)

    def update(self, prediction: Prediction, targets: ArrayLike) -> "Tally":
        """The tally after one more batch of rows.

        Raises:
            InputError: If likelihood or draws are not those of the batches before, or the targets do not fit.
            UnavailableError: For numbers without samples.
        """
        counts = group_counts(prediction)
        if prediction.likelihood != self.likelihood:
            raise InputError(f"A prediction of {prediction.likelihood} given to a tally of {self.likelihood}.")
        if self.losses and counts != self.counts:
            raise InputError(
                f"A prediction with draws in groups of {counts} given after groups of {self.counts}: all batches of a "
                "data set must come from the same draws."
            )
        added = row_losses(self._names, prediction, targets)
        losses = {name: combine(self.losses.get(name), losses.spread) for name, losses in added.items()}
        return replace(self, losses=losses, counts=counts)

    def scores(self) -> dict[str, Score]:
        """The scores of all rows so far, by name.

        Raises:
            InputError: If there were none.
        """
        if not self.losses:
            raise InputError("0 rows given, a score needs at least one.")
        return {name: from_spread(name, losses, self.counts) for name, losses in self.losses.items()}

    @property
    def _names(self) -> tuple[str, ...]:
        if self.needs_samples:
            return ("negative_log_likelihood", "rmse")
        return ("accuracy", "negative_log_likelihood", "brier_score")
