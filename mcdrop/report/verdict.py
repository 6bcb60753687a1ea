"""The report in a few sentences: each answer is chosen by its numbers, and holds them."""

import math
from collections.abc import Iterator

from mcdrop.prediction import Poisson
from mcdrop.report.measures import beyond, total_error
from mcdrop.report.record import Number, Pair, Section, Sentence
from mcdrop.report.subject import Subject
from mcdrop.report.wording import percent, with_errors

_SMALL = 0.5
"""Of the error of the rows: a Monte Carlo error below this share of it adds little to it."""

_NOMINAL = 0.95

_SLIGHT = 0.01
"""A gap between confidence and accuracy that is called none, however sure."""


def sentences(subject: Subject, sections: tuple[Section, ...]) -> tuple[Sentence, ...]:
    """The verdict.

    Args:
        subject: What the report is about.
        sections: Of the report, which hold all numbers.
    """
    by_name = {section.name: section for section in sections}
    answers = _of_labels(by_name) if subject.is_of_labels else _of_numbers(subject, by_name)
    found = [*answers, *_draws(subject, by_name["scores"]), *_rivals(by_name)]
    return tuple(found)


def _of_labels(sections: dict[str, Section]) -> Iterator[Sentence]:
    accuracy = sections["scores"].number("accuracy")
    if accuracy is not None:
        yield Sentence("How often is it right?", _frequency(accuracy.value, _said(accuracy)), accuracy.source)
        yield from _honesty(accuracy, sections)
    yield _finding(sections)


def _frequency(share: float, said: str) -> str:
    if share in (0.0, 1.0):
        which = "All of its answers here are" if share else "None of its answers here is"
        return f"{which} right; more rows are needed to tell how many are."
    return f"In {said} of its answers."


def _honesty(accuracy: Number, sections: dict[str, Section]) -> Iterator[Sentence]:
    """Whether the mean confidence is the accuracy, and how far claims are off over the whole range."""
    confidence, gap = (sections["reliability"].number(name) for name in ("mean_confidence", "confidence_gap"))
    smooth = sections["scores"].number("smooth_calibration_error")
    if confidence is None or gap is None or smooth is None:
        return
    facts = (
        f"It expects to be right in {confidence.texts[0]} of the cases and is in {accuracy.texts[0]}, a gap of "
        f"{_points(gap)}"
    )
    too_sure = confidence.value > accuracy.value
    if gap.value < _SLIGHT:
        answer = f"On average yes. {facts}."
    elif beyond(gap.value, total_error(gap)):
        answer = f"Not quite: it is too {'sure of itself' if too_sure else 'modest'}. {facts}."
    else:
        answer = f"On average yes, as far as these rows can tell. {facts}, which may be chance."
    answer += f" Claim by claim, small and large ones, it is off by {_points(smooth)} (smooth calibration error)."
    yield Sentence(
        "Can its probabilities be taken at their word?",
        answer,
        "; ".join((confidence.source, gap.source, smooth.source)),
    )


def _finding(sections: dict[str, Section]) -> Sentence:
    """Whether the uncertainty finds errors."""
    question = "Does the uncertainty find the errors?"
    area = next((n for n in sections["uncertainty"].numbers if n.name == "auroc_by_predictive_entropy"), None)
    if area is None or area.problem:
        return Sentence(question, f"That cannot be said. {area.problem if area else ''}".strip(), _AUROC)
    kept = {name: sections["selective"].number(f"error_rate_at_{name}") for name in ("80", "100")}
    chance = f"a wrong answer is more uncertain than a right one in {_said(area)} of all pairs"
    if not beyond(area.value - 0.5, total_error(area)):
        return Sentence(question, f"Not measurably: {chance}, and 50 % is blind chance.", area.source)
    if area.value < 0.5:
        return Sentence(question, f"No, the other way round: {chance}, and 50 % is blind chance.", area.source)
    answer, source = f"Yes: {chance}.", area.source
    if kept["80"] is not None and kept["100"] is not None:
        answer += (
            f" Of all answers {kept['100'].texts[0]} are wrong; of the surest four in five {kept['80'].texts[0]} are."
        )
        source = f"{source}; {kept['80'].source}"
    return Sentence(question, answer, source)


_AUROC = "mcdrop.calibration.auroc_of_error"


def _of_numbers(subject: Subject, sections: dict[str, Section]) -> Iterator[Sentence]:
    scores = sections["scores"]
    off, spread, held = (scores.number(name) for name in ("rmse", "sharpness", "interval_coverage"))
    if off is not None:
        yield Sentence("How far off are its answers?", f"By {_said(off)} (root mean squared error).", off.source)
    if held is not None:
        yield Sentence(*_promise(held, subject), held.source)
    if off is not None and spread is not None:
        gap, error = off.value - spread.value, math.hypot(total_error(off), total_error(spread))
        word = "about the same" if not beyond(gap, error) else "larger ones" if gap > 0 else "smaller ones"
        answer = (
            f"It expects errors of {spread.texts[0]} and makes {word}: {off.texts[0]} (both are root mean squares)."
        )
        yield Sentence("Does it know how far off it is?", answer, f"{spread.source}; {off.source}")
    yield from _ordering(sections["uncertainty"])


