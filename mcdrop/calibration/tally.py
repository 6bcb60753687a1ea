"""The scores of a likelihood at once, streamed over batches of rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mcdrop.calibration import class_losses, number_losses
from mcdrop.calibration.class_streams import OF_LABELS, PARTS_OF_BRIER, BinnedErrors, KeptClasses, KeptLabels
from mcdrop.calibration.log_density import StreamedLogDensity
from mcdrop.calibration.losses import group_counts
from mcdrop.calibration.number_streams import OF_LEVELS, CountedLevels, KeptOrder
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.score import Score
from mcdrop.calibration.streams import MeanLosses, Stream
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Likelihood, Prediction, RegressionLikelihood
from mcdrop.types import ArrayLike

_Streams = dict[str, Callable[[tuple[str, ...]], Stream]]

OF_CLASSES: _Streams = {
    **dict.fromkeys(class_losses.NAMES, MeanLosses),
    "expected_calibration_error": BinnedErrors,
    **dict.fromkeys(OF_LABELS, KeptLabels),
    **dict.fromkeys(PARTS_OF_BRIER, KeptClasses),
}
"""What streams each score of classes and events."""

OF_NUMBERS: _Streams = {
    **dict.fromkeys(number_losses.NAMES, MeanLosses),
    **dict.fromkeys(OF_LEVELS, CountedLevels),
    "sparsification_error": KeptOrder,
}
"""What streams each score of numbers."""

USUAL_OF_CLASSES = ("accuracy", "negative_log_likelihood", "brier_score")
USUAL_OF_NUMBERS = ("negative_log_likelihood", "rmse")


@dataclass(frozen=True, eq=False)
class Tally:
    """Scores of a likelihood, streamed over batches of rows; every batch must come from the same draws. Made by `of`.

    Args:
        likelihood: Of the predictions.
        names: Of the scores, in order.
        streams: What the batches so far left; scores that are made of the same share one.
        counts: Draws in each group; None before the first batch.
        kind: Of the predictions, without the shape of outputs; None before the first batch.
    """

    likelihood: Likelihood
    names: tuple[str, ...]
    streams: tuple[Stream, ...]
    counts: tuple[int, ...] | None = None
    kind: PredictiveKind | None = None

    @classmethod
    def of(cls, likelihood: Likelihood, scores: Sequence[str] | None = None) -> "Tally":
        """A tally of no rows yet.

        Args:
            likelihood: Of the predictions.
            scores: Names of functions of this package, which are taken with their default options. None is accuracy,
                negative_log_likelihood and brier_score for classes and events, negative_log_likelihood and rmse for
                numbers. Scores that are a mean over rows and expected_calibration_error, quantile_calibration_error and
                interval_calibration_error take no memory per row; smooth_calibration_error, aurc and auroc_of_error
                take 9 (1 + G) bytes for each label, G <= 16 the groups of draws; brier_miscalibration,
                brier_discrimination and brier_uncertainty, the parts of `brier_decomposition`, C times as many; and
                sparsification_error 16 (1 + G) for each row.

        Raises:
            InputError: If a score is unknown or not of this likelihood, or there is none.

        Example:
            >>> import torch
            >>> from mcdrop.prediction import Categorical, from_draws
            >>> tally = Tally.of(Categorical(), ["accuracy", "aurc"])
            >>> for batch in torch.eye(2).expand(4, 2, 2).split(1, dim=1):  # logits of 4 draws, a row at a time
            ...     tally = tally.update(from_draws(batch, Categorical()), torch.tensor([0]))
            >>> tally.scores()["accuracy"]
            Score(value=0.5, standard_error=0.5, mc_error=0.0)
        """
        known, usual = _known(likelihood)
        if isinstance(scores, str):
            raise InputError(f"scores={scores!r} given; expected a sequence of names, such as [{scores!r}].")
        names = usual if scores is None else tuple(dict.fromkeys(scores))
        unknown = [str(name) for name in names if name not in known]
        if unknown or not names:
            raise InputError(
                f"scores={list(names)} asked of {likelihood}, which has {', '.join(known) or 'no scores'}; "
                f"{'not among them: ' + ', '.join(unknown) if unknown else 'expected at least one'}."
            )
        makers = dict.fromkeys(known[name] for name in names)
        streams = tuple(make(tuple(name for name in names if known[name] is make)) for make in makers)
        return cls(likelihood, names, streams)

    @property
    def needs_samples(self) -> bool:
        """Whether predictions must hold their draws."""
        without = {"negative_log_likelihood", "rmse"}  # summed up draw by draw
        return isinstance(self.likelihood, RegressionLikelihood) and not without >= set(self.names)

    @property
    def needs_log_density(self) -> bool:
        """Whether predictions that do not hold their draws must come with a `StreamedLogDensity`."""
        return isinstance(self.likelihood, RegressionLikelihood) and "negative_log_likelihood" in self.names

    def update(
        self, prediction: Prediction, targets: ArrayLike, log_density: StreamedLogDensity | None = None
    ) -> "Tally":
        """The tally after one more batch of rows.

        Args:
            prediction: Of the batch.
            targets: Of its rows.
            log_density: Of these targets under the same draws, for a prediction of numbers that does not hold them.

        Raises:
            InputError: If likelihood, draws or recalibration are not those of the batches before, or the targets do
                not fit.
            UnavailableError: For numbers with neither samples nor what stands for them.
        """
        counts = group_counts(prediction)
        if prediction.likelihood != self.likelihood:
            raise InputError(f"A prediction of {prediction.likelihood} given to a tally of {self.likelihood}.")
        if self.counts is not None and counts != self.counts:
            raise InputError(
                f"A prediction with draws in groups of {counts} given after groups of {self.counts}: all batches of a "
                "data set must come from the same draws."
            )
        kind = replace(PredictiveKind.of(prediction), outputs=())  # images of batches may differ in size
        if self.kind is not None and kind != self.kind:
            before, now = vars(self.kind), vars(kind)
            off = [f"{name}={now[name]!r} after {before[name]!r}" for name in now if now[name] != before[name]]
            raise InputError(
                f"A prediction with {', '.join(off)} given: all batches of a data set must come from the same draws, "
                "read and recalibrated in the same way."
            )
        streams = tuple(each.update(prediction, targets, log_density) for each in self.streams)
        return replace(self, streams=streams, counts=counts, kind=kind)

    def scores(self) -> dict[str, Score]:
        """The scores of all rows so far, by name.

        Raises:
            InputError: If there were none, or one of the scores is not defined for them.
        """
        if self.counts is None:
            raise InputError("0 rows given, a score needs at least one.")
        found = {name: score for stream in self.streams for name, score in stream.scores().items()}
        return {name: found[name] for name in self.names}


def _known(likelihood: Likelihood) -> tuple[_Streams, tuple[str, ...]]:
    """The scores of a likelihood, and those that are usual."""
    if isinstance(likelihood, Categorical | Binary):
        return OF_CLASSES, USUAL_OF_CLASSES
    if isinstance(likelihood, RegressionLikelihood):
        return OF_NUMBERS, USUAL_OF_NUMBERS
    return {}, ()
