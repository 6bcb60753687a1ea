import numpy as np
import pytest
import torch
from scipy import optimize, special
from sklearn import calibration as sklearn_calibration
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from torch import nn

import mcdrop
from mcdrop.calibration import Temperature, brier_score, error_rate, negative_log_likelihood
from mcdrop.calibration.temperature import tempered
from mcdrop.data import digits
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Binary, Categorical, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 4, size=(60, 3)) + RNG.normal(0, 1, size=(10, 60, 3))
LABELS = (LOGITS.mean(axis=0) / 3 + RNG.gumbel(size=(60, 3))).argmax(axis=1)


LOGITS_READ = Categorical()


def predicted(logits=LOGITS, likelihood=LOGITS_READ, **options):
    return from_draws(torch.from_numpy(logits), likelihood, **options)


def expected_calibration_error(probs, labels, bins=15):
    """Mean over rows of |accuracy - confidence| of their bin of equal width, by a loop."""
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    number = np.ceil(confidence * bins)
    error = 0.0
    for found in np.unique(number):
        chosen = number == found
        error += chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean())
    return error


def test_the_temperature_of_the_average_is_the_minimum_of_the_loss():
    probs = reference.softmax(LOGITS).mean(axis=0)

    def loss(temperature):
        scores = np.log(probs) / temperature
        return -special.log_softmax(scores, axis=1)[np.arange(60), LABELS].mean()

    found = Temperature.fit(predicted(), LABELS)
    grid = np.linspace(found.temperature / 1.5, found.temperature * 1.5, 1001)
    assert abs(grid[np.argmin([loss(at) for at in grid])] - found.temperature) <= grid[1] - grid[0]
    assert negative_log_likelihood(found(predicted()), LABELS).value == pytest.approx(loss(found.temperature))
    np.testing.assert_allclose(
        found(predicted()).probs, special.softmax(np.log(probs) / found.temperature, axis=1), rtol=1e-12
    )


def test_the_temperature_inside_is_the_minimum_of_the_loss_of_the_mixture():
    def loss(temperature):
        return -np.log(reference.softmax(LOGITS / temperature).mean(axis=0)[np.arange(60), LABELS]).mean()

    best = optimize.minimize_scalar(loss, bounds=(0.2, 20), method="bounded", options={"xatol": 1e-9})
    found = Temperature.fit(predicted(keep_samples=True), LABELS, inside=True)
    assert found.temperature == pytest.approx(best.x, rel=1e-5)
    after = found(predicted(keep_samples=True))
    assert negative_log_likelihood(after, LABELS).value == pytest.approx(best.fun)
    np.testing.assert_allclose(after.probs, reference.softmax(LOGITS / found.temperature).mean(axis=0))
    entropies = [[reference.entropy(row) for row in draw] for draw in reference.softmax(LOGITS / found.temperature)]
    np.testing.assert_allclose(after.expected_entropy, np.mean(entropies, axis=0))


def test_scikit_learn_finds_the_same_temperature_of_the_average():
    class Averaged(ClassifierMixin, BaseEstimator):
        """Rows are the averaged probabilities themselves, and their logarithm the decision."""

        def fit(self, x, y):
            self.classes_ = np.unique(y)
            return self

        def decision_function(self, x):
            return np.log(x)

        def predict(self, x):
            return x.argmax(axis=1)

    probs = reference.softmax(LOGITS).mean(axis=0)
    known = FrozenEstimator(Averaged().fit(probs, LABELS))
    theirs = sklearn_calibration.CalibratedClassifierCV(known, method="temperature").fit(probs, LABELS)
    ours = Temperature.fit(predicted(), LABELS)(predicted()).probs
    np.testing.assert_allclose(ours, theirs.predict_proba(probs), atol=2e-4)  # their optimiser stops earlier


def test_events_are_two_classes():
    events = (LABELS == 0).astype(np.int64)
    logits = LOGITS[..., 0]
    as_classes = np.stack([np.zeros_like(logits), logits], axis=-1)
    for inside in (False, True):
        one = Temperature.fit(predicted(logits, Binary(), keep_samples=True), events, inside=inside)
        two = Temperature.fit(predicted(as_classes, keep_samples=True), events, inside=inside)
        assert one.temperature == pytest.approx(two.temperature, rel=1e-6)
        np.testing.assert_allclose(
            one(predicted(logits, Binary(), keep_samples=True)).probs,
            two(predicted(as_classes, keep_samples=True)).probs[:, 1],
            rtol=1e-6,
        )


