import math

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression

from mcdrop.calibration import brier_decomposition, brier_score
from mcdrop.calibration.corp import frequencies
from mcdrop.prediction import Binary, Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, size=(32, 150, 3))
LABELS = RNG.integers(3, size=150)
PARTS = ("score", "miscalibration", "discrimination", "uncertainty")


def of_event(p, y):
    """The parts by scikit-learn's isotonic regression."""
    fitted = IsotonicRegression().fit_transform(p, y)
    raw, best, constant = (np.mean((f - y) ** 2) for f in (p, fitted, y.mean()))
    return np.array([raw, raw - best, constant - best, constant])


def of_classes(draws):
    probs = reference.softmax(draws).mean(axis=0)
    return sum(of_event(probs[:, c], (c == LABELS).astype(float)) for c in range(3))


def test_parts_are_scikit_learns_with_the_literal_jackknife():
    parts = brier_decomposition(from_draws(torch.from_numpy(LOGITS), Categorical()), LABELS)
    counts = reference.group_counts(32, 1)
    for place, name in enumerate(PARTS):
        score = getattr(parts, name)
        assert score.value == pytest.approx(of_classes(LOGITS)[place])
        expected = reference.jackknife_error(LOGITS, counts, lambda draws, at=place: of_classes(draws)[at])
        assert score.mc_error == pytest.approx(expected, rel=1e-6, abs=1e-12), name


def test_they_add_up_to_the_brier_score_with_its_errors():
    for prediction, y in (
        (from_draws(torch.from_numpy(LOGITS), Categorical()), LABELS),
        (from_draws(torch.from_numpy(LOGITS[..., 0]), Binary()), LABELS % 2),
        (reference.softmax(LOGITS[0]), LABELS),
    ):
        parts, whole = brier_decomposition(prediction, y), brier_score(prediction, y)
        added = parts.miscalibration.value - parts.discrimination.value + parts.uncertainty.value
        assert added == pytest.approx(whole.value, rel=1e-12)
        assert parts.score.standard_error == pytest.approx(whole.standard_error, rel=1e-9)
        if whole.mc_error is None:
            assert parts.score.mc_error is None
        else:
            assert parts.score.mc_error == pytest.approx(whole.mc_error, rel=1e-6)
        assert min(parts.miscalibration.value, parts.discrimination.value) >= 0


def test_by_hand_with_ties():
    """At .2 one of four happened, at .5 one of two, at .9 one of four: the last two pool to 1/3."""
    p = np.repeat([0.2, 0.5, 0.9], [4, 2, 4])
    y = np.array([1, 0, 0, 0, 1, 0, 1, 0, 0, 0])
    fit = frequencies(torch.from_numpy(p), torch.from_numpy(y).double())
    np.testing.assert_allclose(fit.fitted, [1 / 4, 1 / 3, 1 / 3])
    parts = brier_decomposition(p, y, kind="classwise")
    assert parts.uncertainty.value == pytest.approx(2 * 0.3 * 0.7)
    best = (4 * (1 / 4) * (3 / 4) + 6 * (1 / 3) * (2 / 3)) / 10
    assert parts.discrimination.value == pytest.approx(2 * (0.21 - best))


def test_a_top_label_is_one_event():
    probs = reference.softmax(LOGITS[0])
    parts = brier_decomposition(probs, LABELS, kind="top_label")
    expected = of_event(probs.max(axis=1), (probs.argmax(axis=1) == LABELS).astype(float))
    np.testing.assert_allclose([getattr(parts, name).value for name in PARTS], expected)


def test_an_increasing_map_of_the_forecasts_changes_only_the_miscalibration():
    p = RNG.uniform(0.01, 0.99, size=100)
    y = (RNG.random(100) < p).astype(int)
    plain, mapped = brier_decomposition(p, y), brier_decomposition(p**3, y)
    assert mapped.discrimination.value == pytest.approx(plain.discrimination.value)
    assert mapped.miscalibration.value > plain.miscalibration.value + 0.01


def test_influences_are_what_leaving_a_row_out_changes():
    rng = np.random.default_rng(2)
    p = rng.random(4000)
    y = (rng.random(4000) < p**3).astype(int)
    parts = brier_decomposition(p, y)
    for row in range(0, 4000, 1000):
        without = brier_decomposition(np.delete(p, row), np.delete(y, row))
        for name in PARTS:
            score, fewer = getattr(parts, name), getattr(without, name)
            assert 3999 * (score.value - fewer.value) == pytest.approx(float(score.influence[row]), abs=0.02), name


def test_standard_errors_are_the_spread_of_resampled_data():
    rng, repetitions = np.random.default_rng(1), 300
    found = []
    for _ in range(repetitions):
        p = rng.random(1000)
        found.append(brier_decomposition(p, (rng.random(1000) < p**3).astype(int)))
    for name in PARTS:
        scores = [getattr(parts, name) for parts in found]
        spread = np.std([score.value for score in scores], ddof=1)
        said = math.sqrt(np.mean([score.standard_error**2 for score in scores]))
        assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions) + 0.05, name


def test_edge_cases():
    constant = brier_decomposition(np.full(10, 0.5), np.arange(10) % 2)
    assert constant.discrimination.value == pytest.approx(0, abs=1e-12)
    assert constant.miscalibration.value == pytest.approx(0, abs=1e-12)
    one_class = brier_decomposition(np.array([0.5, 0.9]), np.array([1, 1]))
    assert one_class.uncertainty.value == 0
    assert one_class.miscalibration.value == pytest.approx(0.25 + 0.01)
    single = brier_decomposition(np.array([0.5]), np.array([1])).miscalibration
    assert (single.value, single.standard_error) == (0.5, None)


def test_pixels_of_a_row_count_as_one():
    logits = torch.from_numpy(RNG.normal(size=(20, 30, 3, 2, 2)))
    labels = torch.from_numpy(RNG.integers(3, size=(30, 2, 2)))
    flat = from_draws(logits.movedim(2, -1).reshape(20, -1, 3), Categorical())
    by_row = brier_decomposition(from_draws(logits, Categorical(class_dim=1)), labels).discrimination
    by_pixel = brier_decomposition(flat, labels.flatten()).discrimination
    assert by_row.value == pytest.approx(by_pixel.value)
    torch.testing.assert_close(by_row.influence, by_pixel.influence.view(30, 4).mean(dim=1))
