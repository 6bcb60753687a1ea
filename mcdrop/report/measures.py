"""The scores of a report: what each is called, what it says to who has never heard of it, and how it is asked."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from mcdrop import calibration
from mcdrop.calibration import Score
from mcdrop.calibration.losses import Predicted
from mcdrop.errors import InputError, UnavailableError
from mcdrop.report.record import Number, Pair

SURE = 2.0
"""Errors that a difference must exceed to be called one."""


@dataclass(frozen=True)
class Measure:
    """A score.

    Args:
        name: As programs call it.
        label: The same for people.
        function: Of prediction and targets.
        source: How the function is called.
        meaning: One sentence for who has never heard of it.
        unit: "share", "nats", ""; "y" for the unit of the targets and "y²" for its square.
        better: "lower" or "higher"; "" where neither is.
        of_points: Whether it can be asked of an array of means.
    """

    name: str
    label: str
    function: Callable[[Predicted, Tensor], Score]
    source: str
    meaning: str
    unit: str = ""
    better: str = "lower"
    of_points: bool = False


OF_LABELS = (
    Measure(
        "accuracy",
        "Accuracy",
        calibration.accuracy,
        "mcdrop.calibration.accuracy",
        "The share of answers that are right.",
        "share",
        "higher",
    ),
    Measure(
        "negative_log_likelihood",
        "Negative log-likelihood (NLL)",
        calibration.negative_log_likelihood,
        "mcdrop.calibration.negative_log_likelihood",
        "How surprised the predictor is by the true answers, on average: minus the logarithm of the probability that "
        "it gave to each. 0 is perfect; to be sure and wrong costs most.",
        "nats",
    ),
    Measure(
        "brier_score",
        "Brier score",
        calibration.brier_score,
        "mcdrop.calibration.brier_score",
        "The squared distance of the probabilities from what happened, summed over the classes: 0 is perfect, 2 is to "
        "be sure and wrong each time.",
    ),
    Measure(
        "expected_calibration_error",
        "Expected calibration error (ECE)",
        calibration.expected_calibration_error,
        "mcdrop.calibration.expected_calibration_error",
        "How far claims are from facts: answers are sorted by how sure the predictor says it is into 15 bins, and in "
        "each the claim is compared with the share that is right. Even a perfect predictor gets a little above 0.",
        "share",
    ),
    Measure(
        "smooth_calibration_error",
        "Smooth calibration error",
        calibration.smooth_calibration_error,
        "mcdrop.calibration.smooth_calibration_error",
        "The same question without bins, whose number is arbitrary: a sliding average takes their place.",
        "share",
    ),
    Measure(
        "aurc",
        "Area under the risk-coverage curve (AURC)",
        calibration.aurc,
        "mcdrop.calibration.aurc",
        "The error rate among the surest answers, averaged over how many of them are kept: low if there are few errors "
        "and the uncertainty points at them.",
        "share",
    ),
    Measure(
        "auroc_of_error",
        "AUROC of finding errors",
        calibration.auroc_of_error,
        "mcdrop.calibration.auroc_of_error",
        "The chance that a wrong answer is marked as more uncertain than a right one: 50 % says that the uncertainty "
        "knows nothing of errors, 100 % that it finds each.",
        "share",
        "higher",
    ),
)

OF_NUMBERS = (
    Measure(
        "negative_log_likelihood",
        "Negative log-likelihood (NLL)",
        calibration.negative_log_likelihood,
        "mcdrop.calibration.negative_log_likelihood",
        "How surprised the predictor is by the true values, on average: minus the logarithm of the density that it "
        "gave to each. To be sure and wrong costs most; its zero means nothing, differences do.",
        "nats",
    ),
    Measure(
        "rmse",
        "Root mean squared error (RMSE)",
        calibration.rmse,
        "mcdrop.calibration.rmse",
        "How far predicted means are from the true values, large misses counting more; it does not look at the "
        "uncertainty.",
        "y",
        of_points=True,
    ),
    Measure(
        "crps",
        "Continuous ranked probability score (CRPS)",
        calibration.crps,
        "mcdrop.calibration.crps",
        "How far the whole predicted distribution is from the true value: the absolute error of a predictor that "
        "claims to be certain, less for one that spreads its bets well.",
        "y",
    ),
    Measure(
        "interval_score",
        "Interval score at 95 %",
        calibration.interval_score,
        "mcdrop.calibration.interval_score",
        "The width of the 95 % intervals, and a fine for each true value that lies outside, the further the more.",
        "y",
    ),
    Measure(
        "interval_coverage",
        "Coverage of 95 % intervals",
        calibration.interval_coverage,
        "mcdrop.calibration.interval_coverage",
        "The share of true values inside the intervals that should hold 95 % of them: less is to claim too much.",
        "share",
        "",
    ),
    Measure(
        "sharpness",
        "Sharpness",
        lambda prediction, targets: calibration.sharpness(prediction),
        "mcdrop.calibration.sharpness",
        "How uncertain the predictor says it is: the root of the mean predicted variance. For an honest predictor it "
        "equals the RMSE.",
        "y",
        "",
    ),
    Measure(
        "quantile_calibration_error",
        "Calibration error of quantiles",
        partial(calibration.quantile_calibration_error, absolute=True),
        "mcdrop.calibration.quantile_calibration_error(absolute=True)",
        "How far claims are from facts: a predicted 30 % quantile should have 30 % of the true values below it; this "
        "is the mean distance over 19 levels. Even a perfect predictor gets a little above 0.",
        "share",
    ),
)


@dataclass(frozen=True, eq=False)
class Scored:
    """A predictor and its scores.

    Args:
        name: Of the predictor.
        scores: By name; where one is not defined, why.
    """

    name: str
    scores: dict[str, Score | str]


def scored(name: str, measures: Sequence[Measure], predicted: Predicted, targets: Tensor) -> Scored:
    """A predictor with its scores.

    Args:
        name: Of the predictor.
        measures: The scores.
        predicted: What is scored.
        targets: Of its rows, which fit it.
    """
    return Scored(name, {measure.name: _asked(measure, predicted, targets) for measure in measures})


def measured(measure: Measure, predicted: Predicted, targets: Tensor, of: str, unit: str) -> Number:
    """One score as a number of the report; one that is not defined here says why.

    Args:
        measure: The score.
        predicted: What is scored.
        targets: Of its rows, which fit it.
        of: Name of the predictor.
        unit: Of the targets.
    """
    return number(measure, _asked(measure, predicted, targets), of, unit)


def number(measure: Measure, score: Score | str, of: str, unit: str) -> Number:
    """A score as a number of the report.

    Args:
        measure: The score.
        score: Its value, or why there is none.
        of: Name of the predictor.
        unit: Of the targets.
    """
    value, problem = (Score(math.nan, None, None), score) if isinstance(score, str) else (score, "")
    return Number.of_score(
        value,
        name=measure.name,
        label=measure.label,
        of=of,
        source=measure.source,
        unit=_unit(measure.unit, unit),
        meaning=measure.meaning,
        better=measure.better,
        problem=problem,
    )


def _asked(measure: Measure, predicted: Predicted, targets: Tensor) -> Score | str:
    try:
        return measure.function(predicted, targets)
    except (InputError, UnavailableError) as error:  # not defined for these rows, or needs draws that were not kept
        return str(error)


def _unit(of_measure: str, of_targets: str) -> str:
    """ "y" and "y²" in the unit of the targets; nothing if that is not known."""
    if of_measure not in ("y", "y²"):
        return of_measure
    if of_measure == "y" or not of_targets:
        return of_targets
    return f"{of_targets}²" if of_targets.isalpha() else f"({of_targets})²"


def compared(measures: Sequence[Measure], first: Scored, second: Scored, unit: str) -> tuple[Pair, ...]:
    """Two predictors of the same rows by each score that both have.

    Args:
        measures: The scores.
        first: The prediction that is reported on.
        second: The other.
        unit: Of the targets.
    """
    pairs = []
    for measure in measures:
        one, two = (predictor.scores[measure.name] for predictor in (first, second))
        if isinstance(one, str) or isinstance(two, str):
            continue
        known = one.influence is not None and two.influence is not None
        difference = one - two if known else Score(one.value - two.value, None, None)
        off = number(measure, difference, f"{first.name} less {second.name}", unit)
        if off.unit == "share":
            off = replace(off, unit="share difference")
        first_number, second_number = number(measure, one, first.name, unit), number(measure, two, second.name, unit)
        pairs.append(Pair(first_number, second_number, off, _says(measure, difference, first.name, second.name)))
    return tuple(pairs)


def total_error(score: Number | Score) -> float:
    """From rows and from draws together, the root of the sum of squares; NaN where that of the rows is not known.

    Example:
        >>> total_error(Score(1.0, 0.3, 0.4)), total_error(Score(1.0, None, 0.4))
        (0.5, nan)
    """
    return math.nan if score.standard_error is None else math.hypot(score.standard_error, score.mc_error or 0.0)


def beyond(value: float, error: float) -> bool:
    """Whether a difference is more than its error explains; not if the error is NaN.

    Example:
        >>> beyond(0.3, 0.1), beyond(-0.3, 0.2)
        (True, False)
    """
    return abs(value) > SURE * error and value != 0


def _says(measure: Measure, difference: Score, first: str, second: str) -> str:
    if difference.value == 0:
        return "the same"
    if math.isnan(difference.value):
        return "both are infinite"
    if math.isfinite(difference.value) and not beyond(difference.value, total_error(difference)):
        return "no difference beyond the errors"
    if not measure.better:
        return f"higher with {first if difference.value > 0 else second}"
    return f"better with {first if (difference.value > 0) == (measure.better == 'higher') else second}"
