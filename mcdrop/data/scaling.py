"""Standardising by a training part: columns of mean 0 and standard deviation 1, and the way back."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each column.

    A variance goes back to the raw units by `std`^2, a precision by 1 / `std`^2, and a log density of D columns by
    minus the sum of log `std`.
    """

    mean: Float[Tensor, " D"]
    std: Float[Tensor, " D"]

    def standardise(self, raw: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """(raw - mean) / std, for rows of the training part or any others."""
        return (raw - self.mean) / self.std

    def restore(self, standardised: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """mean + std * standardised, the inverse of `standardise`."""
        return self.mean + self.std * standardised


def measure(train: Float[Tensor, "N D"]) -> Scaling:
    """The scaling of the columns of a training part.

    `std` is the square root of the mean squared deviation (divisor N), and 1 for a constant column, which so becomes 0.

    Args:
        train: One row each, at least one.

    Returns:
        Mean and standard deviation, with dtype and device of `train`.

    Raises:
        InputError: `train` has not two axes, no rows, or values that are not finite.

    Example:
        >>> scaling = measure(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> scaling.standardise(torch.tensor([[1.0, 5.0], [4.0, 6.0]]))
        tensor([[-1.,  0.],
                [ 2.,  1.]])
        >>> scaling.restore(torch.tensor([[2.0, 1.0]]))
        tensor([[4., 6.]])
    """
    if train.dim() != 2 or not len(train):
        raise InputError(
            f"train has shape {tuple(train.shape)}: (N, D) with at least one row is needed. A single column is "
            "targets[:, None]."
        )
    if not train.isfinite().all():
        raise InputError("train holds NaN or infinity: mean and standard deviation need finite values.")
    std = train.std(dim=0, correction=0)
    # Rounding leaves a constant column a tiny standard deviation that is not 0, by which it would become noise.
    constant = (train == train[0]).all(dim=0)
    return Scaling(torch.where(constant, train[0], train.mean(dim=0)), torch.where(constant, torch.ones_like(std), std))
