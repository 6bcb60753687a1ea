"""Integers as arguments: Python's, NumPy's, and whatever else says that it is one."""

import operator
from typing import SupportsIndex

from mcdrop.errors import InputError


def integer(name: str, value: SupportsIndex, *, least: int) -> int:
    """The value as an int.

    Args:
        name: Of the argument, for the message.
        value: What has `__index__` and is no truth value.
        least: The smallest that is allowed.

    Raises:
        InputError: It is none, or smaller.

    Example:
        >>> import numpy as np
        >>> integer("epochs", np.int64(3), least=1)
        3
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None or found < least:
        raise InputError(f"{name}={value!r} was given; expected an integer >= {least}.")
    return found
