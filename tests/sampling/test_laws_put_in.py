"""A trained network under a law that it was not trained with: the weights stay, and all executions agree."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop import noise
from mcdrop.sites import insert
from tests.networks import trained_looking

pytestmark = pytest.mark.usefixtures("without_type_checks")  # the checks touch Python's random state, which is watched
PUT_BEFORE = {
    "Bernoulli": noise.BernoulliDropout(0.3),
    "Gaussian": noise.GaussianDropout(0.3),
    "Concrete": noise.ConcreteDropout(0.3),
    "Spatial": noise.SpatialDropout(0.3),
    "DropBlock": noise.DropBlock(0.3, block_size=2),
    "DropPath": noise.DropPath(0.3),
    "Masksembles": noise.Masksembles(6, num_masks=3),
}
PUT_AROUND = {
    "DropConnect": (noise.DropConnect, "2"),
    "DropConnect by row": (partial(noise.DropConnect, per_row=True), "2"),
    "Recurrent": (noise.RecurrentDropout, "4"),
}
X = torch.randn(4, 2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Last(nn.Module):
    def forward(self, output: tuple) -> Tensor:
        return output[0][:, -1]


def trained() -> nn.Sequential:
    """Maps that an LSTM reads, one after the other."""
    net = nn.Sequential(
        nn.Conv2d(2, 6, 2), nn.Tanh(), nn.Conv2d(6, 6, 1), nn.Flatten(2), nn.LSTM(8, 5, batch_first=True), Last(),
        nn.Linear(5, 3),
    )  # fmt: skip
    with torch.random.fork_rng():
        return trained_looking(net)


def put(law: str, net: nn.Sequential) -> nn.Sequential:
    if law in PUT_BEFORE:
        return insert(net, PUT_BEFORE[law].double(), before="2")
    wrap, place = PUT_AROUND[law]
    layers = [wrap(layer) if name == place else layer for name, layer in net.named_children()]
    return nn.Sequential(*layers).eval()


def draws(net: nn.Module, **options) -> Tensor:
    options = {"num_samples": 12, "seed": 0, **options}
    return mcdrop.MCDropout(net, likelihood=mcdrop.Identity(), **options).sample(X).detach()


@pytest.mark.parametrize("law", [*PUT_BEFORE, *PUT_AROUND])
def test_the_trained_weights_stay_to_the_bit(law: str) -> None:
    net = trained()
    other = put(law, net)
    own = [parameter for name, parameter in other.named_parameters() if not name.endswith("logit")]
    assert all(torch.equal(a, b) for a, b in zip(own, net.parameters(), strict=True))
    assert torch.equal(other(X), net(X))
    draws(other)
    assert torch.equal(other(X), trained()(X))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("law", [*PUT_BEFORE, *PUT_AROUND])
def test_the_executions_agree(law: str, shared: bool) -> None:
    net = put(law, trained())
    together = draws(net, shared_masks=shared, plan=mcdrop.Plan(on_error="raise"))
    torch.testing.assert_close(
        together, draws(net, shared_masks=shared, plan=mcdrop.Plan(execution="loop")), rtol=1e-10, atol=1e-12
    )
    assert together.std(dim=0).min() > 0
    # Every row twice: whether a draw treats both alike is what sharing means. Dropped weights are one for all rows.
    twice = mcdrop.MCDropout(net, likelihood=mcdrop.Identity(), num_samples=12, seed=0, shared_masks=shared).sample(
        torch.cat([X, X])
    )
    alike = torch.isclose(twice[:, :4], twice[:, 4:], rtol=1e-10).all().item()
    assert alike == (shared or law == "DropConnect")


@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout2d, nn.AlphaDropout])
def test_another_rate_is_the_rate_of_the_layer(layer: type[nn.Module]) -> None:
    at_another, at_its_own = (insert(trained(), layer(p), before="2") for p in (0.1, 0.6))
    assert torch.equal(draws(at_another, sites=mcdrop.Sites(p=0.6)), draws(at_its_own))
    assert not torch.equal(draws(at_another), draws(at_its_own))


def test_another_rate_of_dropped_weights_and_of_a_recurrent_layer() -> None:
    for wrap, place in (
        (lambda p: partial(noise.DropConnect, p=p), 2),
        (lambda p: partial(noise.RecurrentDropout, p_input=p, p_recurrent=p, p_output=p), 4),
    ):
        at_another, at_its_own = trained(), trained()
        at_another[place] = wrap(0.1)(at_another[place]).eval()
        at_its_own[place] = wrap(0.6)(at_its_own[place]).eval()
        assert torch.equal(draws(at_another, sites=mcdrop.Sites(p=0.6)), draws(at_its_own))
