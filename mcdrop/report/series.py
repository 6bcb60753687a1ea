"""Curves thinned to what can be seen, as plain numbers."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def evenly(length: int, most: int) -> Int[Tensor, " k"]:
    """Places that are evenly spread, the first and the last among them, at most so many.

    Example:
        >>> evenly(5, 3), evenly(2, 3)
        (tensor([0, 2, 4]), tensor([0, 1]))
    """
    return torch.linspace(0, length - 1, min(length, most), dtype=torch.float64).round().long()


def floats(values: Float[Tensor, " k"]) -> tuple[float, ...]:
    """The values to six digits, which is more than a picture shows.

    Example:
        >>> floats(torch.tensor([1 / 3]))
        (0.333333,)
    """
    return tuple(float(f"{value:.6g}") for value in values.tolist())
