import pytest
import torch

from mcdrop.cli.demo.regression import measurements, networks
from mcdrop.prediction import Gaussian
from mcdrop.sampling import MCDropout


@pytest.fixture(scope="module")
def models():
    return networks.train(networks.draw(0), epochs=30, seed=0)


@pytest.fixture(scope="module")
def found(models):
    return measurements.measure(models, num_samples=20, seed=7)


def _by_hand(draws, found, rows):
    """Standard deviation over draws, and share of new points in the central 95 % of the mixture, by bisection of it."""
    rows = rows[:, 0]
    std = draws.double().std(0)[rows].mean()
    normal = torch.distributions.Normal(draws.double()[:, rows], 0.1)
    rank = normal.cdf(found.new[rows].double()).mean(0)
    return std.item(), ((rank >= 0.025) & (rank <= 0.975)).double().mean().item()


def test_the_axis_and_its_regions(found):
    x = found.x
    assert (x.min(), x.max()) == (-9.0, 9.0)
    torch.testing.assert_close(x.diff(dim=0), torch.full((len(x) - 1, 1), 0.05), atol=1e-5, rtol=0)
    assert (found.new - networks.curve(x)).std().item() == pytest.approx(0.1, abs=4 * 0.1 / (2 * len(x)) ** 0.5)


def test_sub_networks_are_measured_as_their_draws_say(found, models):
    x = found.x
    draws = MCDropout(models[0], likelihood=Gaussian(100.0), num_samples=20, seed=7).sample(x)
    regions = {
        "in_gap": (x > 0) & (x < 3),
        "at_data": ((x >= -6) & (x <= 0)) | ((x >= 3) & (x <= 6)),
        "beyond": x.abs() > 6,
    }
    for name, rows in regions.items():
        region = getattr(found.forest, name)
        std, held = _by_hand(draws, found, rows)
        assert region.std == pytest.approx(std, rel=1e-6)
        assert region.held.value == pytest.approx(held)
    assert found.forest.opening == found.forest.in_gap.std / found.forest.at_data.std


def test_networks_are_measured_with_their_dropout_off(found, models):
    with torch.no_grad():
        draws = torch.stack([model(found.x) for model in models])
    rows = (found.x > 0) & (found.x < 3)
    std, held = _by_hand(draws, found, rows)
    assert found.members.in_gap.std == pytest.approx(std, rel=1e-6)
    assert found.members.in_gap.held.value == pytest.approx(held)
