"""Whether intervals and quantiles of numbers hold what they promise."""

from functools import partial

from matplotlib.axes import Axes

from mcdrop.calibration import CoverageCurve, PitHistogram, Score, coverage_curve, pit_histogram, quantile_curve
from mcdrop.errors import UnavailableError
from mcdrop.plots import coverage
from mcdrop.report.record import Picture, Section, Table
from mcdrop.report.subject import Subject
from mcdrop.report.wording import number_text, percent

TITLE = "Do intervals hold what they promise?"
LEAD = (
    "A 90 % interval should hold the true value in 90 % of the rows, and so for every other level. If too few values "
    "lie inside, the predictor claims too much; if too many, its intervals are wider than need be.",
    "The last picture asks where in its predicted distribution each true value lies, from 0 (below everything "
    "expected) to 1 (above it): the probability integral transform, PIT. For an honest predictor it is flat. High "
    "ends say that the predictions are too narrow, a high middle that they are too wide, a slope that they are off to "
    "one side.",
)
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Coverages for which the page gives numbers."""


def section(subject: Subject) -> Section:
    """Coverage and quantiles against their nominal levels, and the PIT histogram."""
    if subject.is_of_labels:
        return Section("coverage", TITLE, (), absent=_OF_NUMBERS_ONLY)
    prediction, targets = subject.prediction, subject.targets
    try:
        table = coverage_curve(prediction, targets, levels=LEVELS)
    except UnavailableError as error:
        return Section("coverage", TITLE, (), absent=str(error))
    curve, quantiles = coverage_curve(prediction, targets, widths=False), quantile_curve(prediction, targets)
    pictures = (
        _levels(
            "coverage_against_nominal",
            partial(coverage.coverage_against_nominal, curve),
            "Coverage",
            "The share of true values inside the central intervals against the share promised. Below the line the "
            "intervals are too narrow.",
            (curve.levels, curve.coverage),
            "mcdrop.calibration.coverage_curve",
        ),
        _levels(
            "quantiles_against_nominal",
            partial(coverage.quantiles_against_nominal, quantiles),
            "Quantiles",
            "The share of true values below each predicted quantile against its level. A curve on one side of the line "
            "says that predictions are off to one side.",
            (quantiles.levels, quantiles.observed),
            "mcdrop.calibration.quantile_curve",
        ),
        _pit(pit_histogram(prediction, targets)),
    )
    return Section("coverage", TITLE, LEAD, tables=(_table(table, subject.unit),), pictures=pictures)


_OF_NUMBERS_ONLY = (
    "The prediction is of labels, which have no intervals: the section on reliability asks the same of their "
    "probabilities. A prediction of numbers (Gaussian, HeteroscedasticGaussian, Poisson) would fill this one."
)


def _table(curve: CoverageCurve, unit: str) -> Table:
    rows = []
    for level, covered, width in zip(curve.levels, curve.coverage, curve.width, strict=True):
        inside, *errors = number_text(covered.value, covered.standard_error, covered.mc_error, "share")
        wide = number_text(width.value, width.standard_error, width.mc_error, unit)[0]
        rows.append((percent(level), inside, *(f"± {error}" if error else "" for error in errors), wide))
    return Table(
        caption="Central intervals: what they promise, what they hold, and how wide they are on average.",
        columns=("promised", "held", "error (rows)", "error (Monte Carlo)", "mean width"),
        rows=tuple(rows),
        source="mcdrop.calibration.coverage_curve",
    )


def _levels(
    name: str,
    draw: "partial[Axes]",
    what: str,
    caption: str,
    points: tuple[tuple[float, ...], tuple[Score, ...]],
    source: str,
) -> Picture:
    levels, scores = points
    said = "; ".join(
        f"{percent(levels[index])} promised, {percent(scores[index].value, 1)} observed"
        for index in range(1, len(levels), 4)
    )
    return Picture(
        name=name,
        draw=draw,
        caption=caption,
        alternative=f"{what} against promise. {said}.",
        source=source,
        series={"promised": levels, **_columns("observed", scores)},
    )


def _pit(histogram: PitHistogram) -> Picture:
    flat = 1 / len(histogram.shares)
    said = ", ".join(percent(share.value, 1) for share in histogram.shares)
    return Picture(
        name="pit",
        draw=partial(coverage.pit_bars, histogram),
        caption="Where true values fall in their predicted distributions. The dashed line is where all bars should "
        "end.",
        alternative=f"Histogram of the PIT; {percent(flat)} in each bar if calibrated. From low to high: {said}.",
        source="mcdrop.calibration.pit_histogram",
        series={"from": histogram.edges[:-1], "to": histogram.edges[1:], **_columns("share", histogram.shares)},
    )


def _columns(name: str, scores: tuple[Score, ...]) -> dict[str, tuple[float, ...]]:
    errors = {"error (rows)": "standard_error", "error (Monte Carlo)": "mc_error"}
    found = {words: tuple(getattr(score, field) for score in scores) for words, field in errors.items()}
    known = {words: values for words, values in found.items() if None not in values}
    return {name: tuple(score.value for score in scores), **known}
