import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration.number_rows import predictive_of
from mcdrop.prediction import Gaussian, Identity, Poisson, from_draws

MEANS = torch.randn(12, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_ranks_of_draws_take_the_target_for_one_more_draw():
    """Draws 1, 2, 2, 5 and the target 2: one of five is below, and with itself four are at or below."""
    predictive = predictive_of(from_draws(torch.tensor([[1.0], [2.0], [2.0], [5.0]]), Identity(), block_size=4))
    below, reached = predictive.ranks(torch.tensor([2.0], dtype=torch.float64))
    assert (below.item(), reached.item()) == pytest.approx((0.2, 0.8))


def test_ranks_without_a_group_leave_its_draws_out():
    predictive = predictive_of(from_draws(torch.tensor([[1.0], [2.0], [3.0]]), Identity()))
    below, _ = predictive.ranks(torch.tensor([2.5], dtype=torch.float64))
    assert below.flatten().tolist() == pytest.approx([2 / 4, 1 / 3, 1 / 3, 2 / 3])


def test_ranks_of_counts_are_the_ends_of_the_jump():
    log_rates = MEANS[:, :5]
    predictive = predictive_of(from_draws(log_rates, Poisson(), block_size=12))
    y = torch.arange(5, dtype=torch.float64)
    below, reached = predictive.ranks(y)
    np.testing.assert_allclose(reached[0], stats.poisson.cdf(y, log_rates.exp()).mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(below[0], stats.poisson.cdf(y - 1, log_rates.exp()).mean(axis=0), rtol=1e-8, atol=1e-12)


def test_the_tails_of_normal_mixtures_keep_their_digits():
    predictive = predictive_of(from_draws(torch.zeros(2, 1), Gaussian(1.0), block_size=2))
    _, reached = predictive.ranks(torch.tensor([-20.0], dtype=torch.float64))
    assert reached.item() == pytest.approx(stats.norm.cdf(-20), rel=1e-10)
