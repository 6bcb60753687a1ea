import math

import numpy as np
import pytest
import torch

from mcdrop.data import sinusoid
from mcdrop.errors import InputError


def test_without_noise_the_targets_are_the_truth():
    drawn = sinusoid.draw(100, noise=0.0)
    assert drawn.x.shape == drawn.y.shape == (100, 1)
    assert drawn.x.dtype == drawn.y.dtype == torch.float32
    torch.testing.assert_close(drawn.y, torch.tensor([math.sin(2 * math.pi * x) for x in drawn.x[:, 0]])[:, None])
    assert torch.equal(drawn.y, sinusoid.truth(drawn.x))


@pytest.mark.parametrize("gap", [(0.0, 0.5), (-1.0, 0.2), (0.3, 1.0), (-0.9, -0.8), (0.0, 0.0)])
def test_inputs_are_uniform_outside_of_the_gap(gap):
    begin, end = gap
    x = sinusoid.draw(20_000, gap=gap).x[:, 0].double()
    assert x.min() >= -1
    assert x.max() <= 1
    assert not ((x > begin) & (x < end)).any()
    length, n = 2 - (end - begin), len(x)
    for low, high in ((-1, begin), (end, 1)):
        share = (high - low) / length
        inside = (x >= low) & (x <= high)
        assert abs(inside.double().mean() - share) <= 4 * (share * (1 - share) / n) ** 0.5
        if share > 0.01:
            middle = x[inside].mean()
            assert abs(middle - (low + high) / 2) < 4 * (high - low) / (12 * inside.sum()) ** 0.5


def test_the_noise_has_its_standard_deviation_and_does_not_follow_the_inputs():
    drawn = sinusoid.draw(20_000, noise=0.3, seed=1)
    residuals = ((drawn.y - sinusoid.truth(drawn.x)) / 0.3).double()[:, 0]
    n = len(residuals)
    assert abs(residuals.mean()) < 4 / n**0.5
    assert abs(residuals.square().mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs(torch.corrcoef(torch.stack([residuals, drawn.x[:, 0].double()]))[0, 1]) < 4 / n**0.5
    assert torch.equal(drawn.x, sinusoid.draw(20_000, noise=0.0, seed=1).x)


def test_one_seed_is_one_set_and_the_global_random_state_is_left_as_found():
    before = torch.get_rng_state()
    assert torch.equal(sinusoid.draw(9, seed=1).y, sinusoid.draw(9, seed=1).y)
    assert not torch.equal(sinusoid.draw(9, seed=1).y, sinusoid.draw(9, seed=2).y)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="num_rows=0: at least 1 is needed"):
        sinusoid.draw(0)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_what_is_no_standard_deviation_is_refused(noise):
    with pytest.raises(InputError, match=r"noise=.*a finite standard deviation, at least 0"):
        sinusoid.draw(10, noise=noise)


@pytest.mark.parametrize("gap", [(0.5, 0.0), (-1.0, 1.0), (-2.0, 0.0), (0.0, 1.5), (float("nan"), 0.5)])
def test_what_is_no_gap_is_refused(gap):
    with pytest.raises(InputError, match=r"gap=\(.*inside of \[-1, 1\] and shorter"):
        sinusoid.draw(10, gap=gap)


def test_a_seed_of_numpy_is_the_integer(without_type_checks):
    assert torch.equal(sinusoid.draw(np.int64(5), seed=np.int64(1)).y, sinusoid.draw(5, seed=1).y)
