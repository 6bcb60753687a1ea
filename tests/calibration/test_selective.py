import itertools
import math

import numpy as np
import pytest
import torch

from mcdrop.calibration import aurc, risk_coverage_curve
from mcdrop.errors import InputError
from mcdrop.prediction import Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, size=(40, 120, 4))
LABELS = RNG.integers(4, size=120)


def area(uncertainty, wrong):
    """The definition, for uncertainties that differ."""
    errors = np.cumsum(np.asarray(wrong, dtype=float)[np.argsort(uncertainty)])
    return np.mean(errors / np.arange(1, len(errors) + 1))


def test_the_area_is_that_of_the_definition_with_the_literal_jackknife():
    def estimate(draws):
        probs = reference.softmax(draws).mean(axis=0)
        return area(-probs.max(axis=1), probs.argmax(axis=1) != LABELS)

    score = aurc(from_draws(torch.from_numpy(LOGITS), Categorical()), LABELS)
    assert score.value == pytest.approx(estimate(LOGITS))
    counts = reference.group_counts(40, 1)
    assert score.mc_error == pytest.approx(reference.jackknife_error(LOGITS, counts, estimate), rel=1e-6)


def test_ties_are_the_mean_over_all_their_orders():
    uncertainty, y = np.array([2.0, 1, 2, 1, 2]), np.array([0, 1, 1, 0, 1])
    p = np.full(5, 0.9)  # the label is 1
    orders = [np.array(order) for order in itertools.permutations(range(5))]
    areas = [area(uncertainty + 0.01 * order, y != 1) for order in orders]
    assert aurc(p, y, uncertainty=uncertainty).value == pytest.approx(np.mean(areas))
    risks = np.mean([np.cumsum((y != 1)[np.argsort(uncertainty + 0.01 * o)]) / np.arange(1, 6) for o in orders], axis=0)
    curve = risk_coverage_curve(p, y, uncertainty=uncertainty)
    np.testing.assert_allclose(curve.risk, risks)
    assert curve.coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1]
    assert curve.threshold.tolist() == [1, 1, 2, 2, 2]


def test_constant_uncertainty_gives_the_error_rate():
    p, y = np.full(10, 0.8), (np.arange(10) < 7).astype(int)
    score = aurc(p, y)
    assert score.value == pytest.approx(0.3)
    # it is the error rate of every resample, and so is its standard error
    assert score.standard_error == pytest.approx(math.sqrt(0.3 * 0.7 / 9))


def test_the_excess_is_over_the_best_order():
    wrong = np.arange(50) % 3 == 0
    p, y = np.full(50, 0.9), 1 - wrong.astype(int)
    best, worst = wrong.astype(float), -wrong.astype(float)
    assert aurc(p, y, uncertainty=best, excess=True).value == pytest.approx(0, abs=1e-12)
    gained = aurc(p, y, uncertainty=worst).value - aurc(p, y, uncertainty=best).value
    assert aurc(p, y, uncertainty=worst, excess=True).value == pytest.approx(gained)


@pytest.mark.parametrize("excess", [False, True])
@pytest.mark.parametrize("digits", [1, 8])
def test_the_standard_error_is_the_spread_of_resampled_data(excess, digits):
    """With ties (one digit) and without."""
    rng, repetitions = np.random.default_rng(1), 400
    scores = []
    for _ in range(repetitions):
        p = np.round(rng.uniform(0.5, 1, size=400), digits)
        scores.append(aurc(p, (rng.random(400) < p).astype(int), uncertainty=1 - p, excess=excess))
    spread = np.std([score.value for score in scores], ddof=1)
    said = math.sqrt(np.mean([score.standard_error**2 for score in scores]))
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions) + 0.05


def test_the_influence_is_what_leaving_a_row_out_changes():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.5, 1, size=500)
    y = (rng.random(500) < p).astype(int)
    for excess in (False, True):
        score = aurc(p, y, excess=excess)
        assert float(score.influence.mean()) == pytest.approx(0, abs=1e-12)
        for row in (0, 100, int(p.argmin())):
            without = aurc(np.delete(p, row), np.delete(y, row), excess=excess)
            assert 499 * (score.value - without.value) == pytest.approx(float(score.influence[row]), abs=0.02)


def test_edge_cases():
    one = aurc(np.array([0.8]), np.array([1]))
    assert (one.value, one.standard_error) == (0, None)
    for excess in (False, True):
        assert aurc(np.array([0.8, 0.9]), np.array([1, 1]), excess=excess).value == 0
        wrong = aurc(np.array([0.8, 0.9]), np.array([0, 0]), excess=excess)
        assert (wrong.value, wrong.standard_error) == (0 if excess else 1, 0)
    order = RNG.permutation(120)
    probs = reference.softmax(LOGITS[0])
    assert aurc(probs[order], LABELS[order]).value == pytest.approx(aurc(probs, LABELS).value)
    with pytest.raises(InputError, match="expected probabilities from 0 to 1"):
        aurc(np.array([0.2, np.nan]), np.array([0, 1]))


def test_pixels_of_a_row_count_as_one():
    logits = torch.from_numpy(RNG.normal(size=(20, 30, 3, 2, 2)))
    labels = torch.from_numpy(RNG.integers(3, size=(30, 2, 2)))
    flat = from_draws(logits.movedim(2, -1).reshape(20, -1, 3), Categorical())
    score, by_pixel = aurc(from_draws(logits, Categorical(class_dim=1)), labels), aurc(flat, labels.flatten())
    assert score.value == pytest.approx(by_pixel.value)
    torch.testing.assert_close(score.influence, by_pixel.influence.view(30, 4).mean(dim=1))
