"""From what `write` was given to the record of the report."""

from collections.abc import Mapping

from mcdrop.report.record import Report
from mcdrop.report.sections import (
    audited,
    cases,
    convergence,
    coverage,
    reliability,
    rivals,
    run,
    scores,
    selective,
    uncertainty,
)
from mcdrop.report.subject import Subject
from mcdrop.report.verdict import sentences
from mcdrop.report.wording import grouped, plain

SECTIONS = (
    scores.section,
    reliability.section,
    uncertainty.section,
    selective.section,
    coverage.section,
    convergence.section,
    rivals.weight_scaled,
    rivals.other,
    rivals.recalibrated,
    cases.section,
    audited.section,
    run.section,
)
"""In the order of the page."""


def collected(subject: Subject, title: str, metadata: Mapping[str, object]) -> Report:
    """The report on a subject.

    Args:
        subject: What it is about.
        title: Of the page.
        metadata: What the caller adds, shown as text.
    """
    sections = tuple(make(subject) for make in SECTIONS)
    return Report(
        title=plain(title),
        subject=_described(subject),
        notes=subject.notes,
        verdict=sentences(subject, sections),
        sections=sections,
        metadata={plain(key): plain(value) for key, value in metadata.items()},
        provenance=subject.prediction.provenance.to_dict(),
    )


def _described(subject: Subject) -> str:
    what = {
        "classes": f"one of {subject.num_classes} classes",
        "events": "whether an event happens",
        "numbers": "a number" if subject.elements_per_row == 1 else "numbers",
    }[subject.kind]
    each = f", {subject.elements_per_row} in each row" if subject.elements_per_row > 1 else ""
    rows, draws = grouped(len(subject.prediction)), subject.prediction.num_samples
    return f"{subject.name}: {what}{each}, for {rows} rows, from {draws} {'draw' if draws == 1 else 'draws'}."
