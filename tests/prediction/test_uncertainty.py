import math

import numpy as np
import torch
from scipy import stats

from mcdrop.prediction import Moments
from mcdrop.prediction.uncertainty import entropy, entropy_bias, mutual_information


def test_entropy_is_scipys_along_any_axis():
    probs = np.random.default_rng(0).dirichlet(np.full(5, 0.1), size=(4, 3))
    probs[0, 0] = [0, 1, 0, 0, 0]
    expected = stats.entropy(probs, axis=-1)
    np.testing.assert_allclose(entropy(torch.from_numpy(probs)), expected, atol=1e-15)
    moved = torch.from_numpy(np.moveaxis(probs, -1, 1))
    np.testing.assert_allclose(entropy(moved, dim=1), expected, atol=1e-15)


def test_the_gradient_at_probability_zero_is_finite():
    probs = torch.tensor([0.0, 0.25, 0.75], requires_grad=True)
    entropy(probs).backward()
    assert probs.grad[0].isfinite()
    np.testing.assert_allclose(probs.grad[1:], [-math.log(0.25) - 1, -math.log(0.75) - 1], rtol=1e-6)


def test_nan_stays_nan():
    assert entropy(torch.tensor([math.nan, 0.5])).isnan()
    assert entropy_bias(torch.tensor([math.nan, 0.5]), torch.tensor([0.1, 0.1])).isnan()


def test_rounding_below_zero_is_cut_off_and_nothing_else():
    assert mutual_information(torch.tensor(0.5), torch.tensor(0.5000001)) == 0
    assert mutual_information(torch.tensor(math.nan), torch.tensor(0.5)).isnan()
    torch.testing.assert_close(mutual_information(torch.tensor(0.7), torch.tensor(0.5)), torch.tensor(0.2))


def test_classes_of_probability_zero_have_no_bias():
    assert entropy_bias(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0])) == 0


def test_for_one_hot_draws_the_bias_is_millers():
    """Var p_c = p_c (1 - p_c) / T, so the sum is (C - 1) / (2 T), Miller 1955."""
    p, total = torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), 50
    torch.testing.assert_close(entropy_bias(p, (p * (1 - p) / total).sqrt()), torch.tensor(3 / (2 * total)).double())


def test_the_bias_is_what_a_simulation_finds():
    """20,000 predictions of 20 draws each: the mean of H[mean p] + bias meets H[E p], that without it misses it."""
    repetitions, total = 20_000, 20
    generator = torch.Generator().manual_seed(0)
    base = torch.tensor([1.0, 0.0, -0.5], dtype=torch.float64)
    noise = torch.randn(total, repetitions, 3, generator=generator, dtype=torch.float64)
    draws = (base + 0.7 * noise).softmax(dim=-1)
    moments = Moments.init().update(draws)
    plug_in = entropy(moments.mean)
    corrected = plug_in + entropy_bias(moments.mean, moments.mc_error)
    truth = entropy(draws.mean(dim=(0, 1)))
    error = plug_in.std() / math.sqrt(repetitions)
    assert truth - plug_in.mean() > 10 * error
    assert abs(truth - corrected.mean()) < 4 * error + 0.05 * (truth - plug_in.mean())
