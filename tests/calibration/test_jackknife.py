import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mcdrop.calibration.jackknife import jackknife_error, log_mean_exp_without, means_without
from mcdrop.prediction import Moments
from tests import reference


def test_for_the_mean_of_single_draws_it_is_the_standard_error():
    draws = np.random.default_rng(0).normal(size=16)
    deleted = torch.from_numpy((draws.sum() - draws) / 15)
    assert jackknife_error(draws.mean(), deleted, (1,) * 16) == pytest.approx(draws.std(ddof=1) / 4, rel=1e-12)


@pytest.mark.parametrize("counts", [[4, 4, 4], [8, 8, 1], [1, 5, 2, 3]])
def test_unequal_groups_against_the_reference(counts):
    draws = np.random.default_rng(0).gamma(2, 1, size=sum(counts))

    def estimate(draws):
        return math.log(draws.mean())

    starts = np.cumsum([0, *counts])
    deleted = [estimate(np.delete(draws, range(a, b))) for a, b in pairwise(starts)]
    expected = reference.jackknife_error(draws, counts, estimate)
    actual = jackknife_error(estimate(draws), torch.tensor(deleted, dtype=torch.float64), tuple(counts))
    assert actual == pytest.approx(expected, rel=1e-10)


def test_it_is_unbiased_for_a_mean_of_unequal_groups():
    repetitions, counts = 4000, (8, 8, 4, 1)
    draws = torch.randn(repetitions, 21, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    squares = []
    for row in draws:
        deleted = means_of_others(row, counts)
        squares.append(jackknife_error(row.mean().item(), deleted, counts) ** 2)
    error = np.std(squares) / math.sqrt(repetitions)
    assert abs(np.mean(squares) - 1 / 21) < 4 * error


def means_of_others(row, counts):
    parts = row.split(list(counts))
    return torch.stack([torch.cat([*parts[:j], *parts[j + 1 :]]).mean() for j in range(len(counts))])


def test_fewer_than_two_groups_have_no_error():
    assert jackknife_error(1.0, torch.empty(0), ()) is None
    assert jackknife_error(1.0, torch.empty(0), (5,)) is None


@pytest.mark.parametrize(("total", "block_size"), [(2, 1), (16, 1), (17, 1), (100, 1), (100, 20), (23, 4)])
def test_what_is_left_without_each_group(total, block_size):
    draws = torch.rand(total, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moments = Moments.init(block_size).update(draws)
    counts = moments.groups.counts
    expected = torch.stack([means_of_others(column, counts) for column in draws.T], dim=1)
    torch.testing.assert_close(means_without(moments), expected)
    torch.testing.assert_close(log_mean_exp_without(draws.log(), counts), expected.log())


def test_one_group_leaves_nothing():
    moments = Moments.init(5).update(torch.ones(4, 3))
    assert means_without(moments).shape == (0, 3)
    assert log_mean_exp_without(torch.ones(4, 3), (4,)).shape == (0, 3)


def test_a_small_probability_stays_positive():
    """The total less the group that holds nearly all of it would leave rounding, of either sign."""
    draws = torch.full((32, 1), 1e-30, dtype=torch.float64)
    draws[0] = 1
    without = means_without(Moments.init(group_dtype=torch.float32).update(draws))
    torch.testing.assert_close(without[0].item(), 1e-30, rtol=1e-6, atol=0)
    without = log_mean_exp_without(torch.tensor([0.0, -torch.inf, -torch.inf]), (1, 1, 1))
    assert without.tolist() == pytest.approx([-math.inf, -math.log(2), -math.log(2)])
