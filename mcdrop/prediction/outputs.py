"""Checks of what a model returned, shared by the likelihoods: structure, dtype, shape, finite values.

Messages give shapes as one pass of the model returns them, without the axis of draws.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from mcdrop.errors import NonFiniteError, OutputError
from mcdrop.tree import describe, map_tensors, named_tensors
from mcdrop.types import Tree


def structure(outputs: Tree) -> Tree:
    """One draw of the outputs without its numbers: the same tree, each tensor (n, N, *out) as (N, *out) on meta.

    Example:
        >>> import torch
        >>> structure({"logits": torch.zeros(10, 5, 3)})["logits"].shape
        torch.Size([5, 3])
    """
    return map_tensors(lambda t: torch.empty(t.shape[1:], dtype=t.dtype, device="meta"), outputs)


def one_tensor(outputs: Tree, likelihood: object, wanted: str) -> Tensor:
    """The outputs, if they are one floating-point tensor (n, N, *out); says what to do otherwise.

    Args:
        outputs: What the model returned.
        likelihood: Who asks, for the message.
        wanted: What it expects, in words: "logits (N, C)".

    Raises:
        OutputError: If outputs are a tree, not floating point or have no row axis.
    """
    if not isinstance(outputs, Tensor):
        names = [name for name, _ in named_tensors(outputs)]
        advice = f'output="{names[0]}"' if names and not names[0][:1].isdigit() else "output=0"
        raise OutputError(
            f"{likelihood} reads one tensor of {wanted}, and the model returned {describe(structure(outputs))}. "
            f"Choose one: {advice} picks by key or index, a callable picks in any other way."
        )
    floating(outputs, likelihood, wanted)
    return outputs


def floating(tensor: Tensor, likelihood: object, wanted: str) -> None:
    """Raises OutputError unless the tensor is floating point and has a row axis."""
    if not tensor.is_floating_point():
        raise OutputError(
            f"{likelihood} reads floating-point {wanted}, and the model returned {describe(structure(tensor))}. "
            "Return the scores themselves rather than labels or masks made from them."
        )
    if tensor.ndim < 2:
        raise OutputError(
            f"{likelihood} reads {wanted}, and the model returned {describe(structure(tensor))}, without a row axis. "
            "Return one output per row: the first axis counts the rows of the input."
        )


def finite(bad: Bool[Tensor, "n N *_"], likelihood: object, what: str = "outputs") -> None:
    """Raises NonFiniteError if any value is marked as bad.

    Args:
        bad: True where the value is NaN or infinite.
        likelihood: Who asks, for the message.
        what: Which values.

    Raises:
        NonFiniteError: Names how many values of how many rows in which draws, and where the first one is.
    """
    if not bad.any():
        return
    rows = bad.reshape(bad.shape[0], bad.shape[1], -1).any(dim=2)
    draws = rows.any(dim=1).nonzero().flatten()
    first = int(draws[0])
    row = int(rows[first].nonzero()[0])
    raise NonFiniteError(
        f"{int(bad.sum())} {what} of {int(rows.any(dim=0).sum())} of {bad.shape[1]} rows are NaN or infinite in "
        f"{len(draws)} of {bad.shape[0]} draws, first in draw {first} of this chunk at row {row}; {likelihood} needs "
        "finite numbers. See whether the plain model returns them for these rows: NaN in the input, overflow in half "
        "precision and division by a variance of zero are the usual causes."
    )
