from io import BytesIO

import numpy as np
import pytest
import torch

from mcdrop.calibration import RiskCoverage, risk_coverage_curve
from mcdrop.errors import InputError
from mcdrop.plots.selective import risk_against_coverage

CURVE = risk_coverage_curve(torch.tensor([0.9, 0.6, 0.8, 0.7]), torch.tensor([1, 0, 1, 1]))


def test_the_line_is_the_curve(ax) -> None:
    assert risk_against_coverage(CURVE, ax) is ax
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(line.get_ydata(), CURVE.risk)
    assert ax.get_legend() is None
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("coverage: share of labels kept", "error rate of those kept")


def test_curves_are_told_apart_and_the_highest_is_seen(ax) -> None:
    high = RiskCoverage(CURVE.coverage, CURVE.risk + 0.5, CURVE.threshold)
    for curve, label in ((CURVE, "low"), (high, "high"), (CURVE, "low again")):
        risk_against_coverage(curve, ax, label=label)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["low", "high", "low again"]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}) == 3
    assert ax.get_ylim()[1] == pytest.approx(1.1 * 0.75)


def test_the_jump_of_the_first_labels_does_not_set_the_scale(ax) -> None:
    risk = torch.full((1000,), 0.1, dtype=torch.float64)
    risk[0] = 1.0
    coverage = torch.arange(1, 1001) / 1000
    risk_against_coverage(RiskCoverage(coverage, risk, risk), ax)
    assert ax.get_ylim() == pytest.approx((0, 0.11))


def test_a_curve_without_errors_has_a_scale(ax) -> None:
    risk_against_coverage(RiskCoverage(CURVE.coverage, 0 * CURVE.risk, CURVE.threshold), ax)
    assert ax.get_ylim()[1] > 0


def test_a_hundred_thousand_labels_make_a_small_file(ax) -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(100_000) < np.linspace(0, 0.3, 100_000)
    kept = np.arange(1, 100_001)
    coverage, risk = torch.from_numpy(kept / 100_000), torch.from_numpy(wrong.cumsum() / kept)
    risk_against_coverage(RiskCoverage(coverage, risk, risk), ax)
    file = BytesIO()
    ax.figure.savefig(file, format="svg")
    assert len(file.getvalue()) < 200_000


@pytest.mark.parametrize(
    ("coverage", "risk", "message"),
    [
        ([], [], "coverage: no values"),
        ([0.5, 1.0], [0.1, float("nan")], "risk: 1 of 2 values are NaN"),
        ([0.5, 1.0], [0.1], "2 coverages, 1 risks were given"),
    ],
)
def test_what_is_no_curve_is_refused(coverage, risk, message, ax, without_type_checks) -> None:
    with pytest.raises(InputError, match=message):
        risk_against_coverage(RiskCoverage(torch.tensor(coverage), torch.tensor(risk), torch.tensor(risk)), ax)
