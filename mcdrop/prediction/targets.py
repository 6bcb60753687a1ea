"""Checks of the targets, shared by the likelihoods: dtype, range and shape, with no silent broadcasting."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.prediction.spread import accumulated
from mcdrop.types import ArrayLike


def class_labels(targets: ArrayLike, shape: torch.Size, num_classes: int, like: Tensor) -> Int[Tensor, "..."]:
    """Labels 0 to C-1 as int64 on the device of `like`.

    Raises:
        InputError: If they are not integers, do not have the shape or leave the range.

    Example:
        >>> import torch
        >>> class_labels(torch.tensor([2, 0]), torch.Size([2]), 3, torch.zeros(2, 3))
        tensor([2, 0])
    """
    labels = _tensor(targets, like)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(
            f"Targets of dtype {_name(labels)} given, class labels are integers from 0 to {num_classes - 1}: "
            "use targets.long(), or targets.argmax(dim) if they are one-hot."
        )
    labels = _shaped(labels.long(), shape, exact=True)
    if labels.numel() and not (int(labels.min()) >= 0 and int(labels.max()) < num_classes):
        raise InputError(
            f"Targets from {int(labels.min())} to {int(labels.max())} given, labels of {num_classes} classes go from 0 "
            f"to {num_classes - 1}. Leave rows without a label out, or shift labels that start at 1."
        )
    return labels


def events(targets: ArrayLike, shape: torch.Size, like: Tensor) -> Float[Tensor, "..."]:
    """Whether the event happened, 0 or 1, in the accumulation dtype on the device of `like`.

    Raises:
        InputError: If a value is neither 0 nor 1 or the shape does not fit.

    Example:
        >>> import torch
        >>> events(torch.tensor([True, False]), torch.Size([2]), torch.zeros(2))
        tensor([1., 0.], dtype=torch.float64)
    """
    happened = accumulated(_shaped(_tensor(targets, like), shape))
    if not ((happened == 0) | (happened == 1)).all():
        raise InputError(
            "Targets other than 0 and 1 given: Binary() expects 1 where the event happened and 0 elsewhere."
        )
    return happened


def numbers(targets: ArrayLike, shape: torch.Size, like: Tensor) -> Float[Tensor, "..."]:
    """Finite numbers in the accumulation dtype on the device of `like`.

    Raises:
        InputError: If a value is not finite or the shape does not fit.

    Example:
        >>> import torch
        >>> numbers(torch.tensor([[1], [2]]), torch.Size([2]), torch.zeros(2))
        tensor([1., 2.], dtype=torch.float64)
    """
    values = accumulated(_shaped(_tensor(targets, like), shape))
    if not values.isfinite().all():
        raise InputError(
            f"{int((~values.isfinite()).sum())} targets are NaN or infinite: leave those rows out of inputs and "
            "targets."
        )
    return values


def counts(targets: ArrayLike, shape: torch.Size, like: Tensor) -> Float[Tensor, "..."]:
    """Whole numbers from 0 in the accumulation dtype on the device of `like`.

    Raises:
        InputError: If a value is negative or not whole or the shape does not fit.

    Example:
        >>> import torch
        >>> counts(torch.tensor([3, 0]), torch.Size([2]), torch.zeros(2))
        tensor([3., 0.], dtype=torch.float64)
    """
    values = numbers(targets, shape, like)
    if not ((values >= 0) & (values == values.floor())).all():
        raise InputError("Negative or fractional targets given: Poisson() expects counts, whole numbers from 0.")
    return values


def _tensor(targets: ArrayLike, like: Tensor) -> Tensor:
    if isinstance(targets, Tensor):
        return targets.detach().to(like.device)
    return torch.from_numpy(np.array(targets)).to(like.device)  # a copy: arrays may be read-only or run backwards


def _shaped(targets: Tensor, shape: torch.Size, exact: bool = False) -> Tensor:
    """Targets in the shape; (N,) and (N, 1) hold the same and stand for each other unless `exact`."""
    if targets.shape == shape:
        return targets
    if not exact and _without_ones(targets.shape) == _without_ones(shape):
        return targets.reshape(shape)
    raise InputError(f"Targets of shape {tuple(targets.shape)} given, predictions need {tuple(shape)}.")


def _without_ones(shape: torch.Size) -> tuple[int, ...]:
    row, *rest = shape or (1,)
    while rest and rest[-1] == 1:
        rest.pop()
    return (row, *rest)


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
