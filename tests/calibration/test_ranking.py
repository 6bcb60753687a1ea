import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from mcdrop.calibration import auroc, auroc_of_error, auroc_ood
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, size=(40, 120, 4))
FOREIGN = RNG.normal(0, 1, size=(40, 80, 4))
LABELS = RNG.integers(4, size=120)
MEASURES = ["least_confidence", "predictive_entropy", "mutual_information"]


def measured(draws, measure):
    probs = reference.softmax(draws)
    mean = probs.mean(axis=0)
    if measure == "least_confidence":
        return 1 - mean.max(axis=1)
    total = stats.entropy(mean, axis=1)
    return total if measure == "predictive_entropy" else total - stats.entropy(probs, axis=2).mean(axis=0)


def categorical(draws):
    return from_draws(torch.from_numpy(draws), Categorical())


@pytest.mark.parametrize("measure", MEASURES)
def test_of_error_it_is_scikit_learns_with_the_literal_jackknife(measure):
    def estimate(draws):
        wrong = reference.softmax(draws).mean(axis=0).argmax(axis=1) != LABELS
        return roc_auc_score(wrong, measured(draws, measure))

    score = auroc_of_error(categorical(LOGITS), LABELS, uncertainty=measure)
    assert score.value == pytest.approx(estimate(LOGITS))
    counts = reference.group_counts(40, 1)
    assert score.mc_error == pytest.approx(reference.jackknife_error(LOGITS, counts, estimate), rel=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
def test_of_foreign_rows_it_is_scikit_learns_with_the_literal_jackknife(measure):
    def estimate(draws):
        values = measured(draws, measure)
        return roc_auc_score(np.arange(200) >= 120, values)

    score = auroc_ood(categorical(LOGITS), categorical(FOREIGN), uncertainty=measure)
    both = np.concatenate([LOGITS, FOREIGN], axis=1)
    assert score.value == pytest.approx(estimate(both))
    counts = reference.group_counts(40, 1)
    assert score.mc_error == pytest.approx(reference.jackknife_error(both, counts, estimate), rel=1e-6)


def test_the_standard_error_is_delongs():
    """The literal formula: variances of each one's share of the other class below it, over the sizes of the classes."""
    values, positive = RNG.integers(10, size=60) / 10, np.arange(60) < 12
    a, b = values[positive][:, None], values[~positive][None, :]
    kernel = (a > b) + 0.5 * (a == b)
    variance = kernel.mean(axis=1).var(ddof=1) / 12 + kernel.mean(axis=0).var(ddof=1) / 48
    score = auroc(values, positive)
    assert score.value == pytest.approx(kernel.mean())
    assert score.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_the_standard_error_is_the_spread_of_resampled_data():
    rng, repetitions = np.random.default_rng(1), 500
    scores = []
    for _ in range(repetitions):
        wrong = rng.random(300) < 0.2
        scores.append(auroc(rng.normal(wrong, 1), wrong))
    spread = np.std([score.value for score in scores], ddof=1)
    said = math.sqrt(np.mean([score.standard_error**2 for score in scores]))
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions)


def test_by_hand():
    """Wrong at .4 and .2, right at .3, .2, .1: of six pairs 3 + 1 + half of one are in order."""
    p, y = np.array([0.6, 0.8, 0.7, 0.8, 0.9]), np.array([0, 0, 1, 1, 1])
    assert auroc_of_error(p, y).value == pytest.approx(4.5 / 6)
    assert auroc_of_error(p, y, uncertainty=np.array([0.0, 0, 1, 1, 1])).value == 0


def test_constant_uncertainty_is_one_half():
    score = auroc_of_error(np.full(10, 0.7), np.arange(10) % 2)
    assert (score.value, score.standard_error) == (0.5, 0)


def test_a_single_wrong_label_has_no_standard_error():
    score = auroc_of_error(np.array([0.6, 0.7, 0.8]), np.array([0, 1, 1]))
    assert (score.value, score.standard_error, score.influence) == (1, None, None)


def test_where_a_class_is_missing_without_a_group_there_is_no_monte_carlo_error():
    """Without the last draw all labels are right."""
    draws = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]] * 3 + [[[0.9, 0.1], [0.1, 0.9]]])
    draws[3, 1] = torch.tensor([0.0, 1.0])
    prediction = from_draws(draws, Categorical(probs=True))
    score = auroc_of_error(prediction, torch.tensor([0, 0]))
    assert score.mc_error is None
    assert score.value == 1


