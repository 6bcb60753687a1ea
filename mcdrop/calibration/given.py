"""What scores and fits are given: arrays of numbers, and a target for each row."""

import numpy as np
import torch
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.types import ArrayLike


def as_tensor(array: ArrayLike) -> Tensor:
    """The array as a tensor, of NumPy's a copy: it may be read-only or run backwards.

    Raises:
        InputError: If it is no array of numbers.

    Example:
        >>> as_tensor(np.array([1.0, 2.0]))
        tensor([1., 2.], dtype=torch.float64)
    """
    if not _is_numbers(array):
        raise InputError(
            f"{_described(array)} given, expected a prediction, a tensor or a NumPy array of numbers: np.asarray(...) "
            "makes one of a list or a table."
        )
    return torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array


def check_rows(rows: int, targets: ArrayLike, purpose: str) -> None:
    """Raises InputError unless there are rows, and an array with a target for each.

    Args:
        rows: How many were predicted.
        targets: Of them.
        purpose: Who asks, for the message: "a score", say.

    Example:
        >>> check_rows(2, np.array([0, 1]), "a score")
    """
    if rows == 0:
        raise InputError(f"0 rows given, {purpose} needs at least one.")
    if not _is_numbers(targets):
        raise InputError(
            f"{_described(targets)} given as targets, expected a tensor or a NumPy array of numbers: np.asarray(...) "
            "makes one of a list or a table. Predictions come first, then targets."
        )
    if targets.ndim == 0 or len(targets) != rows:
        raise InputError(f"Targets of shape {tuple(targets.shape)} given for predictions of {rows} rows.")


def _is_numbers(array: object) -> bool:
    return isinstance(array, Tensor) or (isinstance(array, np.ndarray) and array.dtype.kind in "biuf")


def _described(array: object) -> str:
    return f"An array of dtype {array.dtype}" if isinstance(array, np.ndarray) else f"A {type(array).__name__}"
