import numpy as np
import pytest
import sklearn.datasets
import torch

from mcdrop.data import moons
from mcdrop.errors import InputError


@pytest.mark.parametrize("num_rows", [2, 100, 101])
def test_without_noise_the_points_are_evenly_spaced_on_two_half_circles(num_rows):
    drawn = moons.draw(num_rows, noise=0.0)
    upper, lower = drawn.x[drawn.labels == 0].double(), drawn.x[drawn.labels == 1].double()
    assert (len(upper), len(lower)) == (num_rows // 2, num_rows - num_rows // 2)
    for angles, points in (
        (torch.linspace(0, torch.pi, len(upper)), torch.stack([upper[:, 0], upper[:, 1]], dim=1)),
        (torch.linspace(0, torch.pi, len(lower)), torch.stack([1 - lower[:, 0], 0.5 - lower[:, 1]], dim=1)),
    ):
        points = points[points[:, 0].argsort(descending=True)]
        expected = torch.stack([angles.cos(), angles.sin()], dim=1).double()
        torch.testing.assert_close(points, expected, atol=1e-6, rtol=0)


def test_the_noise_has_its_standard_deviation():
    clean, noisy = moons.draw(5000, noise=0.0, seed=3), moons.draw(5000, noise=0.2, seed=3)
    assert torch.equal(clean.labels, noisy.labels)
    residuals = (noisy.x - clean.x).double()
    n = residuals.numel()
    assert abs(residuals.mean()) < 4 * 0.2 / n**0.5
    assert abs(residuals.square().mean() / 0.04 - 1) < 4 * (2 / n) ** 0.5


def test_it_is_what_scikit_learn_draws():
    x, labels = sklearn.datasets.make_moons(50, noise=0.15, random_state=9)
    drawn = moons.draw(50, noise=0.15, seed=9)
    np.testing.assert_array_equal(drawn.x, x.astype(np.float32))
    np.testing.assert_array_equal(drawn.labels, labels)
    assert (drawn.x.dtype, drawn.labels.dtype) == (torch.float32, torch.int64)


def test_one_seed_is_one_set_and_global_random_states_are_left_as_found():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert torch.equal(moons.draw(9, seed=1).x, moons.draw(9, seed=1).x)
    assert not torch.equal(moons.draw(9, seed=1).x, moons.draw(9, seed=2).x)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("num_rows", [-1, 0, 1])
def test_too_few_rows_are_refused(num_rows):
    with pytest.raises(InputError, match=rf"num_rows={num_rows}: at least 2 are needed"):
        moons.draw(num_rows)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_what_is_no_standard_deviation_is_refused(noise):
    with pytest.raises(InputError, match=r"noise=.*a finite standard deviation, at least 0"):
        moons.draw(10, noise=noise)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_scikit_learn_cannot_take_is_refused(seed):
    with pytest.raises(InputError, match=r"an integer in \[0, 2\*\*32\)"):
        moons.draw(10, seed=seed)