@pytest.mark.parametrize("inside", [False, True])
def test_models_that_return_probabilities_get_the_same(inside):
    logits = Temperature.fit(predicted(keep_samples=True), LABELS, inside=inside)
    probs = predicted(reference.softmax(LOGITS), Categorical(probs=True), keep_samples=True)
    found = Temperature.fit(probs, LABELS, inside=inside)
    assert found.temperature == pytest.approx(logits.temperature, rel=1e-6)
    np.testing.assert_allclose(found(probs).probs, logits(predicted(keep_samples=True)).probs, rtol=1e-6)
    events = predicted(1 / (1 + np.exp(-LOGITS[..., 0])), Binary(probs=True), keep_samples=True)
    like = predicted(LOGITS[..., 0], Binary(), keep_samples=True)
    happened = (LABELS == 0).astype(np.int64)
    np.testing.assert_allclose(
        Temperature.fit(events, happened, inside=inside)(events).probs,
        Temperature.fit(like, happened, inside=inside)(like).probs,
        rtol=1e-6,
    )


def test_pixels_count_as_rows_of_the_fit_and_keep_their_places():
    images = LOGITS.reshape(10, 6, 10, 3).transpose(0, 1, 3, 2)  # T, N, C, pixels
    labels = LABELS.reshape(6, 10)
    for inside in (False, True):
        found = Temperature.fit(predicted(images, Categorical(class_dim=1), keep_samples=True), labels, inside=inside)
        flat = Temperature.fit(predicted(keep_samples=True), LABELS, inside=inside)
        assert found.temperature == pytest.approx(flat.temperature, rel=1e-9)
        after = found(predicted(images, Categorical(class_dim=1), keep_samples=True))
        expected = flat(predicted(keep_samples=True)).probs.reshape(6, 10, 3).movedim(-1, 1)
        torch.testing.assert_close(after.probs, expected)


def test_the_error_rate_is_identical_ties_and_near_ties_included():
    nearly = np.nextafter(0.4, 1)
    probs = np.array([[0.4, 0.4, 0.2], [0.4, nearly, 0.2], [nearly, 0.4, 0.2], [1 / 3] * 3, [0.2, 0.4, nearly]])
    labels = np.array([1, 0, 1, 2, 1])
    for temperature in (0.05, 0.5, 1.0, 3.0, 100.0):
        after = tempered(torch.from_numpy(probs), temperature)
        assert (after.argmax(dim=1).numpy() == probs.argmax(axis=1)).all()
        assert error_rate(after, labels).value == error_rate(probs, labels).value


def test_the_error_rate_of_the_average_is_reported_identical_and_inside_as_it_is():
    prediction = predicted(keep_samples=True)
    outer, inner = (Temperature.fit(prediction, LABELS, inside=inside) for inside in (False, True))
    before = error_rate(prediction, LABELS).value
    assert outer.error_before == outer.error_after == before == error_rate(outer(prediction), LABELS).value
    assert inner.error_before == before
    assert inner.error_after == error_rate(inner(prediction), LABELS).value


def test_labels_may_change_inside_the_average():
    """Three draws a little for class 0 and two much for class 1: the colder, the more the majority counts."""
    logits = np.array([[0.3, 0.0]] * 3 + [[0.0, 3.0]] * 2)[:, None].repeat(20, axis=1)
    prediction = predicted(logits, keep_samples=True)
    inner = Temperature.fit(prediction, np.array([0] * 11 + [1] * 9), inside=True)
    assert prediction.labels.tolist() == [1] * 20
    assert inner(prediction).labels.tolist() == [0] * 20
    assert (inner.error_before, inner.error_after) == (0.55, 0.45)


def test_what_single_draws_say_is_refused_after_the_average_and_there_inside():
    outer = Temperature.fit(predicted(), LABELS)(predicted())
    for name in ("expected_entropy", "mutual_information", "epistemic", "variance"):
        with pytest.raises(UnavailableError, match="recalibrated after"):
            getattr(outer, name)
    assert outer.predictive_entropy.shape == outer.entropy_bias.shape == (60,)
    assert "mutual_information" not in outer.numpy()
    assert "CategoricalPrediction: 60 rows" in repr(outer)


