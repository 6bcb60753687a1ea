import math

import numpy as np
import pytest
import relplot
import torch

from mcdrop.calibration import smooth_calibration_error
from mcdrop.prediction import Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)


def literal(p, y, sigma, cells=400):
    """The integral of the smoothed residuals, the kernel with its images about both ends summed up."""
    t = (np.arange(cells) + 0.5) / cells
    images = [side * p[None] + 2 * k for k in range(-3, 4) for side in (1, -1)]
    kernel = sum(np.exp(-((t[:, None] - each) ** 2) / 2 / sigma**2) for each in images)
    return np.abs(kernel @ (p - y)).mean() / len(p) / sigma / math.sqrt(2 * math.pi)


def sample(rows, frequency, rng=RNG):
    p = rng.beta(2, 1, size=rows)
    return p, (rng.random(rows) < frequency(p)).astype(int)


FREQUENCIES = {
    "calibrated": lambda p: p,
    "overconfident": lambda p: 0.5 + 0.2 * (p - 0.5),
    "too high": lambda p: p**2,
    "constant": lambda p: 0 * p + 0.3,
    "reversed": lambda p: 1 - p,
}


@pytest.mark.parametrize("frequency", FREQUENCIES.values(), ids=FREQUENCIES)
def test_the_value_is_its_own_bandwidth(frequency):
    p, y = sample(2000, frequency)
    value = smooth_calibration_error(p, y, kind="classwise").value
    assert literal(p, y, value) == pytest.approx(value, abs=3e-4)


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "too high"])
def test_small_values_are_relplots(name):
    p, y = sample(5000, FREQUENCIES[name])
    ours = smooth_calibration_error(p, y, kind="classwise").value
    assert ours == pytest.approx(relplot.smECE(p, y), abs=0.002)  # relplot searches the bandwidth to .001


def test_wide_bandwidths_differ_from_relplots_which_cuts_the_kernel_at_one_half():
    p, y = sample(2000, FREQUENCIES["reversed"])
    assert literal(p, y, 0.36) == pytest.approx(0.36, abs=0.02)
    assert smooth_calibration_error(p, y, kind="classwise").value == pytest.approx(0.36, abs=0.02)
    assert relplot.smECE(p, y) > 0.39
    assert relplot.smECE_sigma(p, y, 0.1) == pytest.approx(literal(p, y, 0.1), rel=0.02)  # narrow ones agree


@pytest.mark.parametrize("kind", ["top_label", "classwise"])
def test_monte_carlo_errors_are_the_literal_jackknife(kind):
    logits = RNG.normal(0, 2, size=(32, 200, 3))
    labels = RNG.integers(3, size=200)
    score = smooth_calibration_error(from_draws(torch.from_numpy(logits), Categorical()), labels, kind=kind)

    def estimate(draws):
        return smooth_calibration_error(reference.softmax(draws).mean(axis=0), labels, kind=kind).value

    assert score.value == pytest.approx(estimate(logits))
    counts = reference.group_counts(32, 1)
    # the group means are kept in float64 and forecasts still fall into the same cells up to rounding
    assert score.mc_error == pytest.approx(reference.jackknife_error(logits, counts, estimate), rel=1e-3)


@pytest.mark.parametrize("name", ["overconfident", "too high", "constant"])
def test_the_standard_error_is_the_spread_of_resampled_data(name):
    rng, repetitions = np.random.default_rng(1), 300
    scores = [
        smooth_calibration_error(*sample(1000, FREQUENCIES[name], rng), kind="classwise") for _ in range(repetitions)
    ]
    spread = np.std([score.value for score in scores], ddof=1)
    said = math.sqrt(np.mean([score.standard_error**2 for score in scores]))
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions) + 0.05


def test_the_influence_is_what_leaving_a_row_out_changes():
    p, y = sample(4000, FREQUENCIES["overconfident"], np.random.default_rng(2))
    score = smooth_calibration_error(p, y, kind="classwise")
    assert float(score.influence.mean()) == pytest.approx(0, abs=1e-12)
    for row in range(0, 4000, 500):
        without = smooth_calibration_error(np.delete(p, row), np.delete(y, row), kind="classwise")
        assert 3999 * (score.value - without.value) == pytest.approx(float(score.influence[row]), abs=2e-3)


def test_edge_cases():
    off = smooth_calibration_error(np.full(10, 0.75), np.arange(10) % 2, kind="classwise")
    assert off.value == pytest.approx(0.25, abs=1e-9)
    right = smooth_calibration_error(np.ones(5), np.ones(5, int))
    assert (right.value, right.standard_error) == (0, 0)
    assert smooth_calibration_error(np.ones(5), np.zeros(5, int)).value == pytest.approx(1)  # sure and wrong
    one = smooth_calibration_error(np.array([0.75]), np.array([1]))
    assert (one.value, one.standard_error) == (pytest.approx(0.25), None)
    p, y = sample(300, FREQUENCIES["too high"])
    order = RNG.permutation(300)
    same = smooth_calibration_error(p[order], y[order]).value
    assert same == pytest.approx(smooth_calibration_error(p, y).value, rel=1e-9)


def test_a_small_move_across_a_border_changes_it_little():
    y = (np.arange(200) % 10 < 6).astype(int)
    below, above = (smooth_calibration_error(np.full(200, 0.6 + d), y, kind="classwise") for d in (-1e-6, 1e-6))
    assert above.value == pytest.approx(below.value, abs=3e-4)
