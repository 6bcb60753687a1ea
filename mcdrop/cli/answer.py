"""What a command says on stdout: words, or strict JSON."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(value: Any) -> str:
    """The value as JSON that every reader takes: numbers that are not finite become null.

    Example:
        >>> as_json({"a": float("nan")})
        '{\\n  "a": null\\n}'
    """
    return json.dumps(_strict(value), indent=2, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
