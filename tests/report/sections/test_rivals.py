import pytest

from mcdrop.calibration import Temperature, VarianceScaling, accuracy, rmse
from mcdrop.report.sections import rivals
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING, subject


@pytest.mark.parametrize(
    ("make", "argument"),
    [(rivals.weight_scaled, "weight_scaled="), (rivals.other, "other="), (rivals.recalibrated, "recalibrated=")],
)
def test_a_rival_that_was_not_given_is_asked_for_by_its_argument(make, argument):
    assert argument in make(subject()).absent


def test_probabilities_of_the_single_network_are_scored_as_they_are():
    prediction, labels = predictions.classes()
    probs = prediction.probs.flip(1)
    found = rivals.weight_scaled(subject(weight_scaled=probs))
    pair = next(pair for pair in found.pairs if pair.first.name == "accuracy")
    assert pair.first.value == accuracy(prediction, labels).value
    assert pair.second.value == accuracy(probs, labels).value
    assert pair.second.mc_error is None
    assert pair.difference.unit == "share difference"


def test_means_of_a_single_network_have_an_rmse_alone():
    prediction, targets = predictions.numbers()
    found = rivals.weight_scaled(subject("numbers", weight_scaled=prediction.mean + 1))
    assert [pair.first.name for pair in found.pairs] == ["rmse"]
    assert found.pairs[0].second.value == rmse(prediction.mean + 1, targets).value


def test_another_predictor_has_its_name_everywhere():
    prediction, _ = predictions.numbers()
    found = rivals.other(subject("numbers", other=prediction))
    assert {pair.second.of for pair in found.pairs} == {"two"}
    assert {pair.says for pair in found.pairs} == {"the same"}
    assert found.pictures[1].caption.startswith("one less two")


def test_recalibrated_probabilities_have_their_diagram():
    prediction, labels = predictions.classes()
    cooler = Temperature.fit(prediction, labels)(prediction)
    found = rivals.recalibrated(subject(recalibrated=cooler))
    assert [picture.name for picture in found.pictures][-1] == "recalibrated_reliability"
    accuracies = next(pair for pair in found.pairs if pair.first.name == "accuracy")
    assert accuracies.says == "the same"  # one temperature changes no label


def test_recalibrated_numbers_are_compared_by_all_scores():
    prediction, targets = predictions.numbers()
    wider = VarianceScaling.fit(prediction, targets)(prediction)
    found = rivals.recalibrated(checked(prediction, targets, **{**NOTHING, "recalibrated": wider}))
    assert len(found.pairs) == 7
    assert {pair.first.name: pair.says for pair in found.pairs}["rmse"] == "the same"
