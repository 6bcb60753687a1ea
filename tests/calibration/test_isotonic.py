import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression

from mcdrop.calibration import Isotonic, accuracy, negative_log_likelihood
from mcdrop.prediction import Binary, Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, size=(200, 3)) + RNG.normal(0, 1, size=(8, 200, 3))
LABELS = (LOGITS.mean(axis=0) / 2 + RNG.gumbel(size=(200, 3))).argmax(axis=1)


def events(probs):
    return from_draws(torch.tensor(probs)[None], Binary(probs=True))


def test_shares_are_those_of_the_blocks_that_pool():
    """Probabilities .1 .2 .3 .4 .5 with outcomes 0 1 0 0 1: .2 to .4 pool to 1/3; ends are 1/7 and 6/7 at least."""
    prediction = events([0.1, 0.2, 0.3, 0.4, 0.5])
    found = Isotonic.fit(prediction, np.array([0, 1, 0, 0, 1]))(prediction)
    np.testing.assert_allclose(found.probs, [1 / 7, 1 / 3, 1 / 3, 1 / 3, 6 / 7])
    np.testing.assert_allclose(found.moments["complement"].mean, 1 - found.probs)


def test_between_knots_it_is_linear_and_beyond_constant():
    fitted = Isotonic.fit(events([0.2, 0.4]), np.array([0, 1]))
    np.testing.assert_allclose(fitted(events([0.0, 0.3, 1.0])).probs, [0.25, 0.5, 0.75])


def test_scikit_learn_one_class_at_a_time_gives_the_same():
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    probs, columns = reference.softmax(LOGITS).mean(axis=0), []
    for number in range(3):
        regression = IsotonicRegression(y_min=1 / 202, y_max=201 / 202, out_of_bounds="clip")
        columns.append(regression.fit(probs[:, number], number == LABELS).predict(probs[:, number]))
    together = np.stack(columns, axis=1)
    found = Isotonic.fit(prediction, LABELS)(prediction)
    np.testing.assert_allclose(found.probs, together / together.sum(axis=1, keepdims=True), rtol=1e-6)
    before, after = (negative_log_likelihood(p, LABELS).value for p in (prediction, found))
    assert after < before


def test_ties_pool():
    prediction = events([0.9, 0.9, 0.9, 0.2])
    np.testing.assert_allclose(Isotonic.fit(prediction, np.array([1, 1, 0, 0]))(prediction).probs[:3], 2 / 3)


def test_constant_predictions_become_the_observed_share():
    prediction = events([0.9] * 8)
    np.testing.assert_allclose(Isotonic.fit(prediction, np.array([1, 0, 0, 0, 0, 0, 0, 1]))(prediction).probs, 0.25)


def test_one_row_gives_the_rule_of_succession():
    for happened, expected in ((0, 1 / 3), (1, 2 / 3)):
        fitted = Isotonic.fit(events([0.7]), np.array([happened]))
        np.testing.assert_allclose(fitted(events([0.1, 0.7, 0.9])).probs, expected)


def test_a_class_never_seen_has_the_probability_of_one_that_was_never_seen():
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    seen = np.where(LABELS == 2, 0, LABELS)
    after = Isotonic.fit(prediction, seen)(prediction)
    # 1/202 before the division by the sum
    assert (after.probs[:, 2] > 0.5 / 202).all()
    assert (after.probs[:, 2] < 2 / 202).all()
    assert np.isfinite(negative_log_likelihood(after, LABELS).value)
    np.testing.assert_allclose(after.probs.sum(dim=1), 1)


def test_pixels_count_as_labels_each():
    images = from_draws(torch.from_numpy(LOGITS.reshape(8, 20, 10, 3).transpose(0, 1, 3, 2)), Categorical(class_dim=1))
    flat = from_draws(torch.from_numpy(LOGITS), Categorical())
    after = Isotonic.fit(images, LABELS.reshape(20, 10))(images).probs
    torch.testing.assert_close(after.movedim(1, -1).reshape(200, 3), Isotonic.fit(flat, LABELS)(flat).probs)


def test_rows_in_pieces_give_the_same(monkeypatch):
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    fitted = Isotonic.fit(prediction, LABELS)
    whole = fitted(prediction)
    pieces = [slice(0, 70), slice(70, 140), slice(140, 210)]
    monkeypatch.setattr("mcdrop.calibration.averaged.row_pieces", lambda rows, numbers: pieces)
    cut = fitted(prediction)
    torch.testing.assert_close(cut.probs, whole.probs, rtol=0, atol=0)
    torch.testing.assert_close(cut.mc_error, whole.mc_error, rtol=0, atol=0)


def test_no_rows_stay_none():
    prediction = from_draws(torch.from_numpy(LOGITS), Categorical())
    assert Isotonic.fit(prediction, LABELS)(prediction[:0]).probs.shape == (0, 3)


def test_labels_may_change():
    """Class 0 is always a little ahead, and class 1 always right."""
    prediction, labels = from_draws(torch.tensor([[[0.1, 0.0]] * 200]), Categorical()), np.ones(200, dtype=np.int64)
    after = Isotonic.fit(prediction, labels)(prediction)
    assert accuracy(prediction, labels).value == 0
    assert accuracy(after, labels).value == 1
