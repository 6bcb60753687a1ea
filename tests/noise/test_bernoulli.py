import math

import pytest
import torch
from scipy import stats
from torch import nn

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout, BernoulliLaw, OriginalDropout
from tests.noise.laws import N, check_independent_pairs, check_layer_draws_its_law, check_moments, draws

P = [0.02, 0.5, 0.9]


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("inverted", [True, False])
def test_moments_and_pairs(p: float, inverted: bool) -> None:
    law = BernoulliLaw(p, inverted)
    check_moments(law)
    z = draws(law)
    assert ((z == 0).double().mean(0) - p).abs().max() <= 4 * math.sqrt(p * (1 - p) / N)
    check_independent_pairs(z[:, 0], z[:, 1])


@pytest.mark.parametrize("p", P)
def test_against_scipy(p: float) -> None:
    kept = stats.bernoulli(1 - p)
    original, inverted = BernoulliLaw(p, inverted=False), BernoulliLaw(p)
    assert (original.mean, original.variance) == pytest.approx((kept.mean(), kept.var()))
    assert (inverted.mean, inverted.variance) == pytest.approx((1, p / (1 - p)))
    assert inverted.entropy == pytest.approx(kept.entropy())
    assert original.log_prob(torch.tensor([0.0, 1.0])).tolist() == pytest.approx(kept.logpmf([0, 1]).tolist())
    assert original.log_prob(torch.tensor([0.5])).item() == -math.inf


@pytest.mark.parametrize(("p", "value", "entropy"), [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
def test_certain_probabilities(p: float, value: float, entropy: float) -> None:
    law = BernoulliLaw(p)
    assert (law.sample((5,), torch.Generator()) == value).all()
    assert (law.mean, law.variance, law.entropy) == (value, 0, entropy)
    assert law.log_prob(torch.tensor([value])).item() == 0
    x = torch.randn(5)
    assert torch.equal(BernoulliDropout(p)(x), nn.Dropout(p)(x))
    assert torch.equal(OriginalDropout(p)(x), x * value)
    assert torch.equal(OriginalDropout(p).eval()(x), x * value)


@pytest.mark.parametrize("p", P)
def test_the_layer_is_torchs(p: float) -> None:
    """The same numbers from torch's generator, the same output and gradient."""
    results = []
    for layer in (BernoulliDropout(p), nn.Dropout(p)):
        x = torch.linspace(-2, 2, 1000, dtype=torch.float64).requires_grad_()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            output = layer(x)
        output.square().sum().backward()
        results.append((output.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-15, atol=0)


def test_the_layers_draw_their_laws() -> None:
    check_layer_draws_its_law(BernoulliDropout(0.3), (1000, 100))


@pytest.mark.parametrize("p", P)
def test_the_original_scheme_keeps_the_mean(p: float) -> None:
    layer, x = OriginalDropout(p), torch.full((N,), 3.0, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = layer(x)
    assert set(z.unique().tolist()) == {0.0, 3.0}
    assert abs(z.mean() - layer.eval()(x[:1])) <= 4 * 3 * math.sqrt(p * (1 - p) / N)
    assert layer(x[:1]).item() == pytest.approx(3 * (1 - p))


def test_half_precision_rounds_once() -> None:
    x = torch.ones(1000, dtype=torch.bfloat16)
    kept = BernoulliDropout(0.1)(x)
    assert kept.dtype == torch.bfloat16
    assert kept.max() == torch.tensor(1 / 0.9, dtype=torch.bfloat16)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan"), "0.5", True, None])
@pytest.mark.parametrize("make", [BernoulliDropout, OriginalDropout, BernoulliLaw])
def test_refuses_what_is_no_probability(make, p: object, without_type_checks) -> None:
    with pytest.raises(InputError, match=r"was given; expected a probability of zeroing in \[0, 1\]"):
        make(p)
