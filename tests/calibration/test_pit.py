import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration import pit_histogram, pit_values
from mcdrop.errors import InputError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Identity, Poisson, from_draws

ROWS = 4000
GENERATOR = torch.Generator().manual_seed(0)
MEANS = 2 * torch.randn(8, ROWS, generator=GENERATOR, dtype=torch.float64)
WHICH = torch.randint(8, (1, ROWS), generator=GENERATOR)
NOISE = torch.randn(ROWS, generator=GENERATOR, dtype=torch.float64)


def from_the_predicted_law(name):
    """A prediction, and targets drawn from it: from one of its draws, taken at random."""
    mean = MEANS.gather(0, WHICH)[0]
    if name == "gaussian":
        return from_draws(MEANS, Gaussian(1.0)), mean + NOISE
    if name == "poisson":
        return from_draws(MEANS / 2, Poisson()), torch.poisson((mean / 2).exp(), generator=GENERATOR)
    draws = (2 * torch.randn(9, ROWS, generator=GENERATOR, dtype=torch.float64)).round()  # with ties
    return from_draws(draws[:8], Identity()), draws[8]


@pytest.mark.parametrize("name", ["gaussian", "poisson", "draws"])
def test_values_are_uniform_under_the_predicted_law(name):
    prediction, y = from_the_predicted_law(name)
    values = pit_values(prediction, y, seed=0)
    assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-4
    assert stats.kstest(pit_values(prediction, y + 1, seed=0).numpy(), "uniform").pvalue < 1e-6  # and else they are not


@pytest.mark.parametrize("name", ["gaussian", "poisson", "draws"])
def test_the_histogram_is_flat_under_the_predicted_law(name):
    prediction, y = from_the_predicted_law(name)
    histogram = pit_histogram(prediction, y, bins=8)
    assert sum(share.value for share in histogram.shares) == pytest.approx(1, abs=1e-12)
    for share in histogram.shares:
        assert abs(share.value - 1 / 8) < 4 * share.standard_error
        assert share.standard_error <= np.sqrt(1 / 8 * 7 / 8 / (ROWS - 1)) * 1.2


def test_too_narrow_predictions_pile_up_at_the_ends():
    _, y = from_the_predicted_law("gaussian")
    shares = [share.value for share in pit_histogram(from_draws(MEANS.mean(dim=0)[None], Gaussian(1.0)), y).shares]
    assert min(shares[0], shares[-1]) > 2 * max(shares[3:7])


def test_values_are_the_cdf_where_it_is_continuous():
    stds = torch.rand(3, 5, generator=GENERATOR, dtype=torch.float64) + 0.1
    prediction = from_draws((MEANS[:3, :5], stds), HeteroscedasticGaussian("std"))
    y = torch.zeros(5)
    assert torch.equal(pit_values(prediction, y, seed=0), pit_values(prediction, y, seed=1))
    np.testing.assert_allclose(pit_values(prediction, y), prediction.cdf(y), rtol=1e-12)
    expected = stats.norm.cdf(0, MEANS[:3, :5], stds).mean(axis=0)
    np.testing.assert_allclose(pit_values(prediction, y), expected, rtol=1e-9)


def test_the_histogram_of_counts_is_czados():
    rates, y = np.random.default_rng(0).uniform(0.5, 6, size=(3, 40)), np.random.default_rng(1).poisson(3, size=40)
    upper = stats.poisson.cdf(y, rates).mean(axis=0)
    lower = stats.poisson.cdf(y - 1, rates).mean(axis=0)
    edges = np.linspace(0, 1, 6)
    of_rows = [np.interp(edges, [a, b], [0, 1]) for a, b in zip(lower, upper, strict=True)]
    histogram = pit_histogram(from_draws(torch.from_numpy(np.log(rates)), Poisson()), y, bins=5)
    np.testing.assert_allclose(
        [share.value for share in histogram.shares], np.diff(np.mean(of_rows, axis=0)), atol=1e-9
    )
    np.testing.assert_allclose(histogram.edges, edges)


def test_values_of_counts_lie_in_their_jump_and_follow_the_seed():
    prediction, y = from_the_predicted_law("poisson")
    values, again, other = (pit_values(prediction, y, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(values, again)
    assert not torch.equal(values, other)
    below = torch.where(y > 0, prediction.cdf(y - 1), 0)
    assert ((values >= below - 1e-12) & (values <= prediction.cdf(y) + 1e-12)).all()


def test_global_randomness_is_left_as_found():
    state = torch.get_rng_state()
    pit_values(*from_the_predicted_law("poisson"))
    assert torch.equal(torch.get_rng_state(), state)


def test_pieces_do_not_change_what_is_drawn(monkeypatch):
    prediction, y = from_the_predicted_law("poisson")
    whole = pit_values(prediction, y)
    monkeypatch.setattr("mcdrop.calibration.number_rows._PIECE", 8 * 1000)
    np.testing.assert_allclose(pit_values(prediction, y), whole, rtol=1e-12)


def test_outputs_keep_their_shape():
    prediction = from_draws(MEANS[:, :12].reshape(8, 4, 3), Gaussian(1.0))
    values = pit_values(prediction, torch.zeros(4, 3))
    assert values.shape == (4, 3)
    assert torch.equal(values, prediction.cdf(torch.zeros(4, 3)))
    assert len(pit_histogram(prediction, torch.zeros(4, 3)).shares[0].influence) == 4


def test_a_histogram_needs_two_bins():
    with pytest.raises(InputError, match="bins=1 given, a histogram needs at least 2"):
        pit_histogram(MEANS, torch.zeros(ROWS), bins=1)
