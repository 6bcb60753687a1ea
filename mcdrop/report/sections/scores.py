"""How good the prediction is: its scores, each with both errors."""

from mcdrop.report.measures import number
from mcdrop.report.record import Section
from mcdrop.report.subject import Subject

LEAD = (
    "Each score has two errors. The first is what another choice of test rows would change; only more rows lower it. "
    "The second, the Monte Carlo error, is what another draw of the dropout masks would change; more draws lower it. "
    "A value is known to about twice its errors.",
)


def section(subject: Subject) -> Section:
    """The scores of the prediction."""
    scores, unit = subject.scored.scores, subject.unit
    numbers = tuple(number(measure, scores[measure.name], subject.name, unit) for measure in subject.measures)
    return Section("scores", "How good are the answers?", LEAD, numbers=numbers)
