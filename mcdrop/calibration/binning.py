"""Sums of forecasts and of what happened in bins of the probability; sums of batches add up to those of the whole."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.forecasts import Forecasts
from mcdrop.errors import InputError

Binning: TypeAlias = Literal["equal_width", "equal_mass"]
"""Bins of one width, or with about as many forecasts in each."""


@dataclass(frozen=True, eq=False)
class BinSums:
    """What lies in each of B bins, for each of K kinds of events, with all draws and without each group of them.

    Args:
        counts: Forecasts in the bin.
        probs: Sum of their probabilities.
        happened: How many of their events did.
        squares: Sum of `(probability - happened)^2`.
    """

    counts: Float[Tensor, "R K B"]
    probs: Float[Tensor, "R K B"]
    happened: Float[Tensor, "R K B"]
    squares: Float[Tensor, "R K B"]

    def __add__(self, other: "BinSums") -> "BinSums":
        return BinSums(*(one + two for one, two in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def gaps(self) -> Float[Tensor, "R K B"]:
        """Mean of `probability - happened` in each bin; 0 in an empty one."""
        return (self.probs - self.happened) / self.counts.clamp(min=1)


def bin_sums(of: Forecasts, borders: Float[Tensor, "K B_less_1"]) -> BinSums:
    """The sums of some forecasts.

    Args:
        of: The forecasts.
        borders: Between the bins of each kind of events.

    Example:
        >>> import torch
        >>> from mcdrop.calibration.forecasts import forecasts
        >>> of = forecasts(torch.tensor([0.2, 0.9, 1.0]), torch.tensor([0, 1, 1]), "classwise")
        >>> bin_sums(of, torch.tensor([[0.5]], dtype=torch.float64)).counts
        tensor([[[1., 2.]]], dtype=torch.float64)
    """
    draws, kinds, bins = len(of.probs), of.probs.shape[-1], borders.shape[1] + 1
    cell = torch.arange(draws * kinds, device=of.probs.device).view(draws, 1, 1, kinds) * bins + bin_of(
        of.probs, borders
    )
    happened = of.happened.to(of.probs.dtype)

    def summed(values: Tensor) -> Tensor:
        total = torch.bincount(cell.flatten(), values.flatten(), minlength=draws * kinds * bins)
        return total.view(draws, kinds, bins)

    squares = (of.probs - happened).square()
    return BinSums(summed(torch.ones_like(of.probs)), summed(of.probs), summed(happened), summed(squares))


def bin_of(probs: Float[Tensor, "*rest K"], borders: Float[Tensor, "K B_less_1"]) -> Int[Tensor, "*rest K"]:
    """The bin of each probability, the number of borders that it reaches: bins hold their lower border, the last one
    both of its own.

    Example:
        >>> import torch
        >>> bin_of(torch.tensor([[0.0], [0.5], [1.0]]), torch.tensor([[0.5]])).flatten()
        tensor([0, 1, 1])
    """
    by_kind = probs.movedim(-1, 0)
    found = torch.searchsorted(borders.contiguous(), by_kind.reshape(len(borders), -1).contiguous(), right=True)
    return found.view(by_kind.shape).movedim(0, -1)


def bin_borders(probs: Float[Tensor, "M K"], binning: Binning, num_bins: int) -> Float[Tensor, "K B_less_1"]:
    """The borders between the bins of M forecasts of each of K kinds of events.

    Those of equal mass are the forecasts of ranks `b M/B`, b = 1 to B - 1; equal forecasts share a bin, so that one
    may hold more or none.

    Raises:
        InputError: If the binning is unknown or there is no bin.

    Example:
        >>> import torch
        >>> probs = torch.tensor([[0.1], [0.2], [0.3], [0.9]])
        >>> bin_borders(probs, "equal_width", 2), bin_borders(probs, "equal_mass", 2)
        (tensor([[0.5000]]), tensor([[0.3000]]))
    """
    if binning not in get_args(Binning):
        raise InputError(f"binning={binning!r} given; expected 'equal_width' or 'equal_mass'.")
    if isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1:
        raise InputError(f"num_bins={num_bins!r} given; expected an integer >= 1.")
    steps = torch.arange(1, num_bins, device=probs.device)
    if binning == "equal_width":
        return (steps.to(probs.dtype) / num_bins).expand(probs.shape[1], -1)
    ranks = (-(-steps * len(probs) // num_bins)).clamp(max=len(probs) - 1)  # rounded up
    return probs.sort(dim=0).values[ranks].T
