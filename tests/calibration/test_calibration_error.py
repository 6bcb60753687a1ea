import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from mcdrop.calibration import expected_calibration_error
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, size=(40, 300, 4))
LABELS = RNG.integers(4, size=300)


def binned(p, y, borders, norm):
    """The definition, bin by bin."""
    bins = np.searchsorted(borders, p, side="right")
    gaps = [(np.mean(bins == b), np.mean(p[bins == b] - y[bins == b])) for b in np.unique(bins)]
    return sum(w * abs(g) for w, g in gaps) if norm == "l1" else sum(w * g * g for w, g in gaps)


def expected(probs, labels, borders_of, kind, norm):
    if kind == "top_label":
        pairs = [(probs.max(axis=1), (probs.argmax(axis=1) == labels).astype(float))]
    else:
        pairs = [(probs[:, c], (labels == c).astype(float)) for c in range(probs.shape[1])]
    value = np.mean([binned(p, y, borders_of(p), norm) for p, y in pairs])
    return math.sqrt(value) if norm == "l2" else value


def equal_mass(p):
    return np.sort(p)[np.ceil(np.arange(1, 15) * len(p) / 15).astype(int)]


@pytest.mark.parametrize("kind", ["top_label", "classwise"])
@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_values_and_monte_carlo_errors_are_those_of_the_definition(kind, norm, binning):
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    score = expected_calibration_error(prediction, LABELS, kind=kind, norm=norm, binning=binning)
    whole = reference.softmax(LOGITS).mean(axis=0)

    def estimate(draws):
        probs = reference.softmax(draws).mean(axis=0)
        if binning == "equal_width":
            return expected(probs, LABELS, lambda p: np.arange(1, 15) / 15, kind, norm)
        # the borders of bins of equal mass are those of all draws
        if kind == "top_label":
            return expected(probs, LABELS, lambda p: equal_mass(whole.max(axis=1)), kind, norm)
        columns = iter(range(4))
        return expected(probs, LABELS, lambda p: equal_mass(whole[:, next(columns)]), kind, norm)

    assert score.value == pytest.approx(estimate(LOGITS), rel=1e-9)
    counts = reference.group_counts(40, 1)
    assert score.mc_error == pytest.approx(reference.jackknife_error(LOGITS, counts, estimate), rel=1e-6)


def test_by_hand():
    """Two bins: at .2 and .4 one of two happened, gap -.2; at .9 and 1 one of two, gap .45."""
    p, y = np.array([0.2, 1.0, 0.4, 0.9]), np.array([0, 0, 1, 1])
    assert expected_calibration_error(p, y, num_bins=2, kind="classwise").value == pytest.approx(0.325)
    l2 = expected_calibration_error(p, y, num_bins=2, kind="classwise", norm="l2").value
    assert l2 == pytest.approx(math.sqrt((0.2**2 + 0.45**2) / 2))
    # squared gaps less s^2/n: residuals .2, -.6 have s^2 = .32; 1, -.1 have .605: .04 - .16 + .2025 - .3025 < 0
    debiased = expected_calibration_error(p, y, num_bins=2, kind="classwise", norm="l2", debiased=True)
    assert debiased.value == 0
    assert debiased.standard_error is None


def test_where_forecasts_of_a_bin_are_equal_the_correction_is_kumars():
    p = np.repeat([0.3, 0.9], [10, 30])
    y = np.concatenate([np.arange(10) < 6, np.arange(30) < 18]).astype(int)
    squares = [(0.3 - 0.6) ** 2 - 0.6 * 0.4 / 9, (0.9 - 0.6) ** 2 - 0.6 * 0.4 / 29]
    score = expected_calibration_error(p, y, kind="classwise", norm="l2", debiased=True)
    assert score.value == pytest.approx(math.sqrt((squares[0] + 3 * squares[1]) / 4))


def test_the_absolute_correction_is_the_mean_of_a_folded_normal():
    p, y = np.full(50, 0.5), (np.arange(50) < 22).astype(int)
    gap, scale = 0.06, math.sqrt(0.44 * 0.56 / 49)
    folded = stats.foldnorm.mean(gap / scale, scale=scale)
    score = expected_calibration_error(p, y, kind="classwise", debiased=True)
    assert score.value == pytest.approx(2 * gap - folded)


