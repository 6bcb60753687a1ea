"""Images with what was said of them, and maps of values over their pixels."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage

from mcdrop.errors import InputError
from mcdrop.plots.given import check_same_length, finite
from mcdrop.plots.palette import MAP, VERMILION
from mcdrop.types import ArrayLike

ManyAxes: TypeAlias = np.ndarray | Sequence[Axes]
"""What `figure.subplots(rows, columns)` returns."""


def gallery(
    images: Sequence[ArrayLike] | ArrayLike,
    axes: ManyAxes,
    *,
    captions: Sequence[str],
    value_range: tuple[float, float] | None = None,
) -> ManyAxes:
    """Images side by side, each with a caption below: the least certain ones, say.

    All share one scale, so that their greys compare. Axes beyond the images are left empty.

    Args:
        images: Grey (H, W) or (1, H, W), or colour (3, H, W) or (H, W, 3).
        axes: At least as many as images.
        captions: One for each image; what is not to be read as mathematics must not hold two `$`.
        value_range: The values shown as black and as white (of each colour, none and full); by default 0 and 255 for
            bytes, and otherwise the least and the greatest value of all images.

    Returns:
        `axes`.

    Raises:
        InputError: There is no image, one is of another shape, NaN or infinite, or numbers do not fit.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> axes = gallery(torch.rand(2, 8, 8), Figure().subplots(1, 3), captions=["a 3 for an 8", "a 1"])
        >>> [ax.get_xlabel() for ax in axes]
        ['a 3 for an 8', 'a 1', '']
    """
    shown = [finite(image, f"image {number}", axes=None) for number, image in enumerate(images)]
    if not shown:
        raise InputError("No images were given, so that there is nothing to draw.")
    check_same_length(images=shown, captions=captions)
    places = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(places) < len(shown):
        raise InputError(f"{len(shown)} images were given for {len(places)} axes; expected at least as many axes.")
    if value_range is None:
        is_bytes = all(str(image.dtype).endswith("uint8") for image in images)
        value_range = (0, 255) if is_bytes else (min(i.min() for i in shown), max(i.max() for i in shown))
    for ax, image, caption in zip(places, shown, captions, strict=False):
        _draw_image(image, ax, value_range)
        ax.set_xlabel(caption)
    for ax in places[len(shown) :]:
        ax.set_axis_off()
    return axes


def value_map(values: ArrayLike, ax: Axes, *, name: str, unit: str = "") -> Axes:
    """A value of each pixel in colour, its uncertainty say, with a bar that tells which colour is which value.

    Args:
        values: (H, W).
        ax: To draw on; the figure gets an axis for the bar beside it.
        name: Of the values.
        unit: Of the values; "" for none.

    Returns:
        `ax`.

    Raises:
        InputError: The values are NaN, infinite or of another shape.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = value_map(torch.rand(8, 8), Figure().subplots(), name="entropy", unit="nats")
        >>> ax.figure.axes[1].get_ylabel()
        'entropy (nats)'
    """
    shown = finite(values, name, axes=2)
    _without_ticks(ax)
    _colour_bar(ax.imshow(shown, cmap=MAP, vmin=min(0.0, shown.min())), ax, name, unit)
    return ax


def overlay(image: ArrayLike, values: ArrayLike, ax: Axes, *, name: str, unit: str = "") -> Axes:
    """A value of each pixel over the image in grey: 0 leaves the image, the largest all but covers it.

    Args:
        image: Grey (H, W) or (1, H, W), or colour (3, H, W) or (H, W, 3), shown in grey.
        values: (H, W), at least 0.
        ax: To draw on; the figure gets an axis for the bar beside it.
        name: Of the values.
        unit: Of the values; "" for none.

    Returns:
        `ax`.

    Raises:
        InputError: Image or values are NaN, infinite, of shapes that do not fit, or values are below 0.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = overlay(torch.rand(3, 8, 8), torch.rand(8, 8), Figure().subplots(), name="entropy", unit="nats")
        >>> [shown.get_array().shape for shown in ax.get_images()]
        [(8, 8), (8, 8)]
    """
    below, shown = _channels_last(finite(image, "image", axes=None)), finite(values, name, axes=2)
    if below.shape[:2] != shown.shape:
        raise InputError(f"{name} of shape {shown.shape} were given for an image of {below.shape[:2]} pixels.")
    if shown.min() < 0:
        raise InputError(f"{name}: values from {shown.min():g} on were given; expected values of at least 0.")
    _without_ticks(ax)
    ax.imshow(below if below.ndim == 2 else below.mean(axis=2), cmap="gray")
    # of one colour, since the middle of a map that is safe for colour-blind readers is grey, as the image is
    fading = LinearSegmentedColormap.from_list("fading", [(VERMILION, 0.0), (VERMILION, 0.85)])
    _colour_bar(ax.imshow(shown, cmap=fading, vmin=0), ax, name, unit)
    return ax


def _draw_image(image: np.ndarray, ax: Axes, value_range: tuple[float, float]) -> None:
    """One image between two values, without ticks."""
    low, high = value_range
    _without_ticks(ax)
    scaled = (_channels_last(image) - low) / ((high - low) or 1.0)
    ax.imshow(scaled.clip(0, 1), cmap="gray", vmin=0, vmax=1)


def _without_ticks(ax: Axes) -> None:
    """For pictures whose places are pixels, which have no unit."""
    ax.set(xticks=[], yticks=[])


def _colour_bar(shown: AxesImage, ax: Axes, name: str, unit: str) -> None:
    """A bar beside the axis, in the figure of the axis."""
    ax.figure.colorbar(shown, ax=ax, label=f"{name} ({unit})" if unit else name)


def _channels_last(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3). An image of three rows and three channels is read as torch has it, channels first."""
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[0] == 1:
        return image[0]
    if image.ndim == 3 and image.shape[0] == 3:
        return np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    raise InputError(
        f"An image of shape {image.shape} was given; expected (H, W) or (1, H, W), in colour (3, H, W) or (H, W, 3)."
    )
