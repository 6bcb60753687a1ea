import numpy as np
import pytest
import sklearn.datasets
import torch

from mcdrop.data import digits
from mcdrop.errors import InputError


def _sorted_rows(images, labels):
    rows = np.column_stack([images.reshape(len(images), -1), labels])
    return rows[np.lexsort(rows.T)]


def test_the_two_parts_together_are_scikit_learns_digits():
    split = digits.load()
    bunch = sklearn.datasets.load_digits()
    images = torch.cat([split.train_images, split.test_images]).numpy()
    labels = torch.cat([split.train_labels, split.test_labels]).numpy()
    np.testing.assert_array_equal(
        _sorted_rows(images, labels), _sorted_rows(bunch.images.astype(np.float32) / 16, bunch.target)
    )


def test_values_types_and_range():
    split = digits.load()
    assert split.train_images.dtype == split.test_images.dtype == torch.float32
    assert split.train_labels.dtype == split.test_labels.dtype == torch.int64
    assert split.train_images.min() == 0
    assert split.train_images.max() == 1


@pytest.mark.parametrize("test_share", [0.1, 0.3, 0.5])
def test_every_class_is_held_out_in_proportion(test_share):
    split = digits.load(test_share=test_share, seed=3)
    num_test = torch.bincount(split.test_labels, minlength=10)
    total = num_test + torch.bincount(split.train_labels, minlength=10)
    assert len(split.test_labels) == np.ceil(1797 * test_share)
    assert (num_test - test_share * total).abs().max() <= 1  # whole images


def test_one_seed_is_one_split():
    first, again, other = digits.load(seed=1), digits.load(seed=1), digits.load(seed=2)
    assert torch.equal(first.test_images, again.test_images)
    assert torch.equal(first.train_labels, again.train_labels)
    assert not torch.equal(first.test_images, other.test_images)


def test_global_random_states_are_left_as_found():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    digits.load(seed=5)
    digits.uniform_noise(4, seed=5)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("test_share", [0.0, 1.0, -0.2, float("nan")])
def test_a_share_outside_of_the_unit_interval_is_refused(test_share):
    with pytest.raises(InputError, match=r"a share in \(0, 1\) is needed"):
        digits.load(test_share=test_share)


@pytest.mark.parametrize("test_share", [0.001, 0.999])
def test_a_share_that_loses_a_class_is_refused(test_share):
    with pytest.raises(InputError, match="at least one image of each of the 10 classes"):
        digits.load(test_share=test_share)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_scikit_learn_cannot_take_is_refused(seed):
    with pytest.raises(InputError, match=r"an integer in \[0, 2\*\*32\)"):
        digits.load(seed=seed)


@pytest.mark.parametrize("quarter_turns", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_are_those_of_rot90(quarter_turns):
    images = digits.load().test_images[:20]
    turned = digits.rotate(images, 90 * quarter_turns)
    assert torch.equal(turned, torch.rot90(images, quarter_turns, dims=(1, 2)))


def test_turning_by_any_angle_stays_in_range_and_leaves_the_input_alone():
    images = digits.load().test_images[:50]
    before = images.clone()
    turned = digits.rotate(images, 33.0)
    assert turned.shape == images.shape
    assert turned.dtype == images.dtype
    assert turned.min() >= 0
    assert turned.max() <= 1
    assert torch.equal(images, before)


def test_half_of_a_quarter_turn_moves_a_pixel_from_the_side_to_the_corner():
    image = torch.zeros(1, 5, 5, dtype=torch.float64)
    image[0, 2, 3:] = 1.0  # a bar from the centre to the right; the frame's y axis points down
    turned = digits.rotate(image, 45.0)
    assert turned[0, 1, 3] > 0.5
    assert turned[0, 3, 3] == 0


def test_images_without_a_row_axis_are_refused(without_type_checks):
    with pytest.raises(InputError, match=r"shape \(8, 8\).*images\[None\]"):
        digits.rotate(torch.zeros(8, 8), 90)


def test_an_angle_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="a finite angle"):
        digits.rotate(torch.zeros(1, 8, 8), float("nan"))


def test_noise_is_uniform():
    noise = digits.uniform_noise(2000, seed=0).double()
    n = noise.numel()
    assert noise.min() >= 0
    assert noise.max() < 1
    assert abs(noise.mean() - 1 / 2) < 4 * (1 / 12 / n) ** 0.5
    # The variance of (u - 1/2)^2 is 1/80 - 1/144 = 1/180.
    assert abs(((noise - 1 / 2) ** 2).mean() - 1 / 12) < 4 * (1 / 180 / n) ** 0.5


def test_one_seed_is_one_set_of_noise():
    assert torch.equal(digits.uniform_noise(3, seed=1), digits.uniform_noise(3, seed=1))
    assert not torch.equal(digits.uniform_noise(3, seed=1), digits.uniform_noise(3, seed=2))
    assert digits.uniform_noise(0).shape == (0, 8, 8)


def test_a_negative_number_of_images_is_refused():
    with pytest.raises(InputError, match="at least 0"):
        digits.uniform_noise(-1)


def test_a_seed_of_numpy_is_the_integer(without_type_checks):
    assert torch.equal(digits.uniform_noise(np.int64(3), seed=np.int64(1)), digits.uniform_noise(3, seed=1))
