"""The report as a record: sections of numbers, tables and pictures, each with the public function that gave it.

The page and the JSON file are two ways to write this record down; neither computes anything.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from matplotlib.axes import Axes

from mcdrop.calibration import Score
from mcdrop.report.series import evenly
from mcdrop.report.wording import number_text

FORMAT, VERSION = "mcdrop.report", 1

_LISTED = 25

Cell: TypeAlias = str | int | float | None
"""Of a table."""


@dataclass(frozen=True)
class Number:
    """One number with its errors and its origin.

    Args:
        name: Of the quantity, as programs call it.
        label: The same for people.
        of: Which predictor it is of.
        value: NaN if there is none; `problem` then says why.
        source: The public function that gave it.
        standard_error: From the sampling of rows.
        mc_error: From the sampling of masks.
        unit: "share" is shown in per cent; others as they are.
        meaning: One sentence for who has never heard of it.
        better: "lower", "higher" or the value that is best in words; "" where neither is.
        problem: Why there is no value.
    """

    name: str
    label: str
    of: str
    value: float
    source: str
    standard_error: float | None = None
    mc_error: float | None = None
    unit: str = ""
    meaning: str = ""
    better: str = ""
    problem: str = ""

    @classmethod
    def of_score(cls, score: Score, *, name: str, label: str, of: str, source: str, **words: Any) -> "Number":
        """A score as a number of the report.

        Args:
            score: With both errors.
            name: See the class, as all others.
            label: For people.
            of: The predictor.
            source: The public function.
            **words: unit, meaning, better.
        """
        number = cls(name, label, of, score.value, source, score.standard_error, score.mc_error)
        return replace(number, **words)

    @property
    def texts(self) -> tuple[str, str, str]:
        """Value, error of the rows and Monte Carlo error as the page shows them; "" for an error that is not there."""
        return number_text(self.value, self.standard_error, self.mc_error, self.unit)

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for strict JSON."""
        value, standard_error, mc_error = self.texts
        return {
            "name": self.name,
            "label": self.label,
            "of": self.of,
            "value": finite(self.value),
            "standard_error": finite(self.standard_error),
            "mc_error": finite(self.mc_error),
            "unit": self.unit,
            "source": self.source,
            "text": value,
            "text_standard_error": standard_error,
            "text_mc_error": mc_error,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Pair:
    """Two predictors by one score.

    Args:
        first: Of the prediction that is reported on.
        second: Of the other one.
        difference: First less second, with paired errors.
        says: Which is better, in words.
    """

    first: Number
    second: Number
    difference: Number
    says: str

    @property
    def texts(self) -> tuple[str, ...]:
        """Both values, their difference with its errors, and what they say, as the page shows them."""
        return self.first.texts[0], self.second.texts[0], *self.difference.texts, self.says

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for strict JSON."""
        parts = {name: getattr(self, name).to_dict() for name in ("first", "second", "difference")}
        return {**parts, "says": self.says}


@dataclass(frozen=True)
class Table:
    """Numbers and words in rows.

    Args:
        caption: What it shows.
        columns: Their heads.
        rows: As many cells each.
        source: The public functions that gave it.
        images: A PNG for each row, shown before it; empty for none.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    images: tuple[bytes, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The fields but the images, ready for strict JSON."""
        rows = [[finite(cell) if isinstance(cell, float) else cell for cell in row] for row in self.rows]
        return {"caption": self.caption, "columns": list(self.columns), "rows": rows, "source": self.source}


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawing and what it says in words and numbers.

    Args:
        name: Unique in the report.
        draw: Draws it on an axis: a function of `mcdrop.plots` with what it is to show.
        caption: What is seen and how to read it.
        alternative: The same picture for who cannot see it.
        source: The public functions that gave the numbers.
        series: The numbers that are drawn, by name, equally many each.
        height: In inches, of a width of 5.2.
    """

    name: str
    draw: Callable[[Axes], Any]
    caption: str
    alternative: str
    source: str
    series: dict[str, tuple[float, ...]]
    height: float = 3.5

    @property
    def listed(self) -> tuple[tuple[float, ...], ...]:
        """The series as rows of a table, at most 25 of them, evenly spread."""
        rows = tuple(zip(*self.series.values(), strict=True))
        return tuple(rows[place] for place in evenly(len(rows), _LISTED).tolist())

    def to_dict(self) -> dict[str, Any]:
        """The fields but the drawing, ready for strict JSON."""
        return {
            "name": self.name,
            "caption": self.caption,
            "alternative": self.alternative,
            "source": self.source,
            "series": {name: [finite(value) for value in values] for name, values in self.series.items()},
        }


@dataclass(frozen=True, eq=False)
class Section:
    """One part of the report.

    Args:
        name: As programs call it.
        title: The question that it answers.
        lead: What is to be seen here, for a reader who has never heard of it; paragraphs.
        absent: Why the section is empty and which argument would fill it; "" if it is not.
    """

    name: str
    title: str
    lead: tuple[str, ...]
    numbers: tuple[Number, ...] = ()
    pairs: tuple[Pair, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    absent: str = ""

    def number(self, name: str) -> Number | None:
        """The number of this name; None where there is none, or it has no finite value."""
        found = next((number for number in self.numbers if number.name == name), None)
        return found if found is not None and math.isfinite(found.value) else None

    def to_dict(self) -> dict[str, Any]:
        """Everything but drawings, ready for strict JSON."""
        parts = {name: [part.to_dict() for part in getattr(self, name)] for name in _PARTS}
        return {"name": self.name, "title": self.title, "absent": self.absent, **parts}


_PARTS = ("numbers", "pairs", "tables", "pictures")


@dataclass(frozen=True)
class Sentence:
    """One sentence or two of the verdict.

    Args:
        question: What it answers.
        answer: With its numbers.
        source: The public functions that gave them.
        details: Further sentences, a line each.
    """

    question: str
    answer: str
    source: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """What `write` wrote.

    Args:
        title: Of the page.
        subject: What was predicted, in a sentence.
        notes: What was left out of what was given, and by which rule.
        verdict: The answers in short.
        sections: In order.
        metadata: What the caller adds, as texts.
        provenance: What was run.
    """

    title: str
    subject: str
    notes: tuple[str, ...]
    verdict: tuple[Sentence, ...]
    sections: tuple[Section, ...]
    metadata: dict[str, str]
    provenance: dict[str, Any]

    def section(self, name: str) -> Section:
        """The section of this name."""
        return next(section for section in self.sections if section.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Everything but drawings, ready for strict JSON: numbers that are not finite are null."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "subject": self.subject,
            "notes": list(self.notes),
            "verdict": [{**vars(sentence), "details": list(sentence.details)} for sentence in self.verdict],
            "sections": [section.to_dict() for section in self.sections],
            "metadata": self.metadata,
            "provenance": self.provenance,
        }


def finite(value: float | None) -> float | None:
    """The number, or None in place of one that strict JSON cannot hold.

    Example:
        >>> finite(0.5), finite(float("nan")), finite(None)
        (0.5, None, None)
    """
    return None if value is None or not math.isfinite(value) else value
