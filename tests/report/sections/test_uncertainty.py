import pytest
import torch

from mcdrop.calibration import Temperature, auroc_of_error, error_against_uncertainty
from mcdrop.prediction import Gaussian, from_draws
from mcdrop.report.sections import uncertainty
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING, subject


def test_means_are_over_right_and_over_wrong_answers():
    prediction, labels = predictions.classes()
    right = prediction.probs.argmax(dim=1) == labels
    found = uncertainty.section(subject())
    for name in ("predictive_entropy", "mutual_information"):
        values = getattr(prediction, name)
        assert found.number(f"{name}_right").value == pytest.approx(float(values[right].mean()))
        assert found.number(f"{name}_wrong").value == pytest.approx(float(values[~right].mean()))
        expected = auroc_of_error(prediction, labels, uncertainty=name)
        assert found.number(f"auroc_by_{name}").value == expected.value


def test_histograms_are_told_by_their_quantiles():
    prediction, labels = predictions.classes()
    wrong = prediction.predictive_entropy[prediction.labels != labels]
    series = uncertainty.section(subject()).pictures[0].series
    assert series["share below"][2] == 0.5
    median = float(wrong.quantile(0.5))
    assert series["predictive entropy of wrong answers"][2] == pytest.approx(median, rel=1e-5)


def test_a_group_without_answers_is_left_out():
    prediction, _ = predictions.classes()
    found = uncertainty.section(checked(prediction, prediction.labels, **NOTHING))
    assert found.number("predictive_entropy_wrong") is None
    assert "wrong" not in " ".join(found.pictures[0].series)


def test_averages_that_were_recalibrated_have_no_mutual_information():
    prediction, labels = predictions.classes()
    cooler = Temperature.fit(prediction, labels)(prediction)
    found = uncertainty.section(checked(cooler, labels, **NOTHING))
    assert [picture.name for picture in found.pictures] == ["predictive_entropy"]


def test_errors_of_numbers_stand_beside_those_expected():
    prediction, targets = predictions.numbers()
    bins = error_against_uncertainty(prediction, targets, bins=3)  # about twenty rows each
    found = uncertainty.section(subject("numbers", unit="m"))
    series = found.pictures[0].series
    expected = torch.tensor([score.value for score in bins.predicted]).sqrt()
    torch.testing.assert_close(torch.tensor(series["predicted standard deviation"]), expected, rtol=1e-5, atol=0)
    assert sum(series["rows"]) == predictions.ROWS
    assert found.number("sparsification_error").unit == "m²"
    last, square = found.number("rmse_of_least_certain"), bins.error[-1]
    assert last.value == pytest.approx(square.value**0.5)
    assert last.standard_error == pytest.approx(square.standard_error / (2 * square.value**0.5))


def test_one_uncertainty_for_all_has_no_order():
    prediction = from_draws(torch.zeros(3, 50, dtype=torch.float64), Gaussian(1.0))
    found = uncertainty.section(checked(prediction, torch.arange(50.0), **NOTHING))
    assert found.number("rmse_of_least_certain") is None


def test_numbers_without_draws_say_what_would_fill_the_section():
    prediction, targets = predictions.numbers(keep_samples=False)
    found = uncertainty.section(checked(prediction, targets, **NOTHING))
    assert "predict with keep_samples=True" in found.absent
