"""Whether claimed probabilities are what happens: reliability diagrams and the gap between confidence and accuracy."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from mcdrop.calibration import (
    BinnedReliability,
    CorpReliability,
    binned_reliability,
    corp_reliability,
    expected_calibration_error,
)
from mcdrop.plots import reliability
from mcdrop.report.measures import Measure, measured
from mcdrop.report.record import Number, Picture, Section
from mcdrop.report.series import evenly, floats
from mcdrop.report.subject import Subject
from mcdrop.report.wording import percent

LEAD = (
    "A predictor that says 80 % should be right in 80 % of such cases: then its probabilities can be taken at their "
    "word. The diagrams set what is claimed (across) against what happens (up). On the diagonal the two agree; below "
    "it the predictor is too sure of itself, above it too modest.",
)
POINTS = 200
"""Of a curve on the page: more would not be seen."""

GAP = Measure(
    "confidence_gap",
    "Confidence against accuracy",
    partial(expected_calibration_error, num_bins=1),
    "mcdrop.calibration.expected_calibration_error(num_bins=1)",
    "How far the mean confidence, the probability given to the answer, is from the share of answers that are right: "
    "the calibration error with a single bin.",
    "share",
)


def section(subject: Subject) -> Section:
    """The reliability of the answers' probabilities."""
    title = "Are the probabilities what they say?"
    if not subject.is_of_labels:
        return Section("reliability", title, (), absent=_OF_LABELS_ONLY)
    prediction, targets = subject.prediction, subject.targets
    corp = corp_reliability(prediction, targets)
    pictures = (corp_picture(corp, "reliability_corp", subject.name), _bins(binned_reliability(prediction, targets)))
    return Section("reliability", title, LEAD, numbers=_numbers(subject, corp), pictures=pictures)


_OF_LABELS_ONLY = (
    "The prediction is of numbers, whose reliability is that of intervals and quantiles: see the section on promised "
    "and observed coverage. A prediction of classes or events would fill this one."
)


def corp_picture(corp: CorpReliability, name: str, of: str) -> Picture:
    """The CORP diagram of one predictor, thinned to what can be seen.

    Args:
        corp: The diagram.
        name: Of the picture.
        of: Name of the predictor.
    """
    shown = evenly(len(corp.forecast), POINTS)
    thin = replace(corp, **{part: getattr(corp, part)[shown] for part in ("forecast", "frequency", "lower", "upper")})
    outside = float(((corp.frequency < corp.lower) | (corp.frequency > corp.upper)).double().mean())
    return Picture(
        name=name,
        draw=partial(reliability.reliability_curve, thin),
        caption=(
            f"{of}: accuracy against confidence without bins, by isotonic regression (CORP): the rising curve that "
            f"fits best what happened. The band is where the curves of predictors that are calibrated lie, "
            f"{percent(corp.level)} of them at each point."
        ),
        alternative=(
            f"Reliability curve of {of}. {_points(thin.forecast, thin.frequency)} At {percent(outside)} of the "
            f"forecasts the curve lies outside the band, where {percent(1 - corp.level)} would by chance."
        ),
        source="mcdrop.calibration.corp_reliability",
        series={
            "claimed": floats(thin.forecast),
            "observed": floats(thin.frequency),
            "band from": floats(thin.lower),
            "band to": floats(thin.upper),
        },
    )


def _bins(binned: BinnedReliability) -> Picture:
    full = binned.counts > 0
    return Picture(
        name="reliability_bins",
        draw=partial(reliability.reliability_bars, binned),
        caption=(
            "The same in 15 bins of confidence, as most papers show it. Bars are as high as the share of right "
            "answers; whiskers are two standard errors. Above is the number of answers in each: bins with few say "
            "little."
        ),
        alternative=f"Accuracy in bins of confidence. {_points(binned.forecast[full], binned.frequency[full])}",
        source="mcdrop.calibration.binned_reliability",
        series={
            "claimed": floats(binned.forecast[full]),
            "observed": floats(binned.frequency[full]),
            "standard error": floats(binned.standard_error[full]),
            "answers": floats(binned.counts[full]),
        },
    )


def _numbers(subject: Subject, corp: CorpReliability) -> tuple[Number, ...]:
    gap = measured(GAP, subject.prediction, subject.targets, subject.name, subject.unit)
    confidence = Number(
        name="mean_confidence",
        label="Mean confidence",
        of=subject.name,
        value=float(subject.answers.confidence.mean()),
        unit="share",
        source=f"mcdrop.prediction.{type(subject.answers).__name__}.confidence, averaged",
        meaning="How often the predictor expects to be right.",
    )
    return (confidence, gap, *(_of_brier(corp, subject.name, *part) for part in _PARTS))


def _of_brier(corp: CorpReliability, of: str, name: str, better: str, meaning: str) -> Number:
    return Number.of_score(
        getattr(corp.brier, name),
        name=name,
        label=name.capitalize(),
        of=of,
        source=f"mcdrop.calibration.corp_reliability, brier.{name}",
        meaning=meaning,
        better=better,
    )


_PARTS = (
    (
        "miscalibration",
        "lower",
        "What the squared error of the confidence would lose if each claim were replaced by what happens after it: the "
        "price of claims that are not what they say.",
    ),
    (
        "discrimination",
        "higher",
        "What the squared error gains because the confidence tells likely from unlikely answers: the worth of knowing.",
    ),
)


def _points(claimed: Tensor, observed: Tensor) -> str:
    picked = torch.linspace(0, len(claimed) - 1, min(5, len(claimed))).round().long().unique()
    said = [f"{percent(float(claimed[i]))} claimed, {percent(float(observed[i]))} observed" for i in picked.tolist()]
    return f"From left to right: {'; '.join(said)}."