def _promise(held: Number, subject: Subject) -> tuple[str, str]:
    question = "Do its intervals hold what they promise?"
    facts = f"the intervals that should hold {percent(_NOMINAL)} of the true values hold {_said(held)}"
    # of a predictor that keeps its promise: where all values are inside, their own error is 0
    expected = math.sqrt(_NOMINAL * (1 - _NOMINAL) / len(subject.prediction))
    error = math.hypot(max(expected, held.standard_error or 0.0), held.mc_error or 0.0)
    if not beyond(held.value - _NOMINAL, error):
        return question, f"Yes, as far as these rows can tell: {facts}."
    if held.value < _NOMINAL:
        return question, f"No, they are too narrow: {facts}."
    if isinstance(subject.prediction.likelihood, Poisson):
        return question, f"They hold more, as intervals of whole numbers do: {facts}."
    return question, f"They hold more than they promise and could be narrower: {facts}."


def _ordering(section: Section) -> Iterator[Sentence]:
    """The errors of the least and of the most certain rows."""
    question = "Are errors larger where it is less certain?"
    most, least = (section.number(f"rmse_of_{which}_certain") for which in ("most", "least"))
    if most is None or least is None:
        if not section.absent:
            answer = "That cannot be said: it claims the same uncertainty for each row."
            yield Sentence(question, answer, section.pictures[0].source)
        return
    gap, error = least.value - most.value, math.hypot(total_error(least), total_error(most))
    word = "Not measurably" if not beyond(gap, error) else "Yes" if gap > 0 else "No, the other way round"
    answer = f"{word}: where it is least certain its errors are {_said(least)}, where it is most certain {_said(most)}."
    yield Sentence(question, answer, f"{least.source}; {most.source}")


def _draws(subject: Subject, scores: Section) -> Iterator[Sentence]:
    loss = scores.number("negative_log_likelihood") or scores.number("rmse")
    if loss is None or loss.mc_error is None or not loss.standard_error:
        return
    draws, ratio = subject.prediction.num_samples, loss.mc_error / loss.standard_error
    facts = (
        f"with T = {draws} the Monte Carlo error of the {_in_text(loss)} is {loss.texts[2]}, that of the rows "
        f"{loss.texts[1]}"
    )
    if ratio <= _SMALL:
        answer = f"Yes: {facts}. More draws would change little."
    else:
        more = round(draws * (ratio / _SMALL) ** 2)
        answer = f"Not quite: {facts}. About {more} draws would bring the first below half of the second."
    yield Sentence("Were there draws enough?", answer, loss.source)


def _rivals(sections: dict[str, Section]) -> Iterator[Sentence]:
    for name, (first_wins, second_wins) in _WINNERS.items():
        section = sections[name]
        told = [pair for pair in section.pairs if pair.first.name in _TOLD or pair.says.startswith("better")]
        if told:
            first, second = told[0].first.of, told[0].second.of
            better = {pair.says for pair in told if pair.says.startswith("better")}
            if len(better) > 1:
                answer = "It depends on what is asked."
            elif better:
                wins = first_wins if better.pop().endswith(f" {first}") else second_wins
                answer = wins.format(first=first, second=second)
            else:
                answer = "There is no difference beyond the errors."
            sources = "; ".join(pair.first.source for pair in told)
            yield Sentence(section.title, answer, sources, tuple(map(_compared, told)))


_TOLD = ("negative_log_likelihood", "accuracy", "rmse", "smooth_calibration_error", "quantile_calibration_error")
"""Scores that are always told; others are where they differ."""

_WINNERS = {
    "weight_scaled": ("Yes, as far as these rows can tell.", "No, the single network is better."),
    "other": (
        "{first} is better, as far as these rows can tell.",
        "{second} is better, as far as these rows can tell.",
    ),
    "recalibrated": ("It makes matters worse.", "It helps."),
}
"""What is said where one of the two is better by some scores and the other by none."""


def _compared(pair: Pair) -> str:
    label, off = _in_text(pair.first), pair.difference
    first, second = pair.first, pair.second
    if pair.says == "the same":
        return f"{label[0].upper()}{label[1:]}: {first.texts[0]}, the same for both."
    return (
        f"{label[0].upper()}{label[1:]}: {first.texts[0]} for {first.of}, {second.texts[0]} for {second.of}, "
        f"{pair.says} (difference {_said(off)})."
    )


def _in_text(number: Number) -> str:
    """The label within a sentence, without the abbreviation in brackets."""
    label = number.label.split(" (")[0]
    return label[0].lower() + label[1:]


def _said(number: Number) -> str:
    return with_errors(number.value, number.standard_error, number.mc_error, number.unit)


def _points(number: Number) -> str:
    """A difference of shares, in percentage points."""
    return with_errors(number.value, number.standard_error, number.mc_error, "share difference")
