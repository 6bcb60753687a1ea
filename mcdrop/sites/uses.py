"""What a model does with random numbers that it drew: the evidence that tells dropout from noise.

A random tensor is followed through the operations of a pass. Where it, or a mask made of it, multiplies an activation
or a weight, it is a factor: dropout. Where it is added to one it is noise, where it decides what is replaced it is
corruption, and those stay off. What no rule explains is said to be unknown.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

from torch import Tensor

from mcdrop.tree import tensors

FACTOR, NOISE, REPLACEMENT, COIN = "factor", "additive noise", "replacement of values", "decision of the host program"

_COMPARE = {"lt", "gt", "le", "ge", "eq", "ne", "floor", "round", "ceil", "bool", "logical_not", "bitwise_not"}
_ADD = {"add", "sub", "rsub", "radd", "iadd", "isub"}
_MULTIPLY = {"mul", "rmul", "imul", "multiply", "div", "truediv", "itruediv"}
_SHAPE_OF = {"expand_as", "view_as", "reshape_as", "type_as", "to"}
"""Take nothing but shape or type from their second operand."""
_HOST = {"item", "tolist", "bool", "float", "int", "index", "nonzero", "numpy"}


@dataclass(frozen=True)
class _Traced:
    """A tensor that depends on random numbers.

    Args:
        tensor: Held, so that no other tensor takes its `id`.
        origins: Names of the draws it comes from.
        discrete: Whether it is a mask: compared, floored or drawn so.
        scaled: `id` of the data that it has been multiplied with, while that may still be added noise.
    """

    tensor: Tensor
    origins: frozenset[str]
    discrete: bool
    scaled: int | None = None


class Uses:
    """Follows random tensors through one pass.

    Attributes:
        found: What each draw was used for, by its name.
    """

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {}
        self._traced: dict[int, _Traced] = {}
        self._host_names: set[str] = set()

    @property
    def of_host(self) -> frozenset[str]:
        """What numbers that the host program drew were used for."""
        return frozenset().union(*(self.found[name] for name in self._host_names))

    def drawn(self, name: str, tensor: Tensor, discrete: bool, *, of_host: bool = False) -> None:
        """Notes a tensor that has just been drawn, or made of numbers that the host program drew."""
        self.found.setdefault(name, set())
        if of_host:
            self._host_names.add(name)
        self._traced[id(tensor)] = _Traced(tensor, frozenset([name]), discrete)

    def follow(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Notes what an operation did with random tensors among its operands."""
        if not self._traced:
            return
        operands = tensors((args, kwargs))
        random = [self._traced[id(operand)] for operand in operands if id(operand) in self._traced]
        if not random:
            return
        name = getattr(operation, "__name__", "").strip("_")
        origins = frozenset().union(*(one.origins for one in random))
        if name in _SHAPE_OF:
            operands = operands[:1]
        data = [t for t in operands if id(t) not in self._traced and t.is_floating_point() and t.numel() > 1]
        if name in ("setitem", "getitem", "masked_fill", "where", "index_put", "masked_scatter"):
            self._select(name, args, random[0], origins, bool(data), result)
        elif not isinstance(result, Tensor):
            if name in _HOST:
                self._note(origins, COIN)
        elif not data:
            discrete = any(one.discrete for one in random) or name in _COMPARE
            scaled = next((one.scaled for one in random if one.scaled is not None), None)
            self._traced[id(result)] = _Traced(result, origins, discrete, scaled)
        elif name in _ADD:
            self._traced.pop(id(result), None)
            of_itself = any(one.scaled == id(other) for one in random for other in data)
            discrete = any(one.discrete for one in random)
            self._note(origins, FACTOR if of_itself else "a mask that is added" if discrete else NOISE)
        elif name in _MULTIPLY:
            self._traced.pop(id(result), None)
            self._multiply(random, origins, data, result)
        elif name != "copy":
            self._note(origins, f"an operand of {name}")

    def _multiply(self, random: list[_Traced], origins: frozenset[str], data: list[Tensor], result: Tensor) -> None:
        if any(not one.discrete and bool((one.tensor == 0).all()) for one in random):
            # Its mean is zero: noise that is still to be added, unless it is added to the very thing it multiplies.
            self._traced[id(result)] = _Traced(result, origins, False, id(data[0]))
        else:
            self._note(origins, FACTOR)

    def _select(
        self, name: str, args: tuple[Any, ...], random: _Traced, origins: frozenset[str], data: bool, result: Any
    ) -> None:
        if name == "getitem" and id(args[0]) not in self._traced:
            self._note(origins, FACTOR)  # rows or edges left out
        elif name == "getitem":
            self._traced[id(result)] = _Traced(result, origins, random.discrete)
        elif not data:
            if isinstance(result, Tensor):
                self._traced[id(result)] = _Traced(result, origins, True)
        else:
            filling = args[2] if name in ("masked_fill", "setitem") else None
            sides = (filling,) if filling is not None else args[1:]
            # Values that the host program picks and overwrites, be it with zero, are what augmentation looks like.
            dropped = any(_is_nothing(side) for side in sides) and not origins <= self._host_names
            self._note(origins, FACTOR if dropped else REPLACEMENT)

    def _note(self, origins: frozenset[str], use: str) -> None:
        for origin in origins:
            self.found[origin].add(use)


def _is_nothing(value: Any) -> bool:
    """Zero, or the minus infinity that softmax turns into zero."""
    if isinstance(value, Tensor):
        return bool((value == 0).all() or (value == -inf).all())
    return isinstance(value, int | float) and (value == 0 or value == -inf)
