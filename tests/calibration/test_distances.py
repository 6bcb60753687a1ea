import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from mcdrop.calibration.distances import (
    drawn_distances,
    normal_distances,
    with_deleted_means,
    with_deleted_sums,
)

RNG = np.random.default_rng(0)


def without(values, counts, group):
    """All rows but those of one contiguous group; all of them for group -1."""
    start = sum(counts[:group])
    return values if group < 0 else np.concatenate([values[:start], values[start + counts[group] :]])


def integral(cdf, y, a, b):
    """`int (F - 1[x >= y])^2` from a to b, beyond which there is next to nothing."""
    lower = integrate.quad(lambda x: cdf(x) ** 2, a, y, limit=400, epsabs=1e-13, epsrel=1e-13)[0]
    return lower + integrate.quad(lambda x: (1 - cdf(x)) ** 2, y, b, limit=400, epsabs=1e-13, epsrel=1e-13)[0]


def pairs(draws):
    """`sum_t sum_u |x_t - x_u|`, pair by pair."""
    return sum(np.abs(one - two) for one in draws for two in draws)


@pytest.mark.parametrize("y", [-3.0, 0.2, 8.0])
def test_normal_mixtures_have_the_integral_of_their_definition(y):
    mean, std = RNG.normal(size=5), RNG.uniform(0.3, 2, size=5)
    of = normal_distances(
        *(torch.from_numpy(a)[:, None] for a in (mean, std)), torch.tensor([y], dtype=torch.float64), (5,)
    )
    expected = integral(lambda x: stats.norm.cdf(x, mean, std).mean(), y, min(y, -20), max(y, 20))
    assert of.crps(fair=False).item() == pytest.approx(expected, rel=1e-10)


def test_one_normal_has_gneitings_closed_form():
    y, mean, std = RNG.normal(size=7), RNG.normal(size=7), RNG.uniform(0.1, 3, size=7)
    z = (y - mean) / std
    expected = std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    of = normal_distances(*(torch.from_numpy(a)[None] for a in (mean, std)), torch.from_numpy(y), (1,))
    np.testing.assert_allclose(of.crps(fair=False)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("counts", [(2, 2, 1), (40,), (20, 20, 3), (1, 1)])
@pytest.mark.parametrize("one_std", [True, False])
def test_without_each_group_normal_mixtures_are_those_of_the_others(counts, one_std):
    total = sum(counts)
    mean, y = RNG.normal(size=(total, 3)), RNG.normal(size=3)
    std = RNG.uniform(0.3, 2, size=(1 if one_std else total, 3))
    of = normal_distances(*(torch.from_numpy(a) for a in (mean, std, y)), counts)
    groups = [-1, *range(len(counts))] if len(counts) > 1 else [-1]
    assert of.near.shape == of.mutual.shape == of.own.shape == (len(groups), 3)
    for row, group in enumerate(groups):
        m = without(mean, counts, group)
        s = np.broadcast_to(std, m.shape) if one_std else without(std, counts, group)
        alone = normal_distances(*(torch.from_numpy(np.array(a)) for a in (m, s, y)), (len(m),))
        literal = np.mean([stats.foldnorm.mean(np.abs(a - y) / b, scale=b) for a, b in zip(m, s, strict=True)], axis=0)
        np.testing.assert_allclose(of.near[row], literal, rtol=1e-9)
        np.testing.assert_allclose(of.mutual[row], alone.mutual[0], rtol=1e-12)
        np.testing.assert_allclose(of.own[row], alone.own[0], rtol=1e-12)
        assert of.draws[row] == len(m)
        spread = np.sqrt(s[:, None] ** 2 + s[None] ** 2)
        mutual = stats.foldnorm.mean(np.abs(m[:, None] - m[None]) / spread, scale=spread).mean(axis=(0, 1))
        np.testing.assert_allclose(of.mutual[row], mutual, rtol=1e-9)


@pytest.mark.parametrize("counts", [(2, 2, 1), (40,), (1, 1, 1)])
def test_draws_are_compared_pair_by_pair(counts):
    draws, y = RNG.integers(5, size=(sum(counts), 6)).astype(float), RNG.normal(size=6)  # with ties
    of = drawn_distances(torch.from_numpy(draws), torch.from_numpy(y), counts)
    for row, group in enumerate([-1, *range(len(counts))] if len(counts) > 1 else [-1]):
        kept = without(draws, counts, group)
        np.testing.assert_allclose(of.near[row], np.abs(kept - y).mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(of.mutual[row], pairs(kept) / len(kept) ** 2, atol=1e-12)
    assert not of.own.any()


def test_narrow_normals_are_points():
    draws, y = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.zeros(5)
    points, normals = (
        drawn_distances(draws, y.double(), (10, 20)),
        normal_distances(draws, torch.full_like(draws, 1e-150), y.double(), (10, 20)),
    )
    for fair in (False, True):
        np.testing.assert_allclose(normals.crps(fair=fair), points.crps(fair=fair), rtol=1e-12)


def test_far_from_zero_nothing_cancels():
    draws, y = torch.from_numpy(RNG.normal(size=(20, 5))), torch.from_numpy(RNG.normal(size=5))
    std = torch.ones(1, 5, dtype=torch.float64)
    for near, far in (
        (drawn_distances(draws, y, (20,)), drawn_distances(draws + 2.0**30, y + 2.0**30, (20,))),
        (normal_distances(draws, std, y, (20,)), normal_distances(draws + 2.0**30, std, y + 2.0**30, (20,))),
    ):
        np.testing.assert_allclose(far.crps(fair=False), near.crps(fair=False), rtol=1e-6)


def test_the_fair_score_leaves_out_pairs_of_the_same_draw():
    draws, y = RNG.normal(size=(6, 1)), np.array([0.4])
    expected = np.abs(draws - y).mean() - pairs(draws)[0] / (2 * 6 * 5)
    of = drawn_distances(torch.from_numpy(draws), torch.from_numpy(y), (6,))
    assert of.crps(fair=True).item() == pytest.approx(expected, rel=1e-12)


def test_sums_without_a_group_keep_small_shares():
    shares = torch.tensor([1.0, 1e-30], dtype=torch.float64)
    assert with_deleted_sums(shares).tolist() == [1.0, 1e-30, 1.0]
    assert with_deleted_means(shares[:, None], (1, 1)).flatten().tolist() == [0.5, 1e-30, 1.0]
    assert with_deleted_means(torch.tensor([[1.0], [3.0]]), (2,)).tolist() == [[2.0]]
