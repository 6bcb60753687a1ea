import numpy as np
import pytest
import torch
from scipy import special

from mcdrop.calibration import Precision, VarianceScaling, negative_log_likelihood, rmse
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, from_draws

RNG = np.random.default_rng(0)
MEANS = RNG.normal(0, 0.5, size=(20, 200, 2))
Y = RNG.normal(0, [1.0, 0.2], size=(200, 2))


def predicted(means=MEANS, precision=4.0, **options):
    return from_draws(torch.from_numpy(means), Gaussian(precision), **options)


def log_likelihood(precision, means, y):
    terms = np.log(precision / (2 * np.pi)) / 2 - precision * (y - means) ** 2 / 2
    return special.logsumexp(terms, axis=0).mean() - np.log(len(means))


def test_it_is_the_precision_of_the_greatest_predictive_likelihood():
    found = Precision.fit(predicted(), Y).precisions
    for output, precision in enumerate(found):
        grid = precision * np.geomspace(0.5, 2, 801)
        values = [log_likelihood(at, MEANS[..., output], Y[:, output]) for at in grid]
        assert grid[np.argmax(values)] == pytest.approx(precision, rel=2 * (grid[1] / grid[0] - 1))
    after = Precision.fit(predicted(), Y)(predicted())
    best = np.mean([log_likelihood(p, MEANS[..., d], Y[:, d]) for d, p in enumerate(found)])
    assert negative_log_likelihood(after, Y).value == pytest.approx(-best)


def test_one_draw_gives_the_mean_square():
    found = Precision.fit(predicted(MEANS[:1]), Y).precisions
    np.testing.assert_allclose(found, 1 / ((Y - MEANS[0]) ** 2).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("near", "expected"), [(0.01, 1e4), (0.02, 2500), (0.06, 1.02)])
def test_the_greater_of_two_maxima_is_found(near, expected):
    """One draw is near the targets and 39 are at 1: noise as narrow as the one, or as wide as the others."""
    means = np.concatenate([np.full((1, 4), near), np.ones((39, 4))])
    found = Precision.fit(predicted(means), np.zeros(4)).precisions[0]
    grid = np.geomspace(0.1, 1e5, 40001)
    values = [log_likelihood(at, means, np.zeros(4)) for at in grid]
    assert found == pytest.approx(grid[np.argmax(values)], rel=1e-3)
    assert found == pytest.approx(expected, rel=0.05)


def test_the_precision_before_has_no_part_in_it():
    assert Precision.fit(predicted(precision=100.0), Y).precisions == Precision.fit(predicted(), Y).precisions


def test_only_the_noise_changes():
    precision = Precision.fit(predicted(), Y)
    after = precision(predicted())
    assert after.likelihood == Gaussian(precision.precisions)
    torch.testing.assert_close(after.mean, predicted().mean, rtol=0, atol=0)
    torch.testing.assert_close(after.epistemic, predicted().epistemic, rtol=0, atol=0)
    torch.testing.assert_close(after.aleatoric, (1 / torch.tensor(precision.precisions)).double().expand(200, 2))
    assert rmse(after, Y) == rmse(predicted(), Y)


def test_elements_of_images_share_one():
    images = MEANS.reshape(20, 4, 10, 10)
    assert len(Precision.fit(predicted(images), Y.reshape(4, 10, 10)).precisions) == 1
    assert len(Precision.fit(predicted(MEANS[..., 0]), Y[:, 0]).precisions) == 1


def test_other_likelihoods_and_recalibrated_predictions_are_refused():
    both = from_draws(torch.from_numpy(MEANS), HeteroscedasticGaussian())
    with pytest.raises(InputError, match=r"Precision is for Gaussian\(precision\) as predicted"):
        Precision.fit(both, Y[:, :1])
    scaled = VarianceScaling.fit(predicted(), Y)(predicted())
    with pytest.raises(InputError, match=r"A RecalibratedPrediction of Gaussian\(precision=4.0\) given"):
        Precision.fit(scaled, Y)


def test_targets_equal_to_draws_are_refused():
    with pytest.raises(InputError, match="Every target is equal to one of its draws"):
        Precision.fit(predicted(), MEANS[3])


def test_without_samples_the_draws_are_missed():
    with pytest.raises(UnavailableError, match="keep_samples=True"):
        Precision.fit(predicted(keep_samples=False), Y)
