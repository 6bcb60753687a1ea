import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.posterior import Antithetic, Independent, Stratified
from mcdrop.sampling.enumerated import forest
from mcdrop.sampling.subnetwork import SubNetwork
from tests.networks import trained_looking
from tests.sampling.test_exactness import TwelveUnits, enumerated


@pytest.fixture(scope="module")
def case():
    model = trained_looking(TwelveUnits())
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return model, x, forest(model, x)


def test_against_the_enumeration_by_hand(case) -> None:
    """Masks in another order, so the laws are compared."""
    model, x, trees = case
    outputs, probability = enumerated(model, x)
    assert trees.outputs.shape == outputs.shape == (4096, 4, 3)
    mean = (outputs * probability[:, None, None]).sum(dim=0)
    torch.testing.assert_close(trees.mean, mean)
    torch.testing.assert_close(trees.variance, ((outputs - mean).square() * probability[:, None, None]).sum(dim=0))
    torch.testing.assert_close(trees.outputs[:, 0, 0].sort().values, outputs[:, 0, 0].sort().values)
    torch.testing.assert_close(trees.probability.sort().values, probability.sort().values)
    probs = (outputs.softmax(dim=-1) * probability[:, None, None]).sum(dim=0)
    torch.testing.assert_close(trees.expectation(lambda y: y.softmax(dim=-1)), probs)


def test_each_output_is_its_sub_networks(case) -> None:
    model, x, trees = case
    for index in (0, 1234, 4095):
        torch.testing.assert_close(SubNetwork(model, trees.masks.mask(index))(x), trees.outputs[index])


def test_the_loop_gives_the_same(case) -> None:
    model, x, _ = case
    sites = mcdrop.Sites(only=0)
    fast, slow = (forest(model, x, sites=sites, plan=mcdrop.Plan(execution=e)) for e in ("vectorised", "loop"))
    assert slow.outputs.shape == (32, 4, 3)
    torch.testing.assert_close(fast.outputs, slow.outputs)


@pytest.mark.parametrize("design", [Independent(), Antithetic(), Stratified(20), Stratified(8)], ids=repr)
def test_monte_carlo_of_every_design_agrees(case, design) -> None:
    """Within four of the errors that the blocks of draws report; 30,000 draws make those small."""
    model, x, trees = case
    T = 30_000
    prediction = mcdrop.predict(model, x, likelihood=mcdrop.Identity(), num_samples=T, seed=1, design=design)
    assert ((prediction.mean - trees.mean).abs() <= 4 * prediction.mc_error).all()
    assert (prediction.mc_error <= 1.05 * (trees.variance / T).sqrt()).all()
    fourth = trees.expectation(lambda y: (y - trees.mean).pow(4))
    error = ((fourth - trees.variance.square()) / T).sqrt()
    assert ((prediction.variance - trees.variance).abs() <= 4 * error).all()


def test_refuses_what_is_too_large_or_has_nothing_to_drop() -> None:
    with pytest.raises(InputError, match=r"24 units can be dropped, which makes 2\^24 masks"):
        forest(nn.Sequential(nn.Dropout(0.5), nn.Linear(24, 1)), torch.ones(2, 24))
    with pytest.raises(mcdrop.errors.NoSiteError):
        forest(nn.Linear(2, 1), torch.ones(2, 2))