def test_pixels_are_compared_and_their_row_counts_as_one():
    logits = torch.from_numpy(RNG.normal(size=(20, 30, 3, 2, 2)))
    labels = torch.from_numpy(RNG.integers(3, size=(30, 2, 2)))
    segmented = from_draws(logits, Categorical(class_dim=1))
    flat = from_draws(logits.movedim(2, -1).reshape(20, -1, 3), Categorical())
    score, by_pixel = auroc_of_error(segmented, labels), auroc_of_error(flat, labels.flatten())
    assert score.value == pytest.approx(by_pixel.value)
    torch.testing.assert_close(score.influence, by_pixel.influence.view(30, 4).mean(dim=1))
    whole = auroc_ood(segmented, segmented[:10])
    pixels = auroc_ood(flat, flat[:40])  # the pixels of the first ten rows
    torch.testing.assert_close(whole.influence, pixels.influence.view(40, 4).mean(dim=1))
    foreign = from_draws(logits[:, :10, :, :1] + 1, Categorical(class_dim=1))  # of another size, too
    mixed = auroc_ood(segmented, foreign)
    assert len(mixed.influence) == 40
    assert float(mixed.influence.sum()) == pytest.approx(0, abs=1e-9)


def test_saturated_confidences_tie_and_entropies_do_not():
    probs = np.array([[1.0, 1e-20], [1.0, 1e-30], [0.9, 0.1]])
    y = np.array([1, 0, 0])
    assert auroc_of_error(probs, y).value == 0.25
    assert auroc_of_error(probs, y, uncertainty="predictive_entropy").value == 0.5


@pytest.mark.parametrize(("targets", "words"), [([1, 1], "right"), ([0, 0], "wrong")])
def test_one_class_missing(targets, words):
    with pytest.raises(InputError, match=f"All 2 labels are {words}: the AUROC of error compares"):
        auroc_of_error(np.array([0.6, 0.9]), np.array(targets))


def test_what_is_refused(without_type_checks):
    p, y = np.array([0.6, 0.7, 0.8]), np.array([0, 1, 1])
    for match, given in (
        ("uncertainty='doubt' given; expected an array", "doubt"),
        ("1 uncertainties are NaN or infinite", np.array([1.0, np.nan, 2.0])),
        (r"Uncertainties of shape \(2,\) given for 3 rows of 1 labels", np.ones(2)),
        ("mutual information of an array of probabilities asked", "mutual_information"),
    ):
        with pytest.raises(InputError, match=match):
            auroc_of_error(p, y, uncertainty=given)
    with pytest.raises(InputError, match=r"draws in groups of .* and of .* given; expected both from the same draws"):
        auroc_ood(categorical(LOGITS), categorical(FOREIGN[:5]))
    with pytest.raises(InputError, match="0 rows given"):
        auroc_ood(p, np.empty(0))
    for match, arguments in (
        (r"Shapes \(3,\) and \(2,\) given", (p, y[:2])),
        ("1 numbers are NaN or infinite", (np.array([0.1, np.inf]), y[:2])),
        ("Marks other than 0 and 1 given", (p, y + 1)),
        ("0 of 3 rows are positive", (p, y * 0)),
        ("3 of 3 rows are positive", (p, y * 0 + 1)),
        ("0 of 0 rows are positive", (p[:0], y[:0])),
    ):
        with pytest.raises(InputError, match=match):
            auroc(*arguments)


def test_events_have_the_uncertainty_of_their_two_classes():
    prediction = from_draws(torch.from_numpy(LOGITS[..., 0]), Binary())
    two = from_draws(torch.from_numpy(np.stack([0 * LOGITS[..., 0], LOGITS[..., 0]], axis=-1)), Categorical())
    for measure in MEASURES:
        scores = [auroc_of_error(each, LABELS % 2, uncertainty=measure) for each in (prediction, two)]
        assert scores[0].value == pytest.approx(scores[1].value)
        assert scores[0].mc_error == pytest.approx(scores[1].mc_error, rel=1e-6)
