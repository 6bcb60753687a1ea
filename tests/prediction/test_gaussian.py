import math

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import Gaussian
from tests import reference

MEANS = torch.from_numpy(np.random.default_rng(0).normal(0, 3, size=(6, 5, 2)))
Y = np.random.default_rng(1).normal(0, 3, size=(5, 2))


@pytest.mark.parametrize("precision", [4.1, (4.1, 0.3)])
def test_log_prob_and_cdf_are_scipys(precision):
    std = np.asarray(precision) ** -0.5
    likelihood = Gaussian(precision)
    np.testing.assert_allclose(likelihood.log_prob(MEANS, Y), stats.norm.logpdf(Y, MEANS, std), rtol=1e-13)
    np.testing.assert_allclose(likelihood.cdf(MEANS, Y), stats.norm.cdf(Y, MEANS, std).mean(axis=0), rtol=1e-13)
    y = likelihood.quantile(MEANS, 0.9)
    np.testing.assert_allclose(stats.norm.cdf(y, MEANS, std).mean(axis=0), 0.9, atol=1e-9)


def test_log_prob_term_by_term():
    expected = reference.normal_log_density(Y[1, 0], MEANS[2, 1, 0].item(), 1 / 4.1)
    assert Gaussian(4.1).log_prob(MEANS, Y)[2, 1, 0].item() == pytest.approx(expected, rel=1e-13)


def test_the_precision_keeps_its_digits_for_float32_outputs():
    assert Gaussian(0.1).log_prob(torch.zeros(1, 1), np.zeros(1)).item() == pytest.approx(
        math.log(0.1 / (2 * math.pi)) / 2, rel=1e-15
    )


def test_precisions_of_every_kind_are_equal_numbers():
    assert Gaussian(2) == Gaussian(torch.tensor(2.0)) == Gaussian(np.float64(2))
    assert Gaussian([1, 2]) == Gaussian(torch.tensor([1.0, 2.0])) == Gaussian(np.array([1, 2]))
    assert hash(Gaussian([1, 2])) == hash(Gaussian((1.0, 2.0)))
    assert Gaussian([1]) != Gaussian(1)


@pytest.mark.parametrize("precision", [0.0, -1.0, math.inf, math.nan, (1.0, 0.0), ()])
def test_precisions_that_are_none(precision):
    with pytest.raises(InputError, match=r"precision=.* given, it is one positive number or one per output \(D,\)"):
        Gaussian(precision)


def test_what_does_not_fit():
    with pytest.raises(OutputError, match=r"precision has 3 numbers, and the model returned \(5, 2\)"):
        Gaussian((1.0, 2.0, 3.0)).check(MEANS)
    with pytest.raises(OutputError, match=r"precision has 1 numbers, and the model returned \(5,\)"):
        Gaussian((1.0,)).check(MEANS[..., 0])
    with pytest.raises(OutputError, match="floating-point means"):
        Gaussian(1.0).check(torch.zeros(3, 5, dtype=torch.int32))
    with pytest.raises(NonFiniteError, match="1 outputs of 1 of 5 rows"):
        Gaussian(1.0).check(torch.where(MEANS[0, 0, 0] == MEANS, math.nan, MEANS))
    with pytest.raises(InputError, match="1 targets are NaN or infinite"):
        Gaussian(1.0).log_prob(MEANS[..., 0], np.array([0, 1, math.nan, 3, 4]))
    with pytest.raises(InputError, match=r"Targets of shape \(5,\) given, predictions need \(5, 2\)"):
        Gaussian(1.0).log_prob(MEANS, np.zeros(5))
