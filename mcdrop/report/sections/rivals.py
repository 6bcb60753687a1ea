"""The prediction beside another of the same rows: the single network, another predictor, itself after recalibration."""

import math
from functools import partial

from mcdrop.calibration import corp_reliability
from mcdrop.calibration.losses import Predicted
from mcdrop.plots import comparison
from mcdrop.prediction import Prediction
from mcdrop.report.measures import compared, scored, total_error
from mcdrop.report.record import Number, Pair, Picture, Section
from mcdrop.report.sections.reliability import corp_picture
from mcdrop.report.subject import Subject
from mcdrop.report.wording import ROUNDING, drawable

PAIRED = (
    "Both predictors answered the same rows, and rows that are hard for one are hard for the other. So the difference "
    "is taken row by row, and its error is smaller than those of the two scores: look at the differences, not at "
    "whether the two values overlap. A difference of less than two of its errors may be chance."
)
SINGLE = "the single network"
_LONG = 25


def weight_scaled(subject: Subject) -> Section:
    """The ensemble of sub-networks against the single network with scaled weights."""
    title = "Does averaging over sub-networks help?"
    lead = (
        "The usual way to use a network with dropout is to switch the dropout off: one pass through one network, whose "
        "weights stand for the average of all sub-networks. It is compared here with the average over the draws.",
        PAIRED,
    )
    if subject.weight_scaled is None:
        return Section(
            "weight_scaled",
            title,
            (),
            absent="No outputs of the single network were given: weight_scaled= takes its probabilities or prediction.",
        )
    return _section("weight_scaled", title, lead, subject, (SINGLE, subject.weight_scaled))


def other(subject: Subject) -> Section:
    """The prediction against another predictor."""
    title = "How does it compare with another predictor?"
    if subject.other is None:
        return Section(
            "other",
            title,
            (),
            absent="No second predictor was given: other= takes its prediction of the same rows, names= what the two "
            "are called.",
        )
    return _section("other", title, (PAIRED,), subject, subject.other)


def recalibrated(subject: Subject) -> Section:
    """The prediction before and after recalibration."""
    title = "What does recalibration change?"
    lead = (
        "Recalibration fits one number or one curve on rows that were held out, so that claims become what happens, "
        "and applies it to the predictions here.",
        PAIRED,
    )
    if subject.recalibrated is None:
        return Section(
            "recalibrated",
            title,
            (),
            absent="No recalibrated prediction was given: recalibrated= takes what a recalibrator, such as "
            "mcdrop.calibration.Temperature fitted on other rows, makes of this prediction.",
        )
    rival = ("the recalibrated one", subject.recalibrated)
    return _section("recalibrated", title, lead, subject, rival, diagram=subject.is_of_labels)


def _section(
    name: str, title: str, lead: tuple[str, ...], subject: Subject, rival: tuple[str, Predicted], diagram: bool = False
) -> Section:
    of, predicted = rival
    measures = subject.measures
    if not subject.is_of_labels and not isinstance(predicted, Prediction):
        measures = tuple(measure for measure in measures if measure.of_points)
    pairs = compared(measures, subject.scored, scored(of, measures, predicted, subject.targets), subject.unit)
    pictures = _pictures(name, pairs)
    if diagram:
        corp = corp_reliability(predicted, subject.targets)
        pictures = (*pictures, corp_picture(corp, f"{name}_reliability", of))
    return Section(name, title, lead, pairs=pairs, pictures=pictures)


def _pictures(name: str, pairs: tuple[Pair, ...]) -> tuple[Picture, ...]:
    shown = [pair for pair in pairs if math.isfinite(pair.difference.value)]
    if not shown:
        return ()
    first, second = shown[0].first.of, shown[0].second.of
    labels = [drawable(_with_unit(pair.first)) for pair in shown]
    one, two, off = ([_on_page(getattr(pair, part)) for pair in shown] for part in ("first", "second", "difference"))
    said = "; ".join(f"{pair.first.label}: {pair.difference.texts[0]}, {pair.says}" for pair in shown)
    (values_one, errors_one), (values_two, errors_two), (values_off, errors_off) = (
        tuple(zip(*part, strict=True)) for part in (one, two, off)
    )
    names = (drawable(first, most=24), drawable(second, most=24))
    scores = partial(
        comparison.scores_side_by_side, labels, values_one, values_two, errors_one, errors_two, labels=names
    )
    return (
        Picture(
            name=f"{name}_scores",
            draw=scores,
            height=_height(shown),
            caption="The scores of the two, with two errors each. Every row has a scale of its own.",
            alternative=f"Scores of {first} and of {second}, the numbers of the table.",
            source="the functions named in the table",
            series={f"1: {first}": values_one, f"2: {second}": values_two},
        ),
        Picture(
            name=f"{name}_differences",
            draw=partial(comparison.differences, labels, values_off, errors_off),
            height=_height(shown),
            caption=f"{first} less {second}, with two paired errors. A bar that crosses the line may be chance.",
            alternative=f"Differences, {first} less {second}. {said}.",
            source="mcdrop.calibration.Score: differences of the scores in the table",
            series={"difference": values_off, "total error": errors_off},
        ),
    )


def _height(pairs: list[Pair]) -> float:
    return 0.8 + 0.58 * len(pairs)


def _on_page(number: Number) -> tuple[float, float]:
    """Value and total error, shares in per cent; an error that is rounding alone is 0."""
    scale = 100.0 if number.unit.startswith("share") else 1.0
    value, error = scale * number.value, scale * total_error(number)
    return value, 0.0 if error < ROUNDING * abs(value) else error


def _with_unit(number: Number) -> str:
    """The label, or its abbreviation if it is long, with the unit."""
    unit = "%" if number.unit == "share" else number.unit
    label, _, short = number.label.partition(" (")
    if short and len(label) > _LONG:
        label = short.removesuffix(")")
    return f"{label} ({unit})" if unit else label
