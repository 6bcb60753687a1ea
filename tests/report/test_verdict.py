"""Predictors whose faults are known, and what the verdict says of them."""

from dataclasses import replace

import pytest
import torch

from mcdrop.prediction import Categorical, Gaussian, Poisson, Provenance, from_draws
from mcdrop.report.collect import collected
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING

RIGHT = "How often is it right?"
HONEST = "Can its probabilities be taken at their word?"
FINDS = "Does the uncertainty find the errors?"
HELD = "Do its intervals hold what they promise?"
KNOWS = "Does it know how far off it is?"
ORDER = "Are errors larger where it is less certain?"
ENOUGH = "Were there draws enough?"
HELPS = "Does averaging over sub-networks help?"


def verdict(prediction, targets, **given):
    report = collected(checked(prediction, targets, **{**NOTHING, **given}), "title", {})
    return {sentence.question: sentence for sentence in report.verdict}


def answers_of(confidence: float, right: float, rows: int = 400):
    """A predictor that always claims one confidence, and is right in this share of two classes."""
    probs = torch.tensor([confidence, 1 - confidence], dtype=torch.float64).expand(4, rows, 2)
    labels = (torch.arange(rows) >= round(right * rows)).long()
    return from_draws(probs, Categorical(probs=True)), labels


@pytest.mark.parametrize(
    ("confidence", "right", "begins"),
    [
        (0.95, 0.80, "Not quite: it is too sure of itself. It expects to be right in 95.0 % of the cases"),
        (0.70, 0.85, "Not quite: it is too modest. It expects to be right in 70.0 % of the cases"),
        (0.80, 0.79, "On average yes, as far as these rows can tell. It expects"),
        (0.80, 0.795, "On average yes. It expects"),
    ],
)
def test_confidence_is_held_against_accuracy(confidence, right, begins):
    assert verdict(*answers_of(confidence, right))[HONEST].answer.startswith(begins)


def test_a_slight_gap_is_none_however_sure():
    answer = verdict(*answers_of(0.995, 1.0))[HONEST].answer
    assert answer.startswith("On average yes.")
    assert "a gap of 0.5" in answer


@pytest.mark.parametrize(
    ("right", "says"),
    [
        (0.75, "In 75.0 % ± 2.2 of its answers."),
        (1.0, "All of its answers here are right"),
        (0.0, "None of its answers"),
    ],
)
def test_how_often_it_is_right(right, says):
    assert verdict(*answers_of(0.8, right))[RIGHT].answer.startswith(says)


def uncertain_where(wrong_is_uncertain: bool | None, rows: int = 200):
    sure = torch.arange(rows) % 5 != 0
    confidence = torch.where(sure, 0.95, 0.55).double()
    probs = torch.stack([confidence, 1 - confidence], dim=1).expand(4, rows, 2)
    wrong = torch.arange(rows) % 10 < 2 if wrong_is_uncertain is None else sure != wrong_is_uncertain
    return from_draws(probs, Categorical(probs=True)), wrong.long()


@pytest.mark.parametrize(
    ("wrong_is_uncertain", "begins"),
    [
        (True, "Yes: a wrong answer is more uncertain than a right one in 100 %"),
        (False, "No, the other way round:"),
    ],
)
def test_uncertainty_is_held_against_errors(wrong_is_uncertain, begins):
    assert verdict(*uncertain_where(wrong_is_uncertain))[FINDS].answer.startswith(begins)


def test_blind_uncertainty_is_called_so():
    assert verdict(*answers_of(0.8, 0.8))[FINDS].answer.startswith("Not measurably:")


def test_without_an_error_none_can_be_found():
    assert verdict(*answers_of(0.9, 1.0))[FINDS].answer.startswith("That cannot be said. All 400 labels are right")


def numbers_of(claimed: float, made: float, rows: int = 400):
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(rows, generator=generator, dtype=torch.float64)
    draws = means + 0.05 * torch.randn(20, rows, generator=generator)
    return from_draws(draws, Gaussian(claimed**-2)), means + made * torch.randn(rows, generator=generator)


