import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from mcdrop.calibration import CdfRecalibration, VarianceScaling
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, from_draws

RNG = np.random.default_rng(0)
MEANS = RNG.normal(0, 0.3, size=(15, 300, 2))
Y = RNG.standard_t(3, size=(300, 2)).clip(-3, 3) + 0.5


def predicted(means=MEANS, precision=4.0, **options):
    return from_draws(torch.from_numpy(means), Gaussian(precision), **options)


def test_kuleshovs_isotonic_regression_by_scikit_learn_gives_the_same():
    prediction = predicted()
    found = CdfRecalibration.fit(prediction, Y)(prediction).cdf(Y)
    for output in range(2):
        reached = stats.norm.cdf(Y[:, output], MEANS[..., output], 0.5).mean(axis=0)
        # algorithm 1 with the divisor n + 1: shares of values that are at most as large
        shares = (reached <= reached[:, None]).sum(axis=1) / 301
        regression = IsotonicRegression(out_of_bounds="clip").fit(reached, shares)
        np.testing.assert_allclose(found[:, output], regression.predict(reached), atol=1e-6)


def test_held_out_values_become_uniform_and_the_law_of_new_ones_nearly():
    prediction = predicted()
    recalibration = CdfRecalibration.fit(prediction[:150], Y[:150])
    held_out = recalibration(prediction[:150]).cdf(Y[:150])
    np.testing.assert_allclose(np.sort(held_out[:, 0]), np.arange(1, 151) / 151)
    new, before = recalibration(prediction[150:]).cdf(Y[150:]), prediction[150:].cdf(Y[150:])
    # the difference of two empirical laws of 150 each: 1.63 sqrt(2/150) is exceeded once in a hundred times
    limit = 1.63 * (2 / 150) ** 0.5
    assert all(stats.kstest(column, "uniform").statistic < limit for column in new.T.numpy())
    assert all(stats.kstest(column, "uniform").statistic > limit for column in before.T.numpy())


def test_hand_computed_knots_with_ties_at_their_mean_rank():
    prediction = predicted(np.zeros((2, 4)), precision=1.0)
    recalibration = CdfRecalibration.fit(prediction, np.array([0.0, 2.0, 0.0, -1.0]))
    np.testing.assert_allclose(recalibration.inputs, [[0, stats.norm.cdf(-1), 0.5, stats.norm.cdf(2), 1]])
    np.testing.assert_allclose(recalibration.outputs, [[0, 0.2, 0.5, 0.8, 1]])


def test_one_row_halves_the_mass():
    prediction = predicted(np.zeros((2, 1)), precision=1.0)
    after = CdfRecalibration.fit(prediction, np.array([1.0]))(prediction)
    assert after.quantile(0.5).item() == pytest.approx(1.0, abs=1e-8)


def test_a_target_beyond_double_precision_leaves_its_mass_to_the_tail():
    prediction = predicted(np.zeros((2, 3)), precision=1.0)
    recalibration = CdfRecalibration.fit(prediction, np.array([0.0, 1.0, 50.0]))
    assert recalibration.outputs == ((0.0, 0.25, 0.5, 1.0),)
    assert recalibration(prediction).quantile(0.9).isfinite().all()


def test_many_targets_beyond_double_precision_are_refused_with_the_remedy():
    prediction = predicted(np.zeros((2, 300)), precision=1e4)
    with pytest.raises(InputError, match=r"of 300 targets lie so far out .* apply VarianceScaling first"):
        CdfRecalibration.fit(prediction, Y[:, 0])


def test_after_variance_scaling_it_reaches_targets_that_are_far_off():
    prediction = predicted(np.zeros((2, 300)), precision=1e4)
    y = Y[:, 0]
    scaling = VarianceScaling.fit(prediction, y)
    both = CdfRecalibration.fit(scaling(prediction), y)(scaling(prediction))
    lower, upper = both.interval(0.8)
    assert abs(((lower.numpy() <= y) & (y <= upper.numpy())).mean() - 0.8) < 0.02


def test_elements_of_images_share_one_map():
    images = MEANS.reshape(15, 6, 10, 10)
    recalibration = CdfRecalibration.fit(predicted(images), Y.reshape(6, 10, 10))
    assert len(recalibration.inputs) == 1
    assert recalibration(predicted(images)).interval(0.5)[0].shape == (6, 10, 10)


def test_without_samples_there_is_no_cumulative_distribution():
    with pytest.raises(UnavailableError, match="cdf of the mixture needs every draw"):
        CdfRecalibration.fit(predicted(keep_samples=False), Y)


def test_targets_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="NaN or infinite"):
        CdfRecalibration.fit(predicted(), np.full((300, 2), np.inf))
