import numpy as np
import pytest
import torch

from mcdrop.calibration import StreamedLogDensity
from mcdrop.calibration.jackknife import log_mean_exp_without
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Categorical, Gaussian, HeteroscedasticGaussian, Moments, Poisson
from mcdrop.prediction.mixture import log_mean_exp

DRAWS = torch.randn(75, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LIKELIHOODS = [
    (Gaussian(4.0), torch.zeros(6, 2)),
    (Gaussian(1e6), torch.zeros(6, 2)),  # densities below exp(-700)
    (HeteroscedasticGaussian(), torch.zeros(6, 1)),
    (Poisson(), torch.ones(6, 2)),
    (Categorical(), torch.tensor([0, 1, 0, 1, 0, 1])),
]


@pytest.mark.parametrize(("likelihood", "targets"), LIKELIHOODS, ids=str)
@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("chunk", [1, 7, 75])
def test_streamed_densities_are_those_of_all_draws_at_once(likelihood, targets, block_size, chunk):
    density = StreamedLogDensity.init(likelihood, targets, block_size)
    moments = Moments.init(block_size)
    for part in DRAWS.split(chunk):
        density, moments = density.update(part), moments.update(part)
    assert density.counts == moments.groups.counts
    logs = likelihood.log_prob(DRAWS, targets)
    expected = torch.cat([log_mean_exp(logs)[None], log_mean_exp_without(logs, density.counts)])
    np.testing.assert_allclose(density.log_mean_exp, expected, rtol=1e-12)


def test_sixteen_numbers_for_each_target_are_kept_however_many_draws():
    density = StreamedLogDensity.init(Gaussian(1.0), torch.zeros(6, 2))
    for _ in range(20):
        density = density.update(DRAWS)
    assert len(density.sums) <= 16
    assert sum(density.counts) == 1500


def test_a_single_group_has_no_values_without_it():
    density = StreamedLogDensity.init(Gaussian(1.0), torch.zeros(6, 2), block_size=100).update(DRAWS)
    assert density.log_mean_exp.shape == (1, 6, 2)


def test_an_update_leaves_the_density_before_as_it_was():
    first = StreamedLogDensity.init(Gaussian(1.0), torch.zeros(6, 2)).update(DRAWS[:3])
    before = first.log_mean_exp.clone()
    first.update(DRAWS[3:])
    assert torch.equal(first.log_mean_exp, before)


def test_what_does_not_fit():
    with pytest.raises(InputError, match="block_size=0 given, a block holds at least one draw"):
        StreamedLogDensity.init(Gaussian(1.0), torch.zeros(6), block_size=0)
    with pytest.raises(UnavailableError, match="0 draws given, a density of their mixture needs at least 1"):
        _ = StreamedLogDensity.init(Gaussian(1.0), torch.zeros(6)).log_mean_exp
    with pytest.raises(InputError, match=r"Targets of shape \(5, 2\) given, predictions need \(6, 2\)"):
        StreamedLogDensity.init(Gaussian(1.0), torch.zeros(5, 2)).update(DRAWS)
