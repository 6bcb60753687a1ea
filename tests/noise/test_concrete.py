import itertools
import math

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout, BernoulliLaw, ConcreteDropout, ConcreteLaw, SpatialDropout
from mcdrop.noise.concrete import factor
from tests.noise.laws import check_independent_pairs, check_layer_draws_its_law, check_moments, draws

LAWS = [ConcreteLaw(0.2), ConcreteLaw(0.5, 0.5), ConcreteLaw(0.9, 0.3), ConcreteLaw(0.02, 0.05)]


def equation_5(u: float, p: float, t: float) -> float:
    """z / (1 - p), with 1 - the paper's z for what is kept."""
    exponent = (math.log(p) - math.log(1 - p) + math.log(u) - math.log(1 - u)) / t
    return (1 - 1 / (1 + math.exp(-exponent))) / (1 - p) if abs(exponent) < 700 else (exponent < 0) / (1 - p)


@pytest.mark.parametrize("law", [ConcreteLaw(0.3, 0.6), ConcreteLaw(0.5, 0.7), ConcreteLaw(0.8, 0.8)])
def test_moments_and_pairs(law: ConcreteLaw) -> None:
    check_moments(law)
    z = draws(law)
    check_independent_pairs(z[:, 0], z[:, 1])


@pytest.mark.parametrize("law", LAWS)
def test_moments_against_scipys_integrals(law: ConcreteLaw) -> None:
    p, t = law.p, law.temperature

    def expected(function) -> float:
        split = [0, *[1 / (1 + math.exp(law.logit + k * t)) for k in (8, 4, 0, -4, -8)], 1]
        parts = itertools.pairwise(split)
        return sum(integrate.quad(lambda u: function(equation_5(u, p, t)), *part, epsabs=1e-12)[0] for part in parts)

    assert law.mean == pytest.approx(expected(lambda z: z), abs=1e-9)
    assert law.variance == pytest.approx(expected(lambda z: (z - law.mean) ** 2), abs=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_the_density_integrates_to_the_probability_between_quantiles(law: ConcreteLaw) -> None:
    """z falls in u, so that between z(u_1) and z(u_2) lies the probability u_1 - u_2."""

    def density(z: float) -> float:
        return law.log_prob(torch.tensor([z], dtype=torch.float64)).exp().item()

    middle = 1 - law.p  # of u: k = 1/2
    for high, low in (
        (middle + 0.1 * law.temperature * law.p, middle),
        (middle, middle - 0.3 * law.temperature * middle),
    ):
        z = [equation_5(u, law.p, law.temperature) for u in (high, low)]
        assert integrate.quad(density, *z)[0] == pytest.approx(high - low, rel=1e-7)


def test_the_density_outside_and_at_the_ends() -> None:
    law = ConcreteLaw(0.2)
    z = torch.tensor([-0.1, 0.0, 1.25, 1.3], dtype=torch.float64)
    assert law.log_prob(z).tolist() == [-math.inf, math.inf, math.inf, -math.inf]


@pytest.mark.parametrize("law", LAWS)
def test_draws_are_equation_5(law: ConcreteLaw) -> None:
    u = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = law.sample((1000,), torch.Generator().manual_seed(0), torch.float64)
    expected = [equation_5(one, law.p, law.temperature) for one in u.tolist()]
    torch.testing.assert_close(z, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_more_than_half_is_kept_with_probability_1_minus_p(law: ConcreteLaw) -> None:
    z = law.sample((10**6,), torch.Generator().manual_seed(0), torch.float64)
    kept = int((z * (1 - law.p) > 0.5).sum())
    assert stats.binomtest(kept, 10**6, 1 - law.p).pvalue > 1e-4


def test_as_the_temperature_falls_it_is_the_bernoulli_law() -> None:
    off = [abs(ConcreteLaw(0.2, t).variance / BernoulliLaw(0.2).variance - 1) for t in (0.1, 0.05, 0.025)]
    assert off[0] == pytest.approx(0.1, abs=0.01)  # smaller by about the share t
    assert off[1] == pytest.approx(off[0] / 2, rel=0.05)
    assert off[2] == pytest.approx(off[1] / 2, rel=0.05)
    assert ConcreteLaw(0.2, 1e-3).mean == pytest.approx(1, abs=1e-6)


def test_the_layer_draws_its_law() -> None:
    check_layer_draws_its_law(ConcreteDropout(0.3).double(), (1000, 100))
    check_layer_draws_its_law(ConcreteDropout(0.3, whole_channels=True).double(), (500, 200, 3, 2))


def test_whole_channels_share_a_value() -> None:
    z = ConcreteDropout(0.3, whole_channels=True)(torch.ones(4, 5, 3, 2))
    assert torch.equal(z, z[:, :, :1, :1].expand_as(z))
    assert len(z.unique()) > 5


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_gradients_to_the_input_and_to_the_rate(p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x, uniform = (torch.rand(7, dtype=torch.float64, generator=generator) for _ in range(2))
    logit = torch.tensor(math.log(p / (1 - p)), dtype=torch.float64, requires_grad=True)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, logit: x * factor(logit, uniform, 0.1), (x, logit))


def test_the_gradient_of_the_mean_square_in_p_is_that_of_the_closed_form() -> None:
    """d/dp E[z^2] by many draws against the difference quotient of mean^2 + variance."""
    layer = ConcreteDropout(0.3).double()
    ones = torch.ones(10**6, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = layer(ones)
    z.square().mean().backward()

    def mean_square(p: float) -> float:
        law = ConcreteLaw(p)
        return law.mean**2 + law.variance

    expected = (mean_square(0.3 + 1e-4) - mean_square(0.3 - 1e-4)) / 2e-4 * 0.3 * 0.7  # in the logit
    assert layer.logit.grad.item() == pytest.approx(expected, rel=0.02)


def test_extreme_numbers_give_no_nan() -> None:
    logit = torch.tensor(-3.0, requires_grad=True)
    z = factor(logit, torch.tensor([0.0, 1e-45, 1.0]), 0.1)
    z.sum().backward()
    assert z[2] == 0
    assert z.isfinite().all()
    assert logit.grad.isfinite()


def test_the_rate_as_it_stands() -> None:
    layer = ConcreteDropout(0.2)
    assert layer.p.item() == pytest.approx(0.2)
    assert [name for name, _ in layer.named_parameters()] == ["logit"]
    with torch.no_grad():
        layer.logit.zero_()
    assert layer.law == ConcreteLaw(0.5)
    words = repr(layer)
    with torch.no_grad():
        layer.logit.fill_(1.0)
    assert repr(layer) == words  # by which a checkpoint knows its network again
    fresh = ConcreteDropout(0.1)
    fresh.load_state_dict(layer.state_dict())
    assert fresh.p == layer.p


def test_what_leaves_the_input_as_it_is() -> None:
    x = torch.randn(3, 4)
    before = x.clone()
    assert ConcreteDropout().eval()(x) is x
    assert ConcreteDropout()(x.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(x, before)


def test_the_same_rate_with_masks_of_0_and_1() -> None:
    plain = ConcreteDropout(0.3).eval().as_bernoulli()
    assert isinstance(plain, BernoulliDropout)
    assert plain.p == pytest.approx(0.3)
    assert not plain.training
    channels = ConcreteDropout(0.3, whole_channels=True).as_bernoulli()
    assert isinstance(channels, SpatialDropout)
    assert channels.training


@pytest.mark.parametrize("make", [ConcreteDropout, ConcreteLaw])
def test_refuses_what_is_no_rate_or_temperature(make) -> None:
    for p in (0.0, 1.0):
        with pytest.raises(InputError, match=r"a rate that is learned needs p in \(0, 1\)"):
            make(p)
    with pytest.raises(InputError, match=r"expected a probability of zeroing"):
        make(float("nan"))
    for t in (0.0, 1.0, -0.1, float("nan"), True):
        with pytest.raises(InputError, match=rf"temperature={t!r} was given; expected a number in \(0, 1\)"):
            make(0.1, temperature=t)


def test_whole_channels_need_positions() -> None:
    with pytest.raises(InputError, match="expected rows, channels and at least one axis"):
        ConcreteDropout(whole_channels=True)(torch.ones(3, 4))
    shape: Tensor = ConcreteDropout(whole_channels=True).eval()(torch.ones(3, 4))
    assert shape.shape == (3, 4)
