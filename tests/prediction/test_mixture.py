import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.errors import InputError
from mcdrop.prediction.mixture import (
    empirical_quantile,
    log_mean_exp,
    normal_cdf,
    normal_quantile,
    poisson_cdf,
    poisson_quantile,
)
from tests import reference

PROBABILITIES = [1e-6, 0.025, 0.3, 0.5, 0.9, 0.975, 1 - 1e-6]


def normals(draws=20, rows=300, seed=0):
    """Mixtures of every kind: close together, far apart, of scales that differ by a thousand."""
    generator = torch.Generator().manual_seed(seed)
    spreads = torch.logspace(-2, 3, rows, dtype=torch.float64)
    mean = 5 + spreads * torch.randn(draws, rows, generator=generator, dtype=torch.float64)
    std = torch.exp(2 * torch.randn(draws, rows, generator=generator, dtype=torch.float64))
    return mean, std


def test_log_mean_exp_is_scipys():
    values = np.random.default_rng(0).normal(-700, 50, size=(30, 4, 2))
    expected = special.logsumexp(values, axis=0, b=1 / 30)
    np.testing.assert_allclose(log_mean_exp(torch.from_numpy(values)), expected, rtol=1e-14)
    assert log_mean_exp(torch.tensor([-math.inf, -math.inf])) == -math.inf


@pytest.mark.parametrize("q", PROBABILITIES)
def test_the_normal_quantile_inverts_the_cdf(q):
    mean, std = normals()
    y = normal_quantile(mean, std, q)
    np.testing.assert_allclose(normal_cdf(mean, std, y), q, atol=1e-9 * min(q, 1 - q) + 1e-15, rtol=0)
    np.testing.assert_allclose(stats.norm.cdf(y, mean, std).mean(axis=0), q, atol=1e-9, rtol=0)


@pytest.mark.parametrize("q", PROBABILITIES)
def test_one_normal_is_scipys(q):
    y = normal_quantile(torch.from_numpy(np.array([[1.5, -3.0]])), torch.from_numpy(np.array([[0.1, 40.0]])), q)
    np.testing.assert_allclose(y, stats.norm.ppf(q, [1.5, -3], [0.1, 40]), rtol=1e-9)


def test_a_gap_without_density_is_crossed():
    mean, std = torch.tensor([[-1e6], [1e6], [1e6]]).double(), torch.full((3, 1), 1e-3, dtype=torch.float64)
    y = normal_quantile(mean, std, 1 / 3 + 1e-9)
    np.testing.assert_allclose(normal_cdf(mean, std, y), 1 / 3 + 1e-9, atol=1e-12)


def test_float32_quantiles_end_at_the_precision_there_is():
    mean, std = (t.float() for t in normals())
    y = normal_quantile(mean, std, 0.3)
    np.testing.assert_allclose(normal_cdf(mean.double(), std.double(), y.double()), 0.3, atol=1e-3)


def test_poisson_cdf_adds_up_probabilities():
    rates = np.array([[0.1], [3.0], [20.0]])
    for k in (0, 1, 4, 30):
        expected = stats.poisson.pmf(np.arange(k + 1)[:, None], rates[:, 0]).sum(axis=0).mean()
        actual = poisson_cdf(torch.from_numpy(rates), torch.tensor([float(k)]).double())
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
    steps = poisson_cdf(torch.from_numpy(rates), torch.tensor([-1.0]).double())
    assert steps == 0
    between = poisson_cdf(torch.from_numpy(rates), torch.tensor([4.7]).double())
    assert between == poisson_cdf(torch.from_numpy(rates), torch.tensor([4.0]).double())


@pytest.mark.parametrize("q", [1e-4, 0.025, 0.5, 0.8, 0.975, 0.9999])
def test_poisson_quantiles_are_brute_force(q):
    rates = np.random.default_rng(0).gamma(1, 10, size=(6, 25))
    expected = [reference.poisson_mixture_quantile(column, q) for column in rates.T]
    assert poisson_quantile(torch.from_numpy(rates), q).tolist() == expected


def test_one_poisson_is_scipys():
    rates = torch.from_numpy(np.array([[1e-3, 0.7, 12.0, 1e4, 1e8]]))
    for q in (0.025, 0.5, 0.975):
        np.testing.assert_array_equal(poisson_quantile(rates, q), stats.poisson.ppf(q, rates[0]))


@pytest.mark.parametrize("q", [0.025, 0.5, 0.77])
def test_empirical_quantiles_are_numpys(q):
    draws = np.random.default_rng(0).normal(size=(7, 3, 2))
    np.testing.assert_allclose(
        empirical_quantile(torch.from_numpy(draws), q), np.quantile(draws, q, axis=0), rtol=1e-13
    )
    assert empirical_quantile(torch.tensor([[2.0]]), q) == 2


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_quantiles_need_a_probability(q):
    ones = torch.ones(2, 1)
    for quantile in (lambda: normal_quantile(ones, ones, q), lambda: poisson_quantile(ones, q)):
        with pytest.raises(InputError, match=f"q={q} given, a quantile needs a probability between 0 and 1"):
            quantile()
    with pytest.raises(InputError, match=f"q={q} given"):
        empirical_quantile(ones, q)
