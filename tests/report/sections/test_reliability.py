import torch

from mcdrop.calibration import accuracy, corp_reliability
from mcdrop.prediction import Categorical, from_draws
from mcdrop.report.sections import reliability
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING, subject


def test_numbers_have_no_probabilities():
    found = reliability.section(subject("numbers"))
    assert "A prediction of classes or events would fill this one" in found.absent
    assert not found.pictures


def test_the_gap_is_mean_confidence_less_accuracy():
    prediction, labels = predictions.classes()
    found = reliability.section(subject())
    confidence, gap = found.number("mean_confidence").value, found.number("confidence_gap").value
    assert confidence == float(prediction.confidence.mean())
    torch.testing.assert_close(gap, abs(confidence - accuracy(prediction, labels).value))


def test_gaps_of_single_claims_cancel_in_the_mean():
    # as often too sure as too modest: .9 is right in .8 of its cases, .6 in .7
    probs = torch.tensor([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10, dtype=torch.float64).expand(2, 20, 2)
    labels = torch.tensor([0] * 8 + [1] * 2 + [0] * 7 + [1] * 3)
    found = reliability.section(checked(from_draws(probs, Categorical(probs=True)), labels, **NOTHING))
    assert abs(found.number("confidence_gap").value) < 1e-12


def test_parts_of_the_brier_score_are_those_of_the_diagram():
    brier = corp_reliability(*predictions.classes()).brier
    found = reliability.section(subject())
    assert found.number("miscalibration").value == brier.miscalibration.value
    assert found.number("discrimination").mc_error == brier.discrimination.mc_error


def test_the_curve_is_that_of_the_function_and_thinned_to_what_is_seen():
    prediction, labels = predictions.classes(rows=900)
    diagram = corp_reliability(prediction, labels)
    picture = reliability.corp_picture(diagram, "name", "it")
    claimed = picture.series["claimed"]
    assert len(claimed) == reliability.POINTS < len(diagram.forecast)
    assert abs(claimed[0] - float(diagram.forecast[0])) < 1e-6
    assert abs(picture.series["observed"][-1] - float(diagram.frequency[-1])) < 1e-6
    assert picture.alternative.startswith("Reliability curve of it. From left to right: ")


def test_bins_without_answers_are_left_out():
    counts = reliability.section(subject()).pictures[1].series["answers"]
    assert min(counts) > 0
    assert sum(counts) == predictions.ROWS
