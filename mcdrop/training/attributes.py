"""What a network holds besides weights and buffers: numbers, lists, tensors that are plain attributes."""

from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor, nn

_REGISTERED = ("_parameters", "_buffers", "_modules")


def attributes(model: nn.Module) -> dict[str, Any]:
    """The attributes of a network's modules by path, for comparison: equal unless one was set or changed in between.

    Numbers, words and the collections of them are compared by value, tensors by identity and number of changes,
    anything else by identity.

    Example:
        >>> layer = nn.Dropout(0.5)
        >>> before = attributes(layer)
        >>> before == attributes(layer)
        True
        >>> layer.p = 0.6
        >>> before == attributes(layer)
        False
    """
    return {
        f"{path}.{name}".lstrip("."): _comparable(value)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if name not in _REGISTERED
    }


class _Same:
    """Equal to another only if both stand for one object, unchanged in between."""

    def __init__(self, value: Any) -> None:
        self._value = value  # held, so that no later object gets its id
        self._version = value._version if isinstance(value, Tensor) else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and (id(self._value), self._version) == (id(other._value), other._version)

    def __hash__(self) -> int:
        return hash((id(self._value), self._version))


def _comparable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return value
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    if isinstance(value, Set):
        return {_comparable(item) if isinstance(item, bool | int | float | str) else _Same(item) for item in value}
    return _Same(value)