def test_a_confidence_of_one_is_in_the_last_bin_where_torchmetrics_gives_it_one_of_its_own():
    """Of ten bins the last one holds all three rows, with mean forecast 2.9/3 and frequency 2/3.

    torchmetrics parts the 1 from the rest: gaps .05 (two rows) and 1 of opposite signs, whose absolute values add up.
    """
    p, y = torch.tensor([0.95, 0.95, 1.0]), torch.tensor([1, 1, 0])
    ours = expected_calibration_error(p, y, num_bins=10, kind="classwise").value
    assert ours == pytest.approx(abs(2.9 - 2) / 3)
    assert float(binary_calibration_error(p, y, n_bins=10)) == pytest.approx((2 * 0.05 + 1) / 3)
    # elsewhere they agree
    p = torch.from_numpy(RNG.uniform(0, 0.99, size=500)).float()
    y = torch.from_numpy(RNG.integers(2, size=500))
    for norm in ("l1", "l2"):
        ours = expected_calibration_error(p, y, kind="classwise", norm=norm).value
        assert ours == pytest.approx(float(binary_calibration_error(p, y, n_bins=15, norm=norm)), rel=1e-5)


def test_top_label_errors_are_torchmetrics():
    probs = torch.from_numpy(reference.softmax(LOGITS).mean(axis=0))
    ours = expected_calibration_error(probs, LABELS).value
    theirs = multiclass_calibration_error(probs, torch.from_numpy(LABELS), num_classes=4, n_bins=15)
    assert ours == pytest.approx(float(theirs), rel=1e-5)  # they sum in float32


def miscalibrated(rows, rng):
    p = rng.beta(2, 1, size=rows)
    return p, (rng.random(rows) < 0.3 + 0.3 * p).astype(int)


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "l2"}, {"binning": "equal_mass"}, {"debiased": True}, {"norm": "l2", "debiased": True}],
    ids=str,
)
def test_the_standard_error_is_the_spread_of_resampled_data(options):
    rng, repetitions = np.random.default_rng(1), 250
    scores = [
        expected_calibration_error(*miscalibrated(1000, rng), kind="classwise", num_bins=8, **options)
        for _ in range(repetitions)
    ]
    spread = np.std([score.value for score in scores], ddof=1)
    said = math.sqrt(np.mean([score.standard_error**2 for score in scores]))
    # the spread has a relative error of 1/sqrt(2 repetitions); second-order terms are a few hundredths
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions) + 0.05


@pytest.mark.parametrize("options", [{}, {"norm": "l2"}, {"debiased": True}, {"norm": "l2", "debiased": True}], ids=str)
def test_the_influence_is_what_leaving_a_row_out_changes(options):
    p, y = miscalibrated(4000, np.random.default_rng(2))
    score = expected_calibration_error(p, y, kind="classwise", num_bins=5, **options)
    assert float(score.influence.mean()) == pytest.approx(0, abs=1e-12)
    for row in range(0, 4000, 500):
        without = expected_calibration_error(
            np.delete(p, row), np.delete(y, row), kind="classwise", num_bins=5, **options
        )
        # the noise of the gaps, of order 1/n, counts as given in the correction
        assert 3999 * (score.value - without.value) == pytest.approx(float(score.influence[row]), abs=0.02)


def test_of_the_bias_of_a_calibrated_predictor_the_share_stated_is_left():
    rng, plain, debiased = np.random.default_rng(2), [], []
    for _ in range(200):
        p = np.repeat([0.2, 0.5, 0.8], 200)  # bins of binomial noise, nearly normal
        y = (rng.random(600) < p).astype(int)
        plain.append(expected_calibration_error(p, y, kind="classwise").value)
        debiased.append(expected_calibration_error(p, y, kind="classwise", debiased=True).value)
    error = np.std(np.array(debiased) - (2 - math.sqrt(2)) * np.array(plain)) / math.sqrt(200)
    assert abs(np.mean(debiased) - (2 - math.sqrt(2)) * np.mean(plain)) < 4 * error
    assert 8 * error < np.mean(plain)  # tight enough to tell it from no correction


def test_the_standard_error_of_a_calibrated_predictor_is_too_large_by_the_factor_stated():
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(250):
        p = rng.random(500)
        scores.append(expected_calibration_error(p, (rng.random(500) < p).astype(int), kind="classwise"))
    ratio = np.mean([score.standard_error for score in scores]) / np.std([score.value for score in scores])
    assert abs(ratio * math.sqrt(1 - 2 / math.pi) - 1) < 4 / math.sqrt(500) + 0.05


