import numpy as np
import pytest
import torch

from mcdrop.calibration.mixture_quantiles import draws_without_each, normal_quantiles, poisson_quantiles
from mcdrop.prediction.mixture import normal_cdf, normal_quantile, poisson_quantile

GENERATOR = torch.Generator().manual_seed(0)
MEAN = torch.randn(40, 200, generator=GENERATOR, dtype=torch.float64)
COUNTS = (3,) * 13 + (1,)
CHOICES = [torch.arange(40), *draws_without_each(COUNTS)]


@pytest.mark.parametrize("q", [0.025, 0.5, 0.9, 1 - 1e-6])
@pytest.mark.parametrize("width", [3.0, 0.5, 0.01, 1e-4])
def test_normal_mixtures_reach_q_at_each_quantile(q, width):
    """Also where they have gaps (narrow components): at q = .5 and .9 the quantile of all 40 draws lies in one.

    Without a group a fiftieth of the way from the quantile of all draws may be left.
    """
    std = torch.full((1, 200), width, dtype=torch.float64)
    found = normal_quantiles(MEAN, std, q, COUNTS)
    for number, (quantile, kept) in enumerate(zip(found, CHOICES, strict=True)):
        wide = std.expand(len(kept), -1)
        off = (normal_cdf(MEAN[kept], wide, quantile) - q).abs()
        way = (normal_cdf(MEAN[kept], wide, found[0]) - q).abs() if number else torch.zeros(200)
        # where F is steep, the next float is further off
        beside = normal_cdf(MEAN[kept], wide, quantile * (1 + 4e-16)) - normal_cdf(MEAN[kept], wide, quantile)
        assert (off <= 0.02 * way + 1e-10 * min(q, 1 - q) + 2 * beside.abs() + 4e-15).all()


def test_quantiles_of_all_draws_are_those_of_the_prediction():
    std = torch.rand(40, 200, generator=GENERATOR, dtype=torch.float64) + 0.1
    for q in (0.01, 0.3, 0.95):
        np.testing.assert_allclose(
            normal_quantiles(MEAN, std, q, (40,))[0], normal_quantile(MEAN, std, q), rtol=1e-8, atol=1e-8
        )


def test_equal_draws_have_the_quantile_of_one():
    same = torch.full((4, 3), 5.0, dtype=torch.float64)
    found = normal_quantiles(same, torch.full((1, 3), 2.0, dtype=torch.float64), 0.975, (2, 2))
    np.testing.assert_allclose(found, 5 + 2 * 1.959963984540054, rtol=1e-12)


@pytest.mark.parametrize("level", [-2.0, 1.0, 6.0])
def test_poisson_mixtures_have_the_quantiles_of_each_choice(level):
    rate = (MEAN / 2 + level).exp()
    for q in (0.05, 0.5, 0.975):
        found = poisson_quantiles(rate, q, COUNTS)
        for quantile, kept in zip(found, CHOICES, strict=True):
            assert torch.equal(quantile, poisson_quantile(rate[kept], q))
