import math

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import HeteroscedasticGaussian, from_draws

RNG = np.random.default_rng(0)
MEAN, LOG_VARIANCE = (torch.from_numpy(RNG.normal(0, 2, size=(6, 5, 3))) for _ in range(2))
STD = np.exp(LOG_VARIANCE.numpy() / 2)
Y = RNG.normal(0, 2, size=(5, 3))
SCALES = {"log_variance": LOG_VARIANCE, "variance": LOG_VARIANCE.exp(), "std": (LOG_VARIANCE / 2).exp()}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("form", [tuple, list, lambda pair: torch.cat(list(pair), dim=-1)])
def test_all_forms_and_scales_are_the_same_normal(scale, form):
    likelihood = HeteroscedasticGaussian(scale)
    outputs = form((MEAN, SCALES[scale]))
    likelihood.check(outputs)
    statistics = likelihood.statistics(outputs)
    torch.testing.assert_close(statistics["mean"], MEAN)
    np.testing.assert_allclose(statistics["noise"], STD**2, rtol=1e-12)
    np.testing.assert_allclose(likelihood.log_prob(outputs, Y), stats.norm.logpdf(Y, MEAN, STD), rtol=1e-11)
    np.testing.assert_allclose(likelihood.cdf(outputs, Y), stats.norm.cdf(Y, MEAN, STD).mean(axis=0), rtol=1e-12)
    lower, upper = from_draws(outputs, likelihood).interval(0.9)
    np.testing.assert_allclose(stats.norm.cdf(lower, MEAN, STD).mean(axis=0), 0.05, atol=1e-9)
    np.testing.assert_allclose(stats.norm.cdf(upper, MEAN, STD).mean(axis=0), 0.95, atol=1e-9)


def test_extreme_log_variances_stay_finite():
    outputs = torch.tensor([[[0.0, -600.0], [0.0, 600.0]]])
    HeteroscedasticGaussian().check(outputs)
    log_prob = HeteroscedasticGaussian().log_prob(outputs, np.zeros((2, 1)))
    np.testing.assert_allclose(log_prob.flatten(), [300 - math.log(2 * math.pi) / 2, -300 - math.log(2 * math.pi) / 2])


def test_what_does_not_fit():
    def refused(match, outputs, scale="log_variance", error=OutputError):
        with pytest.raises(error, match=match):
            HeteroscedasticGaussian(scale).check(outputs)

    refused(r"the model returned \(5, 3\): its last axis must hold a mean and a scale", torch.zeros(2, 5, 3))
    refused(r"the model returned \(5,\): its last axis", torch.zeros(2, 5))
    refused(r"means \(5, 3\) and scales \(5, 1\): give one scale", (torch.zeros(2, 5, 3), torch.zeros(2, 5, 1)))
    refused("reads one tensor of mean and scale", (torch.zeros(2, 5, 3),) * 3)
    refused("reads one tensor of mean and scale", {"mean": torch.zeros(2, 5)})
    refused("reads a std, and 2 of them are not positive. Put a softplus", torch.zeros(1, 2, 2), "std")
    refused("reads a variance, and 1 of them are not positive", torch.tensor([[[1.0, -1.0]]]), "variance")
    refused("one of them is 800 in size, so that the variance overflows", torch.tensor([[[0.0, 800.0]]]))
    refused("1 outputs of 1 of 1 rows", torch.tensor([[[0.0, math.nan]]]), error=NonFiniteError)
    refused("1 outputs of 1 of 1 rows", (torch.zeros(1, 1), torch.tensor([[math.inf]])), error=NonFiniteError)
    refused("floating-point mean", (torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.int64)))


def test_an_unknown_scale(without_type_checks):
    with pytest.raises(InputError, match='scale="sigma" given, the model returns "log_variance", "variance" or "std"'):
        HeteroscedasticGaussian("sigma")
