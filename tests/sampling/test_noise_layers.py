"""The layers of mcdrop.noise are written in plain torch, and MC dropout finds and controls them like anybody's."""

import math

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.noise import BernoulliDropout, DropPath, GaussianDropout, GaussianNoise, OriginalDropout, SpatialDropout
from mcdrop.sampling.subnetwork import SubNetwork, mask_of_draw, units_for

pytestmark = pytest.mark.usefixtures("without_type_checks")  # the checks touch Python's random state, which is watched
X = torch.randn(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
T = 4000


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("layer", [BernoulliDropout, OriginalDropout, SpatialDropout, DropPath, GaussianDropout])
def test_draws_of_a_layer_have_its_law(layer: type[nn.Module], shared: bool) -> None:
    """The network is the layer alone, so the output is x times the noise: mean x E[z], variance x^2 Var[z]."""
    model = layer(0.3).eval()
    prediction = mcdrop.predict(
        model, X, likelihood=mcdrop.Identity(), num_samples=T, seed=0, shared_masks=shared, keep_samples=True
    )
    variance = X.square() * model.law.variance
    assert ((prediction.mean - X * model.law.mean).abs() <= 4.5 * (variance / T).sqrt()).all()
    fourth = (prediction.samples - X * model.law.mean).pow(4).mean(dim=0)
    assert ((prediction.variance - variance).abs() <= 4.5 * ((fourth - variance.square()) / T).sqrt()).all()
    noise = (prediction.samples / X)[:, 0]  # of one row: which elements share a value is the layer's own affair
    for axis in range(1, 3):
        alike = torch.isclose(noise, noise.narrow(axis, 0, 1)).all().item()
        assert alike == (layer is DropPath or (layer is SpatialDropout and axis == 2))


def test_a_mask_of_such_layers_is_replayed_bit_by_bit() -> None:
    model = nn.Sequential(BernoulliDropout(0.3), nn.Linear(5, 5), GaussianDropout(0.2)).double().eval()
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Identity(), num_samples=3, seed=0, plan=mcdrop.Plan(execution="loop")
    )
    draws = mc.sample(X)
    mask = mask_of_draw(next(iter(mc._known.values())), mc._settings, 1)
    assert torch.equal(SubNetwork(model, mask)(X), draws[1])
    assert [units.p for units in units_for(model, X).values()] == [None, None]


def test_additive_noise_is_no_dropout() -> None:
    with pytest.raises(mcdrop.errors.NoSiteError):
        mcdrop.predict(GaussianNoise(0.3).eval(), X, likelihood=mcdrop.Identity(), num_samples=2, seed=0)
    assert math.isclose(GaussianNoise(0.3).law.variance, 0.09)
