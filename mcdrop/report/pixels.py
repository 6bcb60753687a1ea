"""Images of rows as small PNG files."""

import io

import matplotlib.image
import numpy as np
import torch
from torch import Tensor

MOST_PIXELS = 96
"""On a side: a page shows thumbnails."""


def png(image: Tensor, among: Tensor) -> bytes:
    """One image as PNG, grey or in colours, its values scaled to those of all images.

    Args:
        image: (height, width), (channels, height, width) or (height, width, channels); larger ones lose lines.
        among: All images, whose least value is black and whose largest is white.
    """
    low, high = float(among.min()), float(among.max())
    scaled = (image.to(torch.float64) - low) / ((high - low) or 1.0)
    if scaled.ndim == 3 and scaled.shape[0] in (1, 3):
        scaled = scaled.movedim(0, 2)
    if scaled.ndim == 3 and scaled.shape[2] == 1:
        scaled = scaled[:, :, 0]
    step = -(-max(scaled.shape[:2]) // MOST_PIXELS)
    values = (scaled[::step, ::step].numpy() * 255).round().astype(np.uint8)
    if values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    file = io.BytesIO()
    matplotlib.image.imsave(file, values, format="png")
    return file.getvalue()