@pytest.mark.parametrize(
    ("claimed", "held", "knows"),
    [
        (1.0, "Yes, as far as these rows can tell", "and makes about the same"),
        (0.5, "No, they are too narrow", "and makes larger ones"),
        (2.0, "They hold more than they promise and could be narrower", "and makes smaller ones"),
    ],
)
def test_intervals_and_spread_are_held_against_errors(claimed, held, knows):
    found = verdict(*numbers_of(claimed, 1.0), unit="m")
    assert found[HELD].answer.startswith(held)
    assert knows in found[KNOWS].answer


def test_few_rows_that_all_lie_inside_prove_nothing():
    prediction, targets = numbers_of(2.0, 1.0)
    assert verdict(prediction[:20], targets[:20])[HELD].answer.startswith("Yes, as far as these rows can tell")


def test_intervals_of_counts_are_not_blamed_for_being_whole():
    rates = torch.full((400,), 0.5).log()
    prediction = from_draws(rates.expand(4, 400) + 0.01 * torch.randn(4, 1), Poisson())
    targets = torch.poisson(torch.full((400,), 0.5), generator=torch.Generator().manual_seed(0)).clamp(max=2)
    assert verdict(prediction, targets)[HELD].answer.startswith("They hold more, as intervals of whole numbers do")


def test_errors_that_follow_the_uncertainty_are_seen():
    assert verdict(*predictions.numbers_with_noise())[ORDER].answer.startswith("Yes: where it is least certain")


def test_errors_that_do_not_follow_it_are_seen_too():
    assert verdict(*numbers_of(1.0, 1.0))[ORDER].answer.startswith("Not measurably: where it is least certain")
    prediction, targets = predictions.numbers_with_noise()
    off = (targets - prediction.mean).abs()
    turned = prediction.mean + off[off.argsort()][(-prediction.std).argsort().argsort()]  # small errors where unsure
    assert verdict(prediction, turned)[ORDER].answer.startswith("No, the other way round: where it is least certain")


def test_draws_are_enough_or_not():
    prediction, labels = predictions.classes()
    assert verdict(prediction, labels)[ENOUGH].answer.startswith("Yes: with T = 20 the Monte Carlo error")
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(300, 2)
    logits[:, 0] = 1
    few = from_draws(logits + 3 * torch.randn(2, 1, 2, generator=generator), Categorical())  # the same for all rows
    answer = verdict(few, torch.arange(300) % 2)[ENOUGH].answer
    assert answer.startswith("Not quite: with T = 2 the Monte Carlo error")
    assert "would bring the first below half of the second" in answer


def test_members_of_an_ensemble_are_all_there_is():
    prediction, labels = predictions.classes()
    members = replace(prediction, provenance=Provenance(num_samples=predictions.DRAWS, members=True))
    assert ENOUGH not in verdict(members, labels)


def test_a_rival_is_said_to_be_better_worse_or_neither():
    prediction, labels = predictions.classes(rows=400)
    probs = prediction.probs
    worse, better = probs.sqrt().sqrt(), probs + 2 * torch.nn.functional.one_hot(labels)
    worse, better = (each / each.sum(dim=1, keepdim=True) for each in (worse, better))
    for rival, answer in (
        (worse, "Yes, as far as these rows can tell."),
        (better, "No, the single network is better."),
        (probs, "There is no difference beyond the errors."),
    ):
        found = verdict(prediction, labels, weight_scaled=rival)[HELPS]
        assert found.answer == answer
        assert {"Accuracy", "Negative log-likelihood"} <= {detail.split(":")[0] for detail in found.details}
    found = verdict(prediction, labels, other=worse)["How does it compare with another predictor?"]
    assert found.answer == "one is better, as far as these rows can tell."
    assert found.details[0].startswith("Accuracy: ")
