"""What pictures are drawn of, as finite numbers in NumPy."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.types import ArrayLike

Numbers: TypeAlias = ArrayLike | Sequence[float]
"""A tensor on any device, an array, or a list or tuple of numbers."""


def finite(values: Numbers, name: str, *, axes: int | None = 1) -> np.ndarray:
    """The values as float64 in NumPy.

    Args:
        values: At least one.
        name: For the message.
        axes: How many axes they must have; None for any number.

    Raises:
        InputError: They are no numbers, none, NaN or infinite, or have another number of axes.

    Example:
        >>> finite([1, 2], "values")
        array([1., 2.])
    """
    array = real(values, name, axes=axes)
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).sum())
        raise InputError(f"{name}: {wrong} of {array.size} values are NaN or infinite; leave them out before drawing.")
    return array


def real(values: Numbers, name: str, *, axes: int | None = 1) -> np.ndarray:
    """As `finite`, with NaN and infinity let through: for errors that are not known."""
    array = _array(values, name)
    if axes is not None and array.ndim != axes:
        expected = f"{axes} {'axis' if axes == 1 else 'axes'}"
        raise InputError(f"{name}: an array of shape {array.shape} was given; expected {expected}.")
    if not array.size:
        raise InputError(f"{name}: no values were given, so that there is nothing to draw.")
    return array.astype(np.float64)


def check_same_length(**values: Sequence[object] | np.ndarray) -> None:
    """Raises InputError unless all have one length; names them.

    Example:
        >>> check_same_length(x=[1, 2], y=np.zeros(2))
    """
    if len({len(each) for each in values.values()}) > 1:
        given = ", ".join(f"{len(each)} {name}" for name, each in values.items())
        raise InputError(f"{given} were given; expected as many of each.")


def _array(values: Numbers, name: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy knows no bfloat16
        array = (values.double() if values.is_floating_point() else values).numpy()
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise InputError(f"{name}: rows of different lengths were given; expected an array of numbers.") from error
    if array.size and array.dtype.kind not in "biuf":
        raise InputError(f"{name}: values of type {array.dtype} were given; expected real numbers.")
    return array
