"""PyTorch's dropout operations, each read as one record: what is masked, with which probability, in which shape.

A call is taken apart into the input, the shape of the mask and the arithmetic that applies it, so that the mask can be
a value that somebody else supplies. Given the mask, `apply` computes what torch's own kernel computes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ALPHA = 1.7580993408473766
"""-alpha' of Klambauer et al. 2017: what SELU saturates to; the constant in ATen's alpha_dropout."""


@dataclass(frozen=True)
class Call:
    """One call of a dropout operation, as the model's author wrote it.

    Args:
        operation: Name of the operation, without the trailing underscore of the in-place form.
        input: What is to be masked.
        p: Probability of zeroing.
        training: The flag it was called with.
        inplace: Whether the input is to be overwritten.
        whole_channels: Whether the mask has one value for each row and channel (the first two axes).
        keeps_moments: Whether it is alpha dropout, which keeps mean and variance of SELU activations.
        stepwise: Whether the first axis counts the steps of packed sequences, of which a shorter batch has fewer: the
            mask of a step must not depend on how many there are.
    """

    operation: str
    input: Tensor
    p: float
    training: bool
    inplace: bool
    whole_channels: bool
    keeps_moments: bool
    stepwise: bool = False

    @property
    def active(self) -> bool:
        """Whether torch would draw a mask here."""
        return self.training and self.p > 0

    @property
    def law(self) -> str:
        """The law of the mask, in words."""
        return f"Bernoulli(keep {1 - self.p:.6g})" + (", whole channels" if self.whole_channels else "")

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Shape of the mask; it broadcasts against the input."""
        shape = tuple(self.input.shape)
        if not self.whole_channels:
            return shape
        # dropout1d and dropout3d take one unbatched sample, (C, L) or (C, D, H, W); dropout2d does not
        # (https://github.com/pytorch/pytorch/issues/77081).
        unbatched = {"dropout1d": 2, "dropout3d": 4}.get(self.operation) == len(shape)
        leading = 1 if unbatched else 2
        return shape[:leading] + (1,) * (len(shape) - leading)

    def apply(self, input: Tensor, keep: Tensor, p: float) -> Tensor:
        """The masked input.

        Standard: x * keep / (1 - p). Alpha: a (x keep - alpha (1 - keep)) + a alpha p with
        a = ((1 - p)(1 + p alpha^2))^-1/2 (Klambauer et al. 2017, sec. 2).

        Args:
            input: x; the call's input, or a view of it.
            keep: Boolean mask that broadcasts against `input`; True is kept.
            p: The probability with which `keep` is False.

        Returns:
            Tensor like `input`.
        """
        # Products in at least float32: 1 / (1 - p) rounded to bfloat16 would scale by .2 % too much or too little.
        compute = torch.promote_types(input.dtype, torch.float32)
        if not self.keeps_moments:  # a number as a tensor, so that the product with booleans is of its type at once
            inverse = torch.tensor(1 / (1 - p) if p < 1 else 1.0, dtype=compute)
            return (input * (keep * inverse)).to(input.dtype)
        if p == 1:
            return input * 0
        factor = keep.to(compute)
        scale = 1 / sqrt((_ALPHA**2 * p + 1) * (1 - p))
        shift = (factor - 1) * (_ALPHA * scale) + _ALPHA * scale * p
        return (input * (factor * scale) + shift).to(input.dtype)


def _functional(operation: str, training: bool, whole_channels: bool, keeps_moments: bool) -> Callable[..., Call]:
    def read(input: Tensor, p: float = 0.5, training: bool = training, inplace: bool = False) -> Call:
        return Call(operation, input, float(p), bool(training), inplace, whole_channels, keeps_moments)

    return read


def _builtin(operation: str, inplace: bool, whole_channels: bool, keeps_moments: bool) -> Callable[..., Call]:
    def read(input: Tensor, p: float, train: bool) -> Call:
        return Call(operation, input, float(p), bool(train), inplace, whole_channels, keeps_moments)

    return read


_READERS: dict[Any, Callable[..., Call]] = {
    F.dropout: _functional("dropout", True, False, False),
    F.dropout1d: _functional("dropout1d", True, True, False),
    F.dropout2d: _functional("dropout2d", True, True, False),
    F.dropout3d: _functional("dropout3d", True, True, False),
    F.alpha_dropout: _functional("alpha_dropout", False, False, True),
    F.feature_alpha_dropout: _functional("feature_alpha_dropout", False, True, True),
}
for _name, _channels, _alpha in (
    ("dropout", False, False),
    ("feature_dropout", True, False),
    ("alpha_dropout", False, True),
    ("feature_alpha_dropout", True, True),
):
    _READERS[getattr(torch, _name)] = _builtin(_name, False, _channels, _alpha)
    _READERS[getattr(torch, f"{_name}_")] = _builtin(_name, True, _channels, _alpha)

DROPOUTS = frozenset(_READERS)
"""The dropout operations."""


def read_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """The call as a record, or None when `function` is no dropout operation or would raise for its arguments.

    Example:
        >>> import torch
        >>> call = read_call(torch.nn.functional.dropout2d, (torch.ones(2, 3, 4, 4),), {"p": 0.1})
        >>> call.mask_shape, call.active
        ((2, 3, 1, 1), True)
    """
    reader = _READERS.get(function)
    if reader is None:
        return None
    call = reader(*args, **kwargs)
    valid = 0 <= call.p <= 1 and call.input.is_floating_point() and not (call.whole_channels and call.input.ndim < 2)
    return call if valid else None
