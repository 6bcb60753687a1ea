"""What remains wrong if the most uncertain answers are handed to somebody else."""

from functools import partial

import torch

from mcdrop.calibration import RiskCoverage, aurc, risk_coverage_curve
from mcdrop.plots import selective
from mcdrop.report.measures import Measure, measured
from mcdrop.report.record import Number, Picture, Section
from mcdrop.report.series import evenly, floats
from mcdrop.report.subject import Subject
from mcdrop.report.wording import percent

TITLE = "How much may be left to the machine?"
LEAD = (
    "A predictor may decline its most uncertain answers and leave them to a person. Coverage is the share of answers "
    "that it keeps, risk the share of these that is wrong. If the uncertainty is worth something, the risk falls as "
    "the coverage does.",
)
POINTS = 300
KEPT = (1.0, 0.95, 0.9, 0.8, 0.5)
"""Coverages for which the page gives the error rate."""

EXCESS = Measure(
    "excess_aurc",
    "Excess AURC",
    partial(aurc, excess=True),
    "mcdrop.calibration.aurc(excess=True)",
    "The mean error rate over all coverages less what a perfect order of the same answers would have: 0 if all wrong "
    "answers are the most uncertain ones.",
    "share",
)


def section(subject: Subject) -> Section:
    """The risk-coverage curve of the answers."""
    if not subject.is_of_labels:
        return Section("selective", TITLE, (), absent=_OF_LABELS_ONLY)
    curve = risk_coverage_curve(subject.prediction, subject.targets)
    numbers = [_kept(curve, coverage, subject.name) for coverage in KEPT]
    numbers.append(measured(EXCESS, subject.prediction, subject.targets, subject.name, ""))
    return Section("selective", TITLE, LEAD, numbers=tuple(numbers), pictures=(_picture(curve, numbers),))


_OF_LABELS_ONLY = (
    "The prediction is of numbers, which are not right or wrong: the section on the uncertainty shows whether errors "
    "are large where it is large. A prediction of classes or events would fill this one."
)


def _kept(curve: RiskCoverage, coverage: float, of: str) -> Number:
    place = max(0, round(coverage * len(curve.coverage)) - 1)
    return Number(
        name=f"error_rate_at_{coverage * 100:g}",
        label=f"Error rate of the surest {percent(coverage)}" if coverage < 1 else "Error rate of all",
        of=of,
        value=float(curve.risk[place]),
        unit="share",
        source=f"mcdrop.calibration.risk_coverage_curve, risk at coverage {coverage:g}",
        better="lower",
    )


def _picture(curve: RiskCoverage, numbers: list[Number]) -> Picture:
    shown = evenly(len(curve.coverage), POINTS)
    thin = RiskCoverage(curve.coverage[shown], curve.risk[shown], curve.threshold[shown])
    said = "; ".join(
        f"{number.label[0].lower()}{number.label[1:]}: {number.texts[0]}" for number in numbers[: len(KEPT)]
    )
    listed = evenly(len(curve.coverage), 20)
    return Picture(
        name="risk_coverage",
        draw=partial(selective.risk_against_coverage, thin),
        caption="The share of wrong answers among those kept, the surest first, against the share that is kept.",
        alternative=f"Risk-coverage curve: {said}.",
        source="mcdrop.calibration.risk_coverage_curve",
        series={
            "coverage": floats(curve.coverage[listed]),
            "risk": floats(curve.risk[listed]),
            "largest uncertainty kept": floats(curve.threshold[listed].to(torch.float64)),
        },
    )