def test_uniform_probabilities_have_temperature_one():
    assert Temperature.fit(predicted(np.zeros((4, 5, 3))), np.array([0, 1, 2, 0, 0])).temperature == 1


def test_constant_probabilities_become_the_observed_shares():
    logits = np.log([[[0.9, 0.1]]]).repeat(8, axis=1)
    found = Temperature.fit(predicted(logits), np.array([0] * 6 + [1] * 2))
    np.testing.assert_allclose(found(predicted(logits)).probs[0], [0.75, 0.25], atol=1e-6)


def test_a_class_never_seen_keeps_a_probability():
    two = LABELS % 2
    after = Temperature.fit(predicted(), two)(predicted())
    assert (after.probs[:, 2] > 0).all()


def test_a_loss_without_minimum_is_refused_in_words():
    sure = np.array([[[2.0, 0.0], [0.0, 2.0]]])
    for inside in (False, True):
        with pytest.raises(InputError, match=r"all the way to the temperature 0.01: the most probable classes alone"):
            Temperature.fit(predicted(sure, keep_samples=True), np.array([0, 1]), inside=inside)
        with pytest.raises(InputError, match="temperature 100: the probabilities say nothing about them"):
            Temperature.fit(predicted(sure, keep_samples=True), np.array([1, 0]), inside=inside)
        with pytest.raises(InputError, match=r"temperature 0.01"):
            Temperature.fit(predicted(sure[:, :1], keep_samples=True), np.array([0]), inside=inside)


def test_targets_of_probability_zero_are_refused_in_words():
    probs = np.array([[[1.0, 0.0], [0.5, 0.5]]])
    for inside in (False, True):
        with pytest.raises(InputError, match="1 targets have probability 0, which no temperature changes"):
            Temperature.fit(
                predicted(probs, Categorical(probs=True), keep_samples=True), np.array([1, 0]), inside=inside
            )


def test_classes_of_probability_zero_keep_it():
    np.testing.assert_allclose(tempered(torch.tensor([0.0, 0.2, 0.8]), 2.0), [0, 1 / 3, 2 / 3])


def test_inside_needs_the_draws():
    with pytest.raises(UnavailableError, match=r"inside the average needs every draw, .* keep_samples=True"):
        Temperature.fit(predicted(), LABELS, inside=True)
    fitted = Temperature.fit(predicted(keep_samples=True), LABELS, inside=True)
    with pytest.raises(UnavailableError, match="keep_samples=True"):
        fitted(predicted())


def test_the_random_state_is_left_as_found():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (the global state is the point)
    Temperature.fit(predicted(), LABELS)(predicted())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.parametrize("inside", [False, True])
def test_it_at_least_halves_the_calibration_error_of_an_overfitted_net_on_held_out_digits(inside):
    """300 digits of which 30 % have a random label, learnt by heart; 270 rows to fit, 270 others to test."""
    data = digits.load(seed=0)
    generator = torch.Generator().manual_seed(0)
    images, labels = data.train_images[:300].flatten(1), data.train_labels[:300].clone()
    wrong = torch.rand(300, generator=generator) < 0.3
    labels[wrong] = torch.randint(10, (int(wrong.sum()),), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(400):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    mc = mcdrop.MCDropout(model, likelihood=Categorical(), num_samples=50, seed=0, keep_samples=True)
    prediction, truth = mc(data.test_images.flatten(1)), data.test_labels
    held_out, test = prediction[:270], prediction[270:]
    after = Temperature.fit(held_out, truth[:270], inside=inside)(test)
    errors = [expected_calibration_error(p.probs.numpy(), truth[270:].numpy()) for p in (test, after)]
    assert errors[0] > 0.05  # overfitted indeed
    assert errors[1] < errors[0] / 2
    gain = negative_log_likelihood(test, truth[270:]) - negative_log_likelihood(after, truth[270:])
    assert gain.value > 4 * gain.standard_error
    assert brier_score(after, truth[270:]).value < brier_score(test, truth[270:]).value
