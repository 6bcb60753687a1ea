"""Monte Carlo against the enumeration of all masks, within bounds that a 5 % bias would break."""

import itertools

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from tests.networks import trained_looking

P = (0.3, 0.5)
UNITS = (5, 7)
T = 60_000
Z = 4.0
"""Standard errors allowed: a false alarm once in 16,000 comparisons."""


class TwelveUnits(nn.Module):
    """3-5-7-3 with dropout on both hidden layers: 2^12 sub-networks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 5), nn.Linear(5, 7), nn.Linear(7, 3)
        self.drops = nn.ModuleList(nn.Dropout(p) for p in P)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drops[0](self.first(x).tanh())
        return self.last(self.drops[1](self.second(x).tanh()))


def enumerated(model: TwelveUnits, x: Tensor) -> tuple[Tensor, Tensor]:
    """The output for every mask, (4096, N, 3), written out by hand, and the masks' probabilities."""
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=sum(UNITS))), dtype=torch.float64)
    first, second = masks.split(UNITS, dim=1)
    probability = torch.ones(len(masks), dtype=torch.float64)
    for mask, p in ((first, P[0]), (second, P[1])):
        p = mcdrop.noise.used_probability(p)
        probability *= (mask * (1 - p) + (1 - mask) * p).prod(dim=1)
    with torch.no_grad():
        hidden = model.first(x).tanh() * first[:, None] / (1 - mcdrop.noise.used_probability(P[0]))
        hidden = model.second(hidden).tanh() * second[:, None] / (1 - mcdrop.noise.used_probability(P[1]))
        return model.last(hidden), probability


def entropy(p: Tensor) -> Tensor:
    return -torch.special.xlogy(p, p).sum(dim=-1)


@pytest.fixture(scope="module")
def case() -> tuple[TwelveUnits, Tensor, Tensor, Tensor]:
    model = trained_looking(TwelveUnits())
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs, probability = enumerated(model, x)
    assert probability.sum().item() == pytest.approx(1, abs=1e-12)
    return model, x, outputs, probability


def check(estimate: Tensor, truth: Tensor, influence: Tensor, probability: Tensor) -> None:
    """|estimate - truth| <= Z standard errors, of a statistic whose influence function is given for every mask; and the
    bound is so tight that a bias of 5 % would break it."""
    weights = probability.view(-1, *[1] * (influence.ndim - 1))
    centred = influence - (influence * weights).sum(dim=0)
    bound = Z * ((centred.square() * weights).sum(dim=0) / T).sqrt()
    assert ((estimate - truth).abs() <= bound).all()
    assert ((1.05 * truth - truth).abs() > 1.5 * bound).float().mean() >= 0.5
    assert not ((1.05 * estimate - truth).abs() <= bound).all()


@pytest.mark.parametrize("options", [{}, {"shared_masks": False}, {"design": mcdrop.Stratified(20)}], ids=str)
def test_regression(case, options) -> None:
    model, x, outputs, probability = case
    weights = probability[:, None, None]
    mean = (outputs * weights).sum(dim=0)
    variance = ((outputs - mean).square() * weights).sum(dim=0)
    prediction = mcdrop.predict(
        model, x, likelihood=mcdrop.Gaussian(precision=4.0), num_samples=T, seed=1, keep_samples=False, **options
    )
    check(prediction.mean, mean, outputs, probability)
    check(prediction.epistemic, variance, (outputs - mean).square(), probability)
    torch.testing.assert_close(prediction.aleatoric, torch.full_like(mean, 0.25))
    assert torch.equal(prediction.variance, prediction.epistemic + prediction.aleatoric)
    assert prediction.provenance.execution == "vectorised"


@pytest.mark.parametrize("options", [{}, {"shared_masks": False}, {"design": mcdrop.Antithetic()}], ids=str)
def test_classification(case, options) -> None:
    model, x, outputs, probability = case
    weights = probability[:, None, None]
    p = outputs.softmax(dim=-1)
    mean = (p * weights).sum(dim=0)
    expected = (entropy(p) * weights[..., 0]).sum(dim=0)
    prediction = mcdrop.predict(model, x, likelihood=mcdrop.Categorical(), num_samples=T, seed=2, **options)
    check(prediction.probs, mean, p, probability)
    check(prediction.epistemic, ((p - mean).square() * weights).sum(dim=0), (p - mean).square(), probability)
    # d H(m) / d m_c = -log m_c - 1
    slope = -(mean.log() + 1)
    check(prediction.predictive_entropy, entropy(mean), (p * slope).sum(dim=-1), probability)
    check(prediction.expected_entropy, expected, entropy(p), probability)
    check(prediction.mutual_information, entropy(mean) - expected, (p * slope).sum(dim=-1) - entropy(p), probability)


def test_log_likelihood(case) -> None:
    """Gal & Ghahramani 2016, eq. 8: log of the average density."""
    model, x, outputs, probability = case
    y = outputs[0] + 0.3
    normal = torch.distributions.Normal(outputs, 0.5)
    density = normal.log_prob(y).exp()
    truth = (density * probability[:, None, None]).sum(dim=0)
    prediction = mcdrop.predict(model, x, likelihood=mcdrop.Gaussian(precision=4.0), num_samples=T, seed=3)
    check(prediction.log_prob(y).exp(), truth, density, probability)


def test_mc_error_is_the_error(case) -> None:
    """(mean - truth) / mc_error over 200 seeds: its mean square is 1 within 4 standard errors."""
    model, x, outputs, probability = case
    mean = (outputs * probability[:, None, None]).sum(dim=0)
    squares = []
    for seed in range(200):
        prediction = mcdrop.predict(model, x, likelihood=mcdrop.Identity(), num_samples=100, seed=seed)
        squares.append(((prediction.mean - mean) / prediction.mc_error).square())
    ratio = torch.stack(squares)[:, 0, 0]
    # z^2 of a t variable with 99 degrees of freedom: mean 99/97, variance close to 2.
    assert abs(ratio.mean().item() - 99 / 97) < 4 * (2.2 / 200) ** 0.5
