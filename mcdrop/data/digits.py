"""Scikit-learn's 1,797 handwritten digits as torch tensors, with two kinds of images that are no such digits."""

import math
import operator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import sklearn.datasets
import sklearn.model_selection
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import InputError

IMAGE_SHAPE = (8, 8)


@dataclass(frozen=True)
class Digits:
    """Images with values in [0, 1] (0 is background) and their classes 0 to 9, in two disjoint parts."""

    train_images: Float[Tensor, "train 8 8"]
    train_labels: Int[Tensor, " train"]
    test_images: Float[Tensor, "test 8 8"]
    test_labels: Int[Tensor, " test"]


def load(*, test_share: float = 0.3, seed: int = 0) -> Digits:
    """The digits, split so that each part holds the ten classes in equal proportion.

    Args:
        test_share: Share of the images held out for testing, in (0, 1); the number of rows is rounded up.
        seed: Decides which images are held out, in [0, 2**32). One seed is one split.

    Returns:
        Images as float32 in [0, 1] (the data's 0 to 16, divided by 16) and labels as int64, on the CPU.

    Raises:
        InputError: `test_share` is not in (0, 1) or leaves a part without an image of every class, or `seed` is
            not in [0, 2**32).

    Example:
        >>> digits = load(seed=0)
        >>> digits.train_images.shape, digits.test_images.shape
        (torch.Size([1257, 8, 8]), torch.Size([540, 8, 8]))

    Source:
        Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits (test part),
        https://doi.org/10.24432/C50P49, as distributed with scikit-learn.
    """
    if not 0 < test_share < 1:
        raise InputError(f"test_share={test_share!r}: a share in (0, 1) is needed, such as test_share=0.3.")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed!r}: an integer in [0, 2**32) is needed, such as seed=0.")
    bunch = sklearn.datasets.load_digits()
    images, labels = bunch.images, bunch.target
    num_test = math.ceil(len(labels) * test_share)
    num_classes = len(bunch.target_names)
    if min(num_test, len(labels) - num_test) < num_classes:
        raise InputError(
            f"test_share={test_share!r} puts {num_test} of {len(labels)} images into the test part: each part needs at "
            f"least one image of each of the {num_classes} classes. Choose a share nearer to 0.5."
        )
    train, test = sklearn.model_selection.train_test_split(
        np.arange(len(labels)), test_size=num_test, stratify=labels, random_state=seed
    )

    def rows(index: np.ndarray) -> tuple[Tensor, Tensor]:
        return (
            torch.from_numpy((images[index] / 16).astype(np.float32)),
            torch.from_numpy(labels[index].astype(np.int64)),
        )

    return Digits(*rows(train), *rows(test))


def rotate(images: Float[Tensor, "N height width"], degrees: float) -> Float[Tensor, "N height width"]:
    """Images turned about their centre, counter-clockwise, the frame kept.

    Values between pixels are interpolated linearly, what comes from outside of the frame is background (0), and so
    values in [0, 1] stay in [0, 1]. Square images turned by a multiple of 90 degrees keep every value.

    Args:
        images: One image per row.
        degrees: Angle, in degrees.

    Returns:
        The turned images, with dtype and device of `images`.

    Raises:
        InputError: `images` has not three axes, or `degrees` is not finite.

    Example:
        >>> rotate(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 90)
        tensor([[[2., 4.],
                 [1., 3.]]])
    """
    if images.dim() != 3:
        raise InputError(
            f"images has shape {tuple(images.shape)}: (N, height, width) is needed. Add a row axis with images[None]."
        )
    if not math.isfinite(degrees):
        raise InputError(f"degrees={degrees!r}: a finite angle is needed.")
    turned = scipy.ndimage.rotate(
        images.detach().cpu().double().numpy(), degrees, axes=(2, 1), reshape=False, order=1, mode="constant", cval=0.0
    )
    return torch.from_numpy(turned).to(images)


def uniform_noise(num_images: int, *, seed: int = 0) -> Float[Tensor, "num_images 8 8"]:
    """Images of the digits' shape whose pixels are independent and uniform on [0, 1).

    Args:
        num_images: How many, at least 0.
        seed: One seed is one set of images.

    Returns:
        Noise as float32 on the CPU.

    Raises:
        InputError: `num_images` is negative.

    Example:
        >>> uniform_noise(3, seed=0).shape
        torch.Size([3, 8, 8])
    """
    if num_images < 0:
        raise InputError(f"num_images={num_images!r}: a number of images, at least 0, is needed.")
    return torch.rand(num_images, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(operator.index(seed)))
