import numpy as np
import pytest
import torch
from scipy import optimize, stats

from mcdrop.calibration import VarianceScaling, negative_log_likelihood, rmse
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, from_draws

RNG = np.random.default_rng(0)
MEANS = RNG.normal(0, 0.3, size=(15, 200, 2))
Y = RNG.normal(0, [1.0, 0.2], size=(200, 2))


QUARTER = Gaussian(4.0)


def predicted(means=MEANS, likelihood=QUARTER, **options):
    return from_draws(torch.from_numpy(means), likelihood, **options)


def test_the_variance_becomes_the_mean_squared_error():
    prediction = predicted()
    scaling = VarianceScaling.fit(prediction, Y)
    after = scaling(prediction)
    squared = (torch.from_numpy(Y) - after.mean).square() / after.variance
    np.testing.assert_allclose(squared.mean(dim=0), 1)
    expected = ((Y - MEANS.mean(axis=0)) ** 2 / (MEANS.var(axis=0, ddof=1) + 0.25)).mean(axis=0) ** 0.5
    np.testing.assert_allclose(scaling.factors, expected)


def test_for_a_normal_it_is_the_factor_of_greatest_likelihood():
    mean, std = MEANS[0, :, 0], np.exp(MEANS[1, :, 0])
    draws = tuple(torch.from_numpy(np.stack([part, part])) for part in (mean, std))
    prediction = from_draws(draws, HeteroscedasticGaussian("std"))

    def loss(log_factor):
        return -stats.norm.logpdf(Y[:, 0], mean, std * np.exp(log_factor)).mean()

    best = optimize.minimize_scalar(loss)
    scaling = VarianceScaling.fit(prediction, Y[:, 0])
    assert scaling.factors[0] == pytest.approx(np.exp(best.x), rel=1e-5)
    assert negative_log_likelihood(scaling(prediction), Y[:, 0]).value == pytest.approx(best.fun)


def test_the_rmse_and_its_errors_stay():
    prediction = predicted()
    before, after = rmse(prediction, Y), rmse(VarianceScaling.fit(prediction, Y)(prediction), Y)
    assert after.value == pytest.approx(before.value)
    assert after.mc_error == pytest.approx(before.mc_error)
    difference = after - before
    assert (difference.value, difference.mc_error) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))


def test_rows_and_their_order_do_not_matter_and_n_1_is_n():
    prediction, order = predicted(MEANS[..., 0]), RNG.permutation(200)
    one = VarianceScaling.fit(prediction, Y[:, 0]).factors[0]
    assert VarianceScaling.fit(prediction[order], Y[order, :1]).factors[0] == pytest.approx(one)


def test_all_elements_of_an_image_share_one_factor():
    images = MEANS.reshape(15, 4, 10, 10)
    scaling = VarianceScaling.fit(predicted(images), Y.reshape(4, 10, 10))
    assert len(scaling.factors) == 1
    assert scaling(predicted(images)).quantile(0.3).shape == (4, 10, 10)


def test_one_row_is_enough():
    scaling = VarianceScaling.fit(predicted(MEANS[:, :1]), Y[:1])
    assert len(scaling.factors) == 2


def test_targets_that_are_the_means_are_refused():
    with pytest.raises(InputError, match="All targets of an output are equal to its means"):
        VarianceScaling.fit(predicted(np.zeros((3, 4))), np.zeros(4))


def test_targets_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="1 targets are NaN or infinite"):
        VarianceScaling.fit(predicted(np.zeros((3, 4))), np.array([1, 2, np.nan, 3]))


def test_one_draw_has_no_variance():
    with pytest.raises(UnavailableError, match="num_samples>=2"):
        VarianceScaling.fit(predicted(MEANS[:1]), Y)
