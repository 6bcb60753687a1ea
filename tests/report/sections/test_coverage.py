import pytest

from mcdrop.calibration import interval_coverage, interval_width, pit_histogram
from mcdrop.report.sections import coverage
from mcdrop.report.subject import checked
from mcdrop.report.wording import number_text
from tests.report import predictions
from tests.report.test_subject import NOTHING, subject


def test_the_table_holds_coverage_and_width_of_each_level():
    prediction, targets = predictions.numbers()
    table = coverage.section(subject("numbers", unit="m")).tables[0]
    held = interval_coverage(prediction, targets, coverage=0.9)
    width = interval_width(prediction, coverage=0.9)
    value, rows, draws = number_text(held.value, held.standard_error, held.mc_error, "share")
    wide = number_text(width.value, width.standard_error, width.mc_error, "m")[0]
    assert table.rows[4] == ("90 %", value, f"± {rows}", f"± {draws}", wide)


def test_the_histogram_is_that_of_the_function():
    prediction, targets = predictions.numbers()
    picture = coverage.section(subject("numbers")).pictures[2]
    assert picture.series["share"] == tuple(share.value for share in pit_histogram(prediction, targets).shares)
    assert sum(picture.series["share"]) == pytest.approx(1)


def test_every_picture_has_both_errors():
    for picture in coverage.section(subject("counts")).pictures:
        assert {"error (rows)", "error (Monte Carlo)"} <= set(picture.series)


def test_labels_have_no_intervals():
    assert "no intervals" in coverage.section(subject()).absent


def test_numbers_without_draws_say_what_would_fill_the_section():
    prediction, targets = predictions.numbers(keep_samples=False)
    found = coverage.section(checked(prediction, targets, **NOTHING))
    assert "predict with keep_samples=True" in found.absent
