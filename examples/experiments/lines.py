"""Many numbers as one line of text: JSON with a line for each of ten thousand numbers is long."""

import numpy as np
from torch import Tensor


def to_line(values: Tensor, decimals: int = 3) -> str:
    """The numbers of a tensor in their order, rounded, with spaces between them."""
    return " ".join(f"{value:.{decimals}f}" for value in values.flatten().tolist())


def from_line(line: str) -> np.ndarray:
    """The numbers that `to_line` wrote."""
    return np.array(line.split(), dtype=float)