def test_pixels_of_a_row_count_as_one():
    logits = torch.from_numpy(RNG.normal(size=(20, 12, 3, 4, 5)))
    labels = torch.from_numpy(RNG.integers(3, size=(12, 4, 5)))
    segmented = from_draws(logits, Categorical(class_dim=1))
    flat = from_draws(logits.movedim(2, -1).reshape(20, -1, 3), Categorical())
    score, by_pixel = (expected_calibration_error(p, y) for p, y in ((segmented, labels), (flat, labels.flatten())))
    assert score.value == pytest.approx(by_pixel.value)
    assert score.mc_error == pytest.approx(by_pixel.mc_error)
    by_row = by_pixel.influence.view(12, 20).mean(dim=1)
    assert score.standard_error == pytest.approx(float(by_row.std()) / math.sqrt(12))


def test_events_are_read_as_their_own_class_or_as_their_label():
    prediction = from_draws(torch.from_numpy(LOGITS[..., 0]), Binary())
    p, y = prediction.probs, torch.from_numpy(LABELS % 2)
    classwise = expected_calibration_error(prediction, y, kind="classwise")
    assert classwise.value == pytest.approx(binned(p.numpy(), y.numpy(), np.arange(1, 15) / 15, "l1"))
    both = torch.stack([1 - p, p], dim=1)
    assert expected_calibration_error(prediction, y).value == pytest.approx(expected_calibration_error(both, y).value)


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_edge_cases(binning):
    constant = expected_calibration_error(np.full(10, 0.3), np.arange(10) % 2, kind="classwise", binning=binning)
    assert constant.value == pytest.approx(0.2)
    one = expected_calibration_error(np.array([0.3]), np.array([1]), kind="classwise", binning=binning)
    assert (one.value, one.standard_error) == (pytest.approx(0.7), None)
    right = expected_calibration_error(np.ones(5), np.ones(5, int), binning=binning)
    assert (right.value, right.standard_error) == (0, 0)
    order = RNG.permutation(300)
    probs = reference.softmax(LOGITS[0])
    same = [expected_calibration_error(probs[o], LABELS[o], binning=binning).value for o in (np.arange(300), order)]
    assert same[0] == pytest.approx(same[1])


def test_rows_in_pieces_give_the_same(monkeypatch):
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    whole = expected_calibration_error(prediction, LABELS, binning="equal_mass", kind="classwise")
    cuts = [slice(0, 7), slice(7, 8), slice(8, 300)]
    monkeypatch.setattr("mcdrop.calibration.forecasts.row_pieces", lambda *_: cuts)
    parts = expected_calibration_error(prediction, LABELS, binning="equal_mass", kind="classwise")
    assert parts.value == pytest.approx(whole.value)
    assert parts.mc_error == pytest.approx(whole.mc_error)
    torch.testing.assert_close(parts.influence, whole.influence)


def test_what_is_refused(without_type_checks):
    p, y = np.array([0.2, 0.9]), np.array([0, 1])
    for match, call in (
        ("kind='classes' given; expected 'top_label' or 'classwise'", {"kind": "classes"}),
        ("norm='max' given; expected 'l1' or 'l2'", {"norm": "max"}),
        ("binning='quantile' given; expected 'equal_width' or 'equal_mass'", {"binning": "quantile"}),
        ("num_bins=0 given; expected an integer >= 1", {"num_bins": 0}),
    ):
        with pytest.raises(InputError, match=match):
            expected_calibration_error(p, y, **call)
    with pytest.raises(InputError, match="expected probabilities from 0 to 1"):
        expected_calibration_error(np.array([0.2, np.nan]), y)
    with pytest.raises(InputError, match="A RegressionPrediction given, and this score is of classes"):
        expected_calibration_error(from_draws(torch.zeros(4, 2), Gaussian(1.0)), y)
    with pytest.raises(InputError, match=r"rows sum to one only up to 0.5: expected probabilities of classes"):
        expected_calibration_error(np.array([[0.5, 0.5], [0.8, 0.7]]), y)
    with pytest.raises(InputError, match="0 rows given"):
        expected_calibration_error(np.empty(0), np.empty(0, int))
