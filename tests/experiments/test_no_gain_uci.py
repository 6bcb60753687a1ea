"""Weight scaling and averages on UCI sets: which rows are held out, what the sites do, and scores by hand."""

import math

import pytest
import torch
from torch import nn

import mcdrop
from examples.experiments import no_gain_uci
from examples.experiments.no_gain_uci import AVERAGED, SCALED, WHERE
from examples.experiments.uci_runs import Net, Setting, Trained
from mcdrop.data import uci
from mcdrop.data.scaling import Scaling
from mcdrop.prediction import Gaussian, from_draws


@pytest.fixture
def trained() -> Trained:
    """A linear network on rows that need no scaling: the average over masks differs by its draws alone."""
    generator = torch.Generator().manual_seed(0)
    x, identity = torch.randn(60, 3, generator=generator).double(), Scaling(torch.zeros(1), torch.ones(1))
    y = x.sum(dim=1, keepdim=True)
    net = Net(3, 0.25)
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[:3] = torch.eye(3)
        net[1].bias.fill_(10.0)  # far from the bend of ReLU
        net[4].weight.fill_(0.5)
        net[4].bias.zero_()
    return Trained(net.eval(), uci.Split(x[:40], y[:40], x[40:], y[40:], (), ()), identity, identity)


def test_masks_at_one_site_leave_the_other_scaled(trained) -> None:
    """Of the variance of a draw each site has its part: of the inputs p / (1 - p) sum (w x)^2 = 1/3 / 4 sum x^2."""
    x = trained.rows(trained.split.test_x)
    alone = no_gain_uci.averaged(trained, 1.0, 0, WHERE["average, inputs"])(x)
    expected = x.square().sum(dim=1, keepdim=True) / 3 / 4
    assert torch.allclose(alone.epistemic.float(), expected, rtol=0.3)
    hidden = no_gain_uci.averaged(trained, 1.0, 0, WHERE["average, hidden"])(x)
    units = torch.cat([x + 10, torch.full((len(x), 47), 10.0)], dim=1)
    assert torch.allclose(hidden.epistemic.float(), units.square().sum(dim=1, keepdim=True) / 3 / 4, rtol=0.3)


def test_what_is_added_is_the_difference_to_weight_scaling(trained) -> None:
    found = no_gain_uci.compared([trained], 1.0, 0, {AVERAGED: mcdrop.Sites()})
    scaled, averaged = found[SCALED][0], found[AVERAGED][0]
    y, outputs = trained.split.test_y, trained.net(trained.rows(trained.split.test_x)).double()
    assert scaled["rmse"] == pytest.approx((outputs - y).square().mean().sqrt().item())
    assert scaled["nll"] == pytest.approx(((outputs - y).square().mean() / 2).item() + math.log(2 * math.pi) / 2)
    for score, (value, error) in averaged["added"].items():
        assert value == pytest.approx(averaged[score] - scaled[score])
        assert error > 0
    assert scaled["slope"] == pytest.approx(2.0, rel=1e-5)  # the outputs are half of the targets, and a constant


def test_slope_is_that_of_the_line() -> None:
    assert no_gain_uci.slope(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]])) == 2.0


def test_without_dropout_on_inputs_the_network_is_the_same() -> None:
    nets = []
    for build in (Net, no_gain_uci.hidden_only):
        torch.manual_seed(0)
        nets.append(build(4, 0.1).eval())
    x = torch.randn(5, 4)
    assert torch.equal(nets[0](x), nets[1](x))
    assert [type(layer) for layer in nets[1]] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]


def test_the_last_fifth_of_the_training_rows_is_held_out(data_dir) -> None:
    for number, (of, (x, y)) in enumerate(
        no_gain_uci.train_held_out("yacht", 0, Setting(0.01, 0.5), range(2), epochs=1)
    ):
        whole = uci.load("yacht", split=number)
        assert len(x) == round(0.2 * len(whole.train_x))
        assert torch.equal(torch.cat([of.split.train_x, x]), whole.train_x)
        assert torch.equal(torch.cat([of.split.train_y, y]), whole.train_y)
        assert torch.equal(of.split.test_x, whole.test_x)
        assert torch.equal(of.of_x.mean, of.split.train_x.mean(dim=0))


def test_tau_and_ranks_are_those_of_the_rows_held_out() -> None:
    y = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    held_out, test = (from_draws(torch.zeros(1, 2, 1, dtype=torch.float64), Gaussian(1.0)) for _ in range(2))
    found = no_gain_uci.recalibrated(held_out, torch.tensor([[2.0], [-2.0]]), test, y)
    assert found["tau"]["fitted"] == pytest.approx(0.25)
    for state, tau in (("as trained", 1.0), ("tau", 0.25)):
        assert found[state]["nll"] == pytest.approx(math.log(2 * math.pi / tau) / 2 + tau * 2.5 / 2)
    # 1 lies inside +-1.645, the interval of Normal(0, 1), and 2 does not; both inside +-3.29, that of Normal(0, 4)
    assert [found[state]["covered"] for state in ("as trained", "tau")] == [0.5, 1.0]
    # the quantiles of 1/3 and 2/3 become -2 and 2, beyond which R is linear: that of .95 is far out
    assert found["ranks"]["covered"] == 1.0
