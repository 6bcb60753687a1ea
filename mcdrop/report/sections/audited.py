"""Where the model is random: its dropout sites."""

from mcdrop.report.record import Section, Table
from mcdrop.report.subject import Subject
from mcdrop.report.wording import plain

TITLE = "Where was the network random?"
LEAD = (
    "Each line is a place where dropout acts: p is the probability that a value is set to zero. What is listed as off "
    "or as not controlled did not take part in the draws, or could not be repeated.",
)


def section(subject: Subject) -> Section:
    """The audit of the model."""
    audit = subject.audit
    if audit is None:
        return Section(
            "audit", TITLE, (), absent="No audit was given: audit= takes what mcdrop.audit(model, x) returns."
        )
    rows = audit.rows()
    tables = []
    if rows:
        tables.append(
            Table(
                caption=f"Dropout sites of {plain(audit.model)}, in order of execution.",
                columns=tuple(rows[0]),
                rows=tuple(tuple(plain(text) for text in row.values()) for row in rows),
                source="mcdrop.audit",
            )
        )
    notes = [("off", text) for text in audit.off] + [("not controlled", text) for text in audit.uncontrolled]
    if notes:
        tables.append(
            Table(
                caption="What did not take part.",
                columns=("", "what and why"),
                rows=tuple((which, plain(text)) for which, text in notes),
                source="mcdrop.audit",
            )
        )
    if not tables:
        return Section("audit", TITLE, (), absent=f"The audit of {plain(audit.model)} found no dropout site.")
    return Section("audit", TITLE, LEAD, tables=tuple(tables))
