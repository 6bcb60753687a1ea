import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise import BernoulliLaw, GaussianDropout, GaussianLaw
from tests.noise.laws import check_independent_pairs, check_layer_draws_its_law, check_moments, draws

P = [0.02, 0.5, 0.9]


@pytest.mark.parametrize("p", P)
def test_moments_and_pairs(p: float) -> None:
    check_moments(GaussianLaw(p))
    z = draws(GaussianLaw(p))
    check_independent_pairs(z[:, 0], z[:, 1])
    assert stats.kstest(z[:, 0].numpy(), stats.norm(1, (p / (1 - p)) ** 0.5).cdf).pvalue > 1e-4


@pytest.mark.parametrize("p", P)
def test_against_scipy_and_the_bernoulli_law(p: float) -> None:
    law, normal = GaussianLaw(p), stats.norm(1, (p / (1 - p)) ** 0.5)
    assert (law.mean, law.variance) == pytest.approx((BernoulliLaw(p).mean, BernoulliLaw(p).variance))
    assert law.entropy == pytest.approx(normal.entropy())
    z = torch.tensor([-1.0, 0.0, 1.5], dtype=torch.float64)
    assert law.log_prob(z).tolist() == pytest.approx(normal.logpdf(z).tolist())


def test_the_layer_draws_its_law() -> None:
    check_layer_draws_its_law(GaussianDropout(0.3), (1000, 100))


def test_no_noise_is_one_point() -> None:
    x = torch.randn(3)
    assert GaussianDropout(0)(x) is x
    assert (GaussianLaw(0).sample((4,), torch.Generator()) == 1).all()
    with pytest.raises(UnavailableError, match="is one point: it has no density"):
        GaussianLaw(0).log_prob(x)
    with pytest.raises(UnavailableError, match="is one point"):
        _ = GaussianLaw(0).entropy


@pytest.mark.parametrize("make", [GaussianDropout, GaussianLaw])
def test_refuses_what_is_no_rate(make) -> None:
    with pytest.raises(InputError, match=r"expected a probability of zeroing in \[0, 1\]"):
        make(1.5)
    with pytest.raises(InputError, match=r"p = 1 was given; .* needs p in \[0, 1\)"):
        make(1.0)
