import io

import matplotlib.image
import numpy as np
import pytest
import torch

from mcdrop.report.pixels import png


def decoded(data: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(data), format="png")[..., :3]


def test_grey_values_are_scaled_to_those_of_all_images():
    images = torch.tensor([[[0.0, 5.0]], [[10.0, 10.0]]])
    np.testing.assert_allclose(decoded(png(images[0], images)), [[[0, 0, 0], [0.5, 0.5, 0.5]]], atol=1 / 255)
    np.testing.assert_allclose(decoded(png(images[1], images)), np.ones((1, 2, 3)))


@pytest.mark.parametrize("order", ["channels first", "channels last"])
def test_colours_are_kept_whichever_axis_holds_them(order):
    image = torch.zeros(3, 4, 5)
    image[0] = 1.0
    image[2, 0, 0] = 1.0
    given = image if order == "channels first" else image.movedim(0, 2)
    np.testing.assert_array_equal(decoded(png(given, given[None])), image.movedim(0, 2).numpy())


def test_one_channel_is_grey():
    image = torch.tensor([[[0.0, 1.0]]])
    np.testing.assert_array_equal(decoded(png(image, image[None])), [[[0, 0, 0], [1, 1, 1]]])


def test_large_images_lose_lines():
    assert decoded(png(torch.rand(200, 300), torch.rand(2, 200, 300))).shape == (50, 75, 3)


def test_images_of_one_value_are_drawn():
    assert decoded(png(torch.ones(2, 2), torch.ones(1, 2, 2))).max() == 0
