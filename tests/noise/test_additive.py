import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise import AdditiveLaw, GaussianNoise
from tests.noise.laws import check_independent_pairs, check_layer_draws_its_law, check_moments, draws


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_moments_and_pairs(std: float) -> None:
    check_moments(AdditiveLaw(std))
    z = draws(AdditiveLaw(std))
    check_independent_pairs(z[:, 0], z[:, 1])
    assert stats.kstest(z[:, 0].numpy(), stats.norm(0, std).cdf).pvalue > 1e-4


def test_against_scipy() -> None:
    law, normal = AdditiveLaw(0.7), stats.norm(0, 0.7)
    assert law.entropy == pytest.approx(normal.entropy())
    z = torch.tensor([-1.0, 0.0, 1.5], dtype=torch.float64)
    assert law.log_prob(z).tolist() == pytest.approx(normal.logpdf(z).tolist())


def test_the_layer_draws_its_law_and_adds_it() -> None:
    check_layer_draws_its_law(GaussianNoise(0.3), (1000, 100), summand=True)
    outputs = []
    for x in (torch.zeros(5), torch.full((5,), 4.0)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            outputs.append(GaussianNoise(0.3)(x))
    torch.testing.assert_close(outputs[1] - outputs[0], torch.full((5,), 4.0))


def test_no_noise_is_one_point() -> None:
    x = torch.randn(3)
    assert GaussianNoise(0)(x) is x
    with pytest.raises(UnavailableError, match="is one point: it has no density"):
        AdditiveLaw(0).log_prob(x)


@pytest.mark.parametrize("std", [-1.0, float("inf"), float("nan"), True, "1"])
@pytest.mark.parametrize("make", [GaussianNoise, AdditiveLaw])
def test_refuses_what_is_no_standard_deviation(make, std: object, without_type_checks) -> None:
    with pytest.raises(InputError, match="expected a standard deviation, finite and >= 0"):
        make(std)
