import math

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration.conformal import conformal_rank, conformal_threshold
from mcdrop.errors import InputError


def test_the_rank_is_exact_for_decimal_alphas():
    """k = ceil((n + 1)(100 - a) / 100) in whole numbers; floating point gives one more at times."""
    for n in (1, 9, 19, 99, 199, 999):
        for hundredths in range(1, 100):
            expected = -(-(n + 1) * (100 - hundredths) // 100)
            assert conformal_rank(n, hundredths / 100) == expected
            assert conformal_rank(n, np.float64(hundredths / 100)) == expected
    assert math.ceil(100 * (1 - 0.43)) == 58  # where 57 is right


def test_hand_computed_thresholds_of_unsorted_scores_with_ties():
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 5.0, 4.0, 2.0, 9.0, 7.0])
    assert conformal_threshold(scores, 0.1) == 9
    assert conformal_threshold(scores, 0.2) == 7
    assert conformal_threshold(scores, 0.6) == 2
    assert conformal_threshold(scores, 0.95) == 1


def test_too_few_rows_give_infinity():
    assert conformal_threshold(torch.arange(8.0), 0.1) == torch.inf
    assert conformal_threshold(torch.zeros(1), 0.4) == torch.inf
    assert conformal_threshold(torch.zeros(1), 0.5) == 0


def test_each_output_has_its_own():
    torch.testing.assert_close(
        conformal_threshold(torch.tensor([[1.0, 9.0], [2.0, 8.0]]), 0.4), torch.tensor([2.0, 9.0])
    )


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_alpha_lies_between_0_and_1(alpha):
    with pytest.raises(InputError, match=f"alpha={alpha} given, it is the share outside: between 0 and 1"):
        conformal_threshold(torch.zeros(3), alpha)


def test_scores_that_are_nan_are_refused():
    with pytest.raises(InputError, match="1 scores are NaN"):
        conformal_threshold(torch.tensor([0.0, torch.nan, 1.0]), 0.5)


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.2), (99, 0.05)])
def test_coverage_over_repetitions_follows_its_beta_law(n, alpha):
    """Exponential scores, 4000 repetitions as columns; their coverage given the held-out rows is known exactly."""
    scores = torch.from_numpy(np.random.default_rng(n).exponential(size=(n, 4000)))
    coverage = 1 - torch.exp(-conformal_threshold(scores, alpha))
    k = math.ceil(round((n + 1) * (1 - alpha), 9))
    assert stats.kstest(coverage.numpy(), stats.beta(k, n + 1 - k).cdf).pvalue > 1e-3
    # the test can fail: it tells the law of the next rank
    assert stats.kstest(coverage.numpy(), stats.beta(k - 1, n + 2 - k).cdf).pvalue < 1e-6
