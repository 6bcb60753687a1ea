import math

import pytest
import torch

from mcdrop.calibration import Score, brier_score
from mcdrop.report.measures import OF_LABELS, OF_NUMBERS, beyond, compared, measured, scored, total_error
from mcdrop.report.sections.uncertainty import ORDER
from tests.report import predictions

BY_NAME_OF_LABELS = {measure.name: measure for measure in OF_LABELS}
BY_NAME = {measure.name: measure for measure in OF_NUMBERS} | BY_NAME_OF_LABELS


def pairs_of(measures, first, second, labels):
    return compared(measures, *(scored(name, measures, given, labels) for name, given in (first, second)), "")


def test_a_score_that_is_not_defined_says_why():
    probs, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 1])
    number = measured(BY_NAME["auroc_of_error"], probs, labels, "it", "")
    assert math.isnan(number.value)
    assert number.problem.startswith("All 2 labels are right")
    assert number.texts == ("\u2013", "", "")


def test_numbers_without_draws_say_how_to_keep_them():
    prediction, targets = predictions.numbers(keep_samples=False)
    number = measured(BY_NAME["crps"], prediction, targets, "it", "m")
    assert "predict with keep_samples=True" in number.problem


@pytest.mark.parametrize(
    ("name", "unit", "expected"), [("rmse", "m", "m"), ("rmse", "", ""), ("interval_coverage", "m", "share")]
)
def test_scores_of_numbers_have_the_unit_of_the_targets(name, unit, expected):
    prediction, targets = predictions.numbers()
    assert measured(BY_NAME[name], prediction, targets, "it", unit).unit == expected


@pytest.mark.parametrize(("unit", "square"), [("m", "m²"), ("m/s", "(m/s)²"), ("kWh/m²", "(kWh/m²)²"), ("", "")])
def test_squares_have_the_square_of_the_unit(unit, square):
    assert measured(ORDER, *predictions.numbers(), "it", unit).unit == square


def test_differences_are_paired():
    prediction, labels = predictions.classes()
    other = prediction.probs.sqrt() / prediction.probs.sqrt().sum(dim=1, keepdim=True)
    pairs = pairs_of(OF_LABELS, ("one", prediction), ("two", other), labels)
    assert [pair.first.name for pair in pairs] == [measure.name for measure in OF_LABELS]
    found = next(pair for pair in pairs if pair.first.name == "brier_score")
    difference = brier_score(prediction, labels) - brier_score(other, labels)
    assert found.difference.value == difference.value
    assert found.difference.standard_error == difference.standard_error
    assert found.difference.of == "one less two"
    assert (found.first.of, found.second.of) == ("one", "two")


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (0.9, 0.6, "better with one"),
        (0.6, 0.9, "better with two"),
        (0.6, 0.6, "the same"),
    ],
)
def test_words_say_which_is_better(first, second, says):
    def sure(p):  # of 40 answers that are all right
        return torch.tensor([p, 1 - p], dtype=torch.float64).expand(40, 2)

    labels = torch.zeros(40, dtype=torch.int64)
    losses = tuple(measure for measure in OF_LABELS if measure.name in ("negative_log_likelihood", "brier_score"))
    pairs = pairs_of(losses, ("one", sure(first)), ("two", sure(second)), labels)
    assert {pair.says for pair in pairs} == {says}


def test_more_accuracy_and_less_loss_are_better():
    labels = torch.tensor([0, 1] * 20)
    good = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).repeat(20, 1)
    bad = good.flip(1)
    bad[:4] = good[:4]
    pairs = pairs_of(OF_LABELS, ("good", good), ("bad", bad), labels)
    says = {pair.first.name: pair.says for pair in pairs}
    assert says["accuracy"] == says["negative_log_likelihood"] == says["brier_score"] == "better with good"


def test_an_infinite_loss_is_worse_than_any_other():
    labels = torch.tensor([0, 1])
    impossible, possible = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    losses = (BY_NAME_OF_LABELS["negative_log_likelihood"],)
    for one, two, says in (
        (impossible, possible, "better with two"),
        (possible, impossible, "better with one"),
        (impossible, impossible, "both are infinite"),
    ):
        (pair,) = pairs_of(losses, ("one", one), ("two", two), labels)
        assert pair.says == says
        assert pair.difference.standard_error is None


def test_a_difference_of_less_than_two_errors_is_none():
    assert beyond(-0.21, 0.1)
    assert not beyond(0.19, 0.1)
    assert not beyond(0.0, 0.0)
    assert not beyond(1.0, total_error(Score(1.0, None, 0.1)))  # of one row nothing can be told
