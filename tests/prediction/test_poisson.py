import math

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import Poisson, from_draws
from tests import reference

LOG_RATES = torch.from_numpy(np.random.default_rng(0).normal(1, 1, size=(6, 5)))
RATES = LOG_RATES.exp().numpy()
COUNTS = np.array([0, 1, 2, 7, 30])


def test_log_prob_is_scipys():
    np.testing.assert_allclose(Poisson().log_prob(LOG_RATES, COUNTS), stats.poisson.logpmf(COUNTS, RATES), rtol=1e-12)


def test_the_prediction_is_the_mixture():
    prediction = from_draws(LOG_RATES, Poisson())
    np.testing.assert_allclose(prediction.mean, RATES.mean(axis=0))
    np.testing.assert_allclose(prediction.aleatoric, RATES.mean(axis=0))
    np.testing.assert_allclose(prediction.epistemic, RATES.var(axis=0, ddof=1))
    np.testing.assert_allclose(prediction.cdf(COUNTS), stats.poisson.cdf(COUNTS, RATES).mean(axis=0), rtol=1e-12)
    lower, upper = prediction.interval(0.9)
    assert lower.tolist() == [reference.poisson_mixture_quantile(rates, 0.05) for rates in RATES.T]
    assert upper.tolist() == [reference.poisson_mixture_quantile(rates, 0.95) for rates in RATES.T]
    inside = prediction.cdf(upper) - prediction.cdf(lower - 1)
    assert (inside >= 0.9).all()


def test_what_does_not_fit():
    with pytest.raises(OutputError, match="one of them is 40: above 36 counts are no longer told apart"):
        Poisson().check(torch.tensor([[40.0]]))
    with pytest.raises(NonFiniteError, match="1 outputs of 1 of 1 rows"):
        Poisson().check(torch.tensor([[math.nan]]))
    for bad in (-1.0, 0.5):
        with pytest.raises(InputError, match="Negative or fractional targets given"):
            Poisson().log_prob(torch.zeros(1, 1), np.array([bad]))
