import math

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from mcdrop.calibration import binned_reliability, brier_decomposition, corp_reliability, expected_calibration_error
from mcdrop.errors import InputError
from mcdrop.prediction import Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
PROBS = reference.softmax(RNG.normal(0, 2, size=(300, 3)))
LABELS = RNG.integers(3, size=300)


def calibrated(rows, rng):
    p = rng.random(rows)
    return p, (rng.random(rows) < p).astype(int)


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_bins_are_those_of_the_calibration_error(binning):
    curve = binned_reliability(PROBS, LABELS, binning=binning)
    filled = curve.counts > 0
    gaps = (curve.counts * (curve.forecast - curve.frequency).abs())[filled].sum() / 300
    assert float(gaps) == pytest.approx(expected_calibration_error(PROBS, LABELS, binning=binning).value)
    assert curve.forecast[~filled].isnan().all()


def test_bins_are_scikit_learns():
    p, y = calibrated(500, RNG)
    curve = binned_reliability(p, y, event=1, num_bins=10)
    frequency, forecast = calibration_curve(y, p, n_bins=10)
    np.testing.assert_allclose(curve.frequency, frequency)
    np.testing.assert_allclose(curve.forecast, forecast)
    first = (p < 0.1).sum()
    expected = math.sqrt(frequency[0] * (1 - frequency[0]) / (first - 1))
    assert float(curve.standard_error[0]) == pytest.approx(expected)


def test_an_event_is_a_class_or_that_the_label_is_right():
    of_class = binned_reliability(PROBS, LABELS, event=2)
    alone = binned_reliability(PROBS[:, 2], (LABELS == 2).astype(int), event=1)
    torch.testing.assert_close(of_class.frequency, alone.frequency, equal_nan=True)
    of_labels = binned_reliability(PROBS, LABELS)
    right = binned_reliability(PROBS.max(axis=1), (PROBS.argmax(axis=1) == LABELS).astype(int), event=1)
    torch.testing.assert_close(of_labels.frequency, right.frequency, equal_nan=True)


def test_the_band_holds_the_share_of_calibrated_predictors():
    """At each forecast: the share of data sets whose regression lies inside, over data sets and forecasts."""
    rng, inside = np.random.default_rng(1), []
    for _ in range(60):
        diagram = corp_reliability(*calibrated(200, rng), event=1, level=0.8, num_resamples=60)
        middle = slice(20, -20)
        held = (diagram.lower <= diagram.frequency) & (diagram.frequency <= diagram.upper)
        inside.append(float(held[middle].double().mean()))
    error = np.std(inside, ddof=1) / math.sqrt(60)
    # quantiles of 60 fits miss by about 2/61 of coverage, and steps make the ends part of the band
    assert abs(np.mean(inside) - 0.8) < 4 * error + 0.04
    assert error < 0.03


def test_a_miscalibrated_predictor_leaves_the_band():
    p = RNG.random(1000)
    diagram = corp_reliability(p, (RNG.random(1000) < p**3).astype(int), event=1)
    low = (diagram.forecast > 0.3) & (diagram.forecast < 0.9)
    assert (diagram.frequency < diagram.lower)[low].double().mean() > 0.9


def test_the_seed_makes_the_band():
    p, y = calibrated(100, RNG)
    bands = [corp_reliability(p, y, event=1, seed=seed).lower for seed in (0, 0, 1)]
    assert torch.equal(bands[0], bands[1])
    assert not torch.equal(bands[0], bands[2])


def test_many_forecasts_are_thinned_evenly():
    p, y = calibrated(5000, RNG)
    diagram = corp_reliability(p, y, event=1, num_resamples=2)
    assert len(diagram.forecast) == 1000
    assert (float(diagram.forecast[0]), float(diagram.forecast[-1])) == (p.min(), p.max())
    assert (diagram.frequency.diff() >= 0).all()


def test_it_holds_the_parts_of_the_brier_score():
    draws = torch.from_numpy(RNG.normal(size=(20, 300, 3)))
    prediction = from_draws(draws, Categorical())
    found = corp_reliability(prediction, LABELS, num_resamples=2).brier
    expected = brier_decomposition(prediction, LABELS, kind="top_label")
    assert found == expected


def test_constant_forecasts_have_one_point():
    diagram = corp_reliability(np.full(40, 0.5), np.arange(40) % 4 // 3, event=1)
    assert (diagram.forecast.tolist(), diagram.frequency.tolist()) == ([0.5], [0.25])
    assert float(diagram.lower) < 0.5 < float(diagram.upper)
    assert float(diagram.lower) > 0.25


def test_what_is_refused(without_type_checks):
    p, y = calibrated(10, RNG)
    for match, options in (
        ("level=1 given, it is the share inside the band", {"level": 1}),
        ("num_resamples=1 given; expected an integer >= 2", {"num_resamples": 1}),
        ("event=0 given; expected 'top_label' or 1, that the event happens", {"event": 0}),
    ):
        with pytest.raises(InputError, match=match):
            corp_reliability(p, y, **options)
    with pytest.raises(InputError, match="event=3 given; expected 'top_label' or the number of a class, 0 to 2"):
        binned_reliability(PROBS, LABELS, event=3)
    with pytest.raises(InputError, match="event='label' given"):
        binned_reliability(PROBS, LABELS, event="label")


def test_putting_neighbours_together_leaves_the_band(monkeypatch):
    p, y = calibrated(3000, np.random.default_rng(4))
    fine = corp_reliability(p, y, event=1, num_resamples=200)
    monkeypatch.setattr("mcdrop.calibration.reliability.MOST_RESAMPLED", 300)
    coarse = corp_reliability(p, y, event=1, num_resamples=200)
    middle = slice(50, -50)
    # the width is about .1; quantiles of 200 resamples differ by chance about a tenth of it
    width = float((fine.upper - fine.lower)[middle].mean())
    assert float((coarse.upper - fine.upper)[middle].abs().mean()) < 0.15 * width
    assert float((coarse.lower - fine.lower)[middle].abs().mean()) < 0.15 * width
