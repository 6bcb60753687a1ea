import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.calibration.poisson_distances import poisson_cdf_and_pmf, poisson_distances

RNG = np.random.default_rng(0)


def literal(rates, y, top):
    """`sum_k (F(k) - 1[k >= y])^2`, term by term."""
    k = np.arange(top)
    shares = stats.poisson.cdf(k[:, None], rates).mean(axis=1)
    return ((shares - (k >= y)) ** 2).sum()


@pytest.mark.parametrize(
    ("rates", "y", "top"),
    [
        ([0.01, 0.02], 0, 100),
        ([0.5, 3.0, 7.0], 2, 200),
        ([0.5, 3.0, 7.0], 60, 200),
        ([15.9, 40.0], 20, 300),
        ([16.1, 40.0], 0, 300),  # in steps of 2 from here on
        ([36.5, 36.5, 37.0], 30, 300),  # of 3
        ([400.0, 420.0, 900.0], 500, 2000),  # of 10
        ([1e5, 1.01e5], 100_500, 200_000),  # of 158
        ([2.0, 5000.0], 10, 8000),
    ],
)
def test_it_is_the_sum_over_all_counts(rates, y, top):
    of = poisson_distances(
        torch.tensor(rates, dtype=torch.float64)[:, None], torch.tensor([y], dtype=torch.float64), (len(rates),)
    )
    assert of.crps(fair=False).item() == pytest.approx(literal(np.array(rates), y, top), rel=3e-8, abs=3e-11)


def test_one_poisson_law_has_the_closed_form_of_wei_and_held():
    rate, y = RNG.uniform(0.1, 30, size=50), RNG.poisson(8, size=50)
    bessel = special.ive(0, 2 * rate) + special.ive(1, 2 * rate)
    expected = (y - rate) * (2 * stats.poisson.cdf(y, rate) - 1) + rate * (2 * stats.poisson.pmf(y, rate) - bessel)
    of = poisson_distances(torch.from_numpy(rate)[None], torch.from_numpy(y).double(), (1,))
    np.testing.assert_allclose(of.crps(fair=False)[0], expected, rtol=3e-8)
    np.testing.assert_allclose(of.mutual, of.own, rtol=3e-9)


@pytest.mark.parametrize("level", [2.0, 60.0])
def test_without_each_group_it_is_that_of_the_others(level):
    counts = (2, 3, 1)
    rate, y = torch.from_numpy(RNG.uniform(level, 2 * level, size=(6, 4))), torch.tensor([0.0, 1.0, 80.0, 3.0]).double()
    of = poisson_distances(rate, y, counts)
    for row, kept in enumerate([[0, 1, 2, 3, 4, 5], [2, 3, 4, 5], [0, 1, 5], [0, 1, 2, 3, 4]]):
        alone = poisson_distances(rate[kept], y, (len(kept),))
        for fair in (False, True):
            np.testing.assert_allclose(of.crps(fair=fair)[row], alone.crps(fair=fair)[0], rtol=1e-9)


def test_the_fair_score_is_without_bias_over_draws():
    """Rates from a gamma law; infinitely many draws are the negative binomial law, whose score is summed up."""
    repetitions, draws = 4000, 4
    rates = torch.from_numpy(np.random.default_rng(1).gamma(3.0, 1.0, size=(draws, repetitions)))
    fair = poisson_distances(rates, torch.full((repetitions,), 2.0).double(), (draws,)).crps(fair=True)[0].numpy()
    k = np.arange(400)
    truth = ((stats.nbinom.cdf(k, 3, 0.5) - (k >= 2)) ** 2).sum()
    assert abs(fair.mean() - truth) < 4 * fair.std() / np.sqrt(repetitions)


def test_cdf_and_pmf_are_scipys():
    rate, y = RNG.uniform(0.1, 50, size=(3, 20)), RNG.poisson(10, size=20)
    cdf, pmf = poisson_cdf_and_pmf(torch.from_numpy(rate), torch.from_numpy(y).double())
    np.testing.assert_allclose(cdf, stats.poisson.cdf(y, rate), rtol=1e-9)
    np.testing.assert_allclose(pmf, stats.poisson.pmf(y, rate), rtol=1e-9)
