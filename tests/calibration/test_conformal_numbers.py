import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration import ResidualIntervals
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Poisson, from_draws

RNG = np.random.default_rng(0)


def predicted(mean, std):
    return from_draws((torch.tensor(mean)[None], torch.tensor(std)[None]), HeteroscedasticGaussian("std"))


@pytest.mark.parametrize("normalised", [False, True])
def test_coverage_over_repetitions_follows_its_beta_law(normalised):
    """Each of 3000 outputs is a repetition; y is normal, so that its coverage given the held-out rows is known."""
    n, repetitions, alpha = 39, 3000, 0.1
    draws = np.stack([-np.ones((n, repetitions)), np.ones((n, repetitions))])  # mean 0, variance 2 + 0.25
    prediction = from_draws(torch.from_numpy(draws), Gaussian(4.0))
    fitted = ResidualIntervals.fit(prediction, RNG.normal(size=(n, repetitions)), alpha=alpha, normalised=normalised)
    upper = fitted(prediction[:1]).upper[0].numpy()
    k = 36  # ceil(40 * 0.9)
    assert stats.kstest(2 * stats.norm.cdf(upper) - 1, stats.beta(k, n + 1 - k).cdf).pvalue > 1e-3


def test_absolute_residuals_by_hand():
    """Residuals 1 3 2 0 with k = 4 of 4: all intervals are 3 to each side."""
    prediction = from_draws(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), Gaussian(1.0))
    fitted = ResidualIntervals.fit(prediction, np.array([1.0, -2.0, 4.0, 3.0]), alpha=0.2)
    found = fitted(prediction)
    assert found.lower.tolist() == [-3, -2, -1, 0]
    assert found.upper.tolist() == [3, 4, 5, 6]
    assert found.widths.tolist() == [6] * 4


def test_normalised_residuals_by_hand():
    """|y - m| / s is 2 1 4, k = 2 of 3 at alpha .5: intervals are 2 s to each side."""
    means, stds = np.zeros((2, 3)), np.array([[1.0, 2.0, 0.5]] * 2)
    prediction = from_draws((torch.from_numpy(means), torch.from_numpy(stds)), HeteroscedasticGaussian("std"))
    fitted = ResidualIntervals.fit(prediction, np.array([2.0, -2.0, 2.0]), alpha=0.5, normalised=True)
    np.testing.assert_allclose(fitted(prediction).upper, [2, 4, 1])
    np.testing.assert_allclose(fitted(prediction).lower, [-2, -4, -1])


def test_too_few_rows_give_the_whole_line():
    prediction = from_draws(torch.zeros(2, 3), Gaussian(1.0))
    for normalised in (False, True):
        found = ResidualIntervals.fit(prediction, np.arange(3.0), alpha=0.1, normalised=normalised)(prediction)
        assert found.lower.tolist() == [-np.inf] * 3
        assert found.upper.tolist() == [np.inf] * 3
        assert found.coverage(np.array([1e9, 0, -1e9])).value == 1


def test_one_row_and_constant_predictions_are_defined():
    prediction = from_draws(torch.zeros(2, 1), Gaussian(1.0))
    assert ResidualIntervals.fit(prediction, np.array([3.0]), alpha=0.5)(prediction).upper.tolist() == [3]
    assert ResidualIntervals.fit(prediction, np.array([0.0]), alpha=0.5)(prediction).widths.tolist() == [0]


def test_counts_have_intervals():
    prediction = from_draws(torch.zeros(2, 4), Poisson())
    found = ResidualIntervals.fit(prediction, np.array([0, 1, 2, 4]), alpha=0.25)(prediction)
    assert found.upper.tolist() == [4] * 4


def test_images_are_refused():
    prediction = from_draws(torch.zeros(2, 3, 4, 4), Gaussian(1.0))
    with pytest.raises(InputError, match=r"Means \(3, 4, 4\) given, and ResidualIntervals is for \(N,\) or \(N, D\)"):
        ResidualIntervals.fit(prediction, np.zeros((3, 4, 4)), alpha=0.1)


def test_one_draw_has_no_standard_deviation_to_divide_by():
    prediction = from_draws(torch.zeros(1, 4), Gaussian(1.0))
    with pytest.raises(UnavailableError, match="num_samples>=2"):
        ResidualIntervals.fit(prediction, np.zeros(4), alpha=0.5, normalised=True)


def test_moments_are_enough():
    prediction = from_draws(torch.zeros(3, 4), Gaussian(1.0), keep_samples=False)
    assert ResidualIntervals.fit(prediction, np.ones(4), alpha=0.5, normalised=True)(prediction).widths.isfinite().all()
