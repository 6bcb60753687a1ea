import math

import pytest
import torch

from mcdrop.calibration import (
    Score,
    accuracy,
    aurc,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    rmse,
)
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Categorical, Gaussian, Provenance, from_draws

G = torch.Generator().manual_seed(0)
LOGITS = torch.randn(64, 50, 3, generator=G, dtype=torch.float64)
LABELS = torch.randint(3, (50,), generator=G)


def predicted(scale=1.0, draws=LOGITS):
    return from_draws(draws * scale, Categorical())


def test_a_difference_has_the_error_of_the_rows_differences():
    first, second = predicted(), predicted(1.5)
    losses = [-p.probs[torch.arange(50), LABELS].log() for p in (first, second)]
    paired = negative_log_likelihood(first, LABELS) - negative_log_likelihood(second, LABELS)
    rows = losses[0] - losses[1]
    assert paired.value == pytest.approx(float(rows.mean()))
    assert paired.standard_error == pytest.approx(float(rows.std()) / math.sqrt(50))


def test_a_score_less_itself_is_zero_without_error():
    score = negative_log_likelihood(predicted(), LABELS)
    assert score - score == Score(0.0, 0.0, 0.0)


def test_the_monte_carlo_error_of_equal_draws_is_paired_and_of_others_adds_up():
    first, second = (brier_score(predicted(scale), LABELS) for scale in (1.0, 1.1))
    assert (first - second).mc_error < 0.2 * first.mc_error
    fewer = brier_score(predicted(draws=LOGITS[:40]), LABELS)
    assert first.counts != fewer.counts
    assert (first - fewer).mc_error == pytest.approx(math.hypot(first.mc_error, fewer.mc_error))


def test_a_predictor_without_draws_adds_no_monte_carlo_error():
    first, single = brier_score(predicted(), LABELS), brier_score(LOGITS[0].softmax(-1), LABELS)
    assert single.mc_error is None
    assert (first - single).mc_error == first.mc_error == (single - first).mc_error


def test_an_unknown_monte_carlo_error_stays_unknown():
    one_draw = brier_score(predicted(draws=LOGITS[:1]), LABELS)
    assert one_draw.counts == (1,)
    assert (brier_score(predicted(), LABELS) - one_draw).mc_error is None


def test_the_influence_on_a_root_is_that_of_the_mean_square_by_the_delta_method():
    y = LOGITS[0, :, 0]
    score = rmse(from_draws(LOGITS[1:, :, 0], Gaussian(1.0)), y)
    assert float(score.influence.std()) / math.sqrt(50) == pytest.approx(score.standard_error)
    without = rmse(from_draws(LOGITS[1:, 1:, 0], Gaussian(1.0)), y[1:])
    assert 49 * (score.value - without.value) == pytest.approx(float(score.influence[0]), rel=0.05)


def test_scores_that_cannot_be_paired_are_refused():
    score = brier_score(predicted(), LABELS)
    with pytest.raises(InputError, match="Scores of 50 and of 49 rows given"):
        score - brier_score(predicted(draws=LOGITS[:, 1:]), LABELS[1:])
    with pytest.raises(UnavailableError, match="streamed over batches or made by hand"):
        score - Score(1.0, 0.1, 0.1)


@pytest.mark.parametrize(
    ("score", "likelihood", "targets"),
    [
        (accuracy, Categorical(), LABELS),
        (brier_score, Categorical(), LABELS),
        (negative_log_likelihood, Gaussian(1.0), LOGITS[-1]),
        (rmse, Gaussian(1.0), LOGITS[-1]),
        (expected_calibration_error, Categorical(), LABELS),
        (aurc, Categorical(), LABELS),
    ],
)
def test_ensembles_of_different_size_and_a_single_predictor_can_be_subtracted(score, likelihood, targets):
    four, five = (
        score(from_draws(LOGITS[:size], likelihood, provenance=Provenance(size, members=True)), targets)
        for size in (4, 5)
    )
    difference = four - five
    assert (difference.value, difference.mc_error) == (four.value - five.value, None)
    assert difference.standard_error == pytest.approx(float((four.influence - five.influence).std()) / math.sqrt(50))
    if isinstance(likelihood, Categorical):
        single = score(LOGITS[0].softmax(-1), targets)
        assert (four - single).value == four.value - single.value == -(single - four).value


def test_an_infinite_score_has_no_errors_and_no_differences():
    draws = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).expand(4, 2, 2)
    score = negative_log_likelihood(from_draws(draws, Categorical(probs=True)), torch.tensor([1, 0]))
    assert score == Score(math.inf, None, None)
    with pytest.raises(UnavailableError, match="no standard error"):
        score - score
