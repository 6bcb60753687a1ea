"""What checks every annotated call while the tests run (pyproject.toml names it)."""

from collections.abc import Callable
from typing import Any

import beartype
from beartype.roar import BeartypeDecorHintPep673Exception

_CHECK: Callable[..., Any] = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))  # an int is a float


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its annotations checked by beartype, as strict as mypy is about numbers."""
    try:
        return _CHECK(function)
    except BeartypeDecorHintPep673Exception:  # jaxtyping hands over methods one by one: there is no class for `Self`
        return function
