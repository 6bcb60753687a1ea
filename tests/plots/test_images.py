import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from mcdrop.errors import InputError
from mcdrop.plots.images import gallery, overlay, value_map
from mcdrop.plots.palette import VERMILION


@pytest.fixture
def axes() -> np.ndarray:
    return Figure(layout="constrained").subplots(2, 2)


def _shown(ax) -> np.ndarray:
    (image,) = ax.get_images()
    return np.asarray(image.get_array())


def test_images_share_one_scale_and_have_their_captions(axes) -> None:
    images = [torch.tensor([[-1.0, 1.0]]), np.array([[[0.0, 3.0]]])]
    assert gallery(images, axes, captions=["one", "two"]) is axes
    np.testing.assert_allclose(_shown(axes[0, 0]), [[0, 0.5]])
    np.testing.assert_allclose(_shown(axes[0, 1]), [[0.25, 1]])
    assert [ax.get_xlabel() for ax in axes.flat] == ["one", "two", "", ""]
    assert [ax.axison for ax in axes.flat] == [True, True, False, False]
    assert {image.get_clim() for ax in axes[0] for image in ax.get_images()} == {(0, 1)}


def test_colours_may_come_first_or_last(axes) -> None:
    image = torch.rand(3, 4, 5, dtype=torch.float64)
    gallery([image, image.movedim(0, -1)], axes, captions=["", ""], value_range=(0, 1))
    for ax in axes[0]:
        np.testing.assert_allclose(_shown(ax), image.movedim(0, -1).numpy())


def test_bytes_run_from_0_to_255(axes) -> None:
    gallery(torch.tensor([[[0, 51]]], dtype=torch.uint8), axes, captions=["byte"])
    np.testing.assert_allclose(_shown(axes[0, 0]), [[0, 0.2]])


def test_values_outside_a_given_range_are_black_and_white(axes) -> None:
    gallery([torch.tensor([[-1.0, 0.5, 3.0]])], axes, captions=[""], value_range=(0, 1))
    np.testing.assert_allclose(_shown(axes[0, 0]), [[0, 0.5, 1]])


def test_an_image_of_one_value_is_drawn(axes) -> None:
    gallery([torch.ones(2, 2)], axes, captions=[""])
    assert (_shown(axes[0, 0]) == 0).all()


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [
        ([], [], "No images were given"),
        ([torch.rand(2, 2)], [], "1 images, 0 captions were given"),
        ([torch.rand(2, 2)] * 5, [""] * 5, "5 images were given for 4 axes"),
        ([torch.rand(2, 4, 4)], [""], r"An image of shape \(2, 4, 4\) was given; expected \(H, W\)"),
        ([torch.full((2, 2), torch.nan)], [""], "image 0: 4 of 4 values are NaN"),
    ],
)
def test_images_that_cannot_be_drawn_are_refused(images, captions, message, axes) -> None:
    with pytest.raises(InputError, match=message):
        gallery(images, axes, captions=captions)


def test_a_map_shows_the_values_from_0_on_and_names_them(ax) -> None:
    values = torch.tensor([[0.5, 1.0], [1.5, 2.0]])
    assert value_map(values, ax, name="entropy", unit="nats") is ax
    np.testing.assert_array_equal(_shown(ax), values)
    assert ax.get_images()[0].get_clim() == (0, 2)
    assert [each.get_ylabel() for each in ax.figure.axes] == ["", "entropy (nats)"]


def test_a_map_of_negative_values_shows_them(ax) -> None:
    value_map(torch.tensor([[-1.0, 1.0]]), ax, name="log density")
    assert ax.get_images()[0].get_clim() == (-1, 1)


def test_a_map_of_another_shape_is_refused(ax) -> None:
    with pytest.raises(InputError, match=r"entropy: an array of shape \(2, 2, 2\) was given; expected 2 axes"):
        value_map(torch.rand(2, 2, 2), ax, name="entropy")


def test_an_overlay_leaves_the_image_at_0_and_all_but_covers_it_at_the_largest(ax) -> None:
    image, values = torch.rand(3, 1, 3, dtype=torch.float64), torch.tensor([[0.0, 1.0, 2.0]])
    assert overlay(image, values, ax, name="entropy", unit="nats") is ax
    below, above = ax.get_images()
    np.testing.assert_allclose(below.get_array(), image.mean(dim=0))
    colours = above.cmap(above.norm(values.numpy()))[0]
    np.testing.assert_allclose(colours[:, :3], [to_rgba(VERMILION)[:3]] * 3)
    np.testing.assert_allclose(colours[:, 3], [0, 0.425, 0.85], atol=0.01)
    assert ax.figure.axes[1].get_ylabel() == "entropy (nats)"


def test_an_overlay_that_does_not_fit_is_refused(ax) -> None:
    with pytest.raises(InputError, match=r"entropy of shape \(2, 3\) were given for an image of \(2, 2\) pixels"):
        overlay(torch.rand(2, 2), torch.rand(2, 3), ax, name="entropy")
    with pytest.raises(InputError, match="entropy: values from -1 on were given"):
        overlay(torch.rand(2, 2), torch.full((2, 2), -1.0), ax, name="entropy")
