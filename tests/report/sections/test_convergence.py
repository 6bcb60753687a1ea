from dataclasses import replace

import pytest
import torch

from mcdrop.calibration import VarianceScaling, brier_score, negative_log_likelihood, rmse
from mcdrop.prediction import Binary, Categorical, Gaussian, Provenance, from_draws
from mcdrop.report.sections import convergence
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING


def series_of(prediction, targets):
    found = convergence.section(checked(prediction, targets, **NOTHING))
    return found, found.pictures[0].series


def test_of_classes_the_loss_is_that_of_the_first_draws():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 30, 3, generator=generator, dtype=torch.float64)
    labels = torch.arange(30) % 3
    _, series = series_of(from_draws(logits, Categorical()), labels)
    assert series["draws"] == (2, 4, 8, 16, 20)  # 20 draws are kept as ten groups of two
    for size, value in zip(series["draws"], series["negative log-likelihood"], strict=True):
        probs = logits[: int(size)].softmax(dim=2).mean(dim=0)
        assert value == pytest.approx(-float(probs[torch.arange(30), labels].log().mean()), rel=1e-6)


def test_the_last_point_is_the_score_with_its_error():
    for make in (predictions.classes, predictions.events, predictions.numbers, predictions.counts, predictions.pixels):
        prediction, targets = make()
        _, series = series_of(prediction, targets)
        score = negative_log_likelihood(prediction, targets)
        assert series["draws"][-1] == prediction.num_samples
        assert series["negative log-likelihood"][-1] == pytest.approx(score.value, rel=1e-9)
        assert series["Monte Carlo error"][-1] == pytest.approx(score.mc_error, rel=1e-9)


def test_a_last_group_that_is_not_full_counts_by_its_draws():
    logits = torch.randn(19, 30, 3, generator=torch.Generator().manual_seed(0))
    prediction, labels = from_draws(logits, Categorical()), torch.arange(30) % 3
    _, series = series_of(prediction, labels)
    assert series["draws"][-2:] == (16.0, 19.0)
    score = negative_log_likelihood(prediction, labels)
    assert series["negative log-likelihood"][-1] == pytest.approx(score.value)


def test_of_numbers_the_loss_is_that_of_the_first_draws():
    prediction, targets = predictions.numbers()
    found, series = series_of(prediction, targets)
    first = from_draws(prediction.samples[:4], Gaussian(25.0))
    assert series["draws"][1] == 4
    assert series["negative log-likelihood"][1] == negative_log_likelihood(first, targets).value
    assert len(found.lead) == 1  # each draw is there, so that nothing is said of groups


def test_numbers_without_draws_show_the_error_of_their_means():
    prediction, targets = predictions.numbers(keep_samples=False)
    found, series = series_of(prediction, targets)
    assert series["root mean squared error"][-1] == rmse(prediction, targets).value
    assert "holds the means of 10 groups of draws" in found.lead[-1]


def test_an_infinite_loss_is_replaced_by_one_that_is_not():
    draws = torch.tensor([1.0, 0.0]).expand(6, 10, 2)
    prediction, labels = from_draws(draws, Categorical(probs=True)), torch.arange(10) % 2
    _, series = series_of(prediction, labels)
    assert series["Brier score"][-1] == brier_score(prediction, labels).value == 1.0


def test_sections_that_cannot_be_filled_say_why():
    prediction, labels = predictions.classes()
    members = replace(prediction, provenance=Provenance(num_samples=predictions.DRAWS, members=True))
    one = from_draws(torch.randn(1, 60), Binary())
    numbers, targets = predictions.numbers()
    wider = VarianceScaling.fit(numbers, targets)(numbers)
    for given, wanted, says in (
        (members, labels, "the members of an ensemble: all there is"),
        (one, labels % 2, "num_samples=2 or more"),
        (wider, targets, "this one as `recalibrated=`"),
    ):
        found = convergence.section(checked(given, wanted, **NOTHING))
        assert says in found.absent
        assert not found.pictures
