from mcdrop.calibration import rmse
from mcdrop.report.sections import scores
from tests.report import predictions
from tests.report.test_subject import subject


def test_labels_and_numbers_have_scores_of_their_own():
    labels, numbers = (scores.section(subject(kind)) for kind in ("classes", "numbers"))
    assert {"accuracy", "brier_score", "expected_calibration_error"} <= {number.name for number in labels.numbers}
    assert {"rmse", "crps", "interval_coverage"} <= {number.name for number in numbers.numbers}
    assert not [number.problem for number in (*labels.numbers, *numbers.numbers) if number.problem]


def test_a_number_has_value_errors_unit_and_a_sentence():
    prediction, targets = predictions.numbers()
    found = scores.section(subject("numbers", unit="m")).number("rmse")
    score = rmse(prediction, targets)
    assert (found.value, found.standard_error, found.mc_error) == (score.value, score.standard_error, score.mc_error)
    assert found.texts[0].endswith(" m")
    assert found.meaning.endswith(".")
    assert found.of == "one"
