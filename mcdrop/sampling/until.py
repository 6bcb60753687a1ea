"""Drawing until the mean is known well enough."""

import math
from dataclasses import dataclass
from numbers import Real

import torch

from mcdrop.errors import InputError
from mcdrop.prediction import Prediction
from mcdrop.tree import tensors

FIRST = 16
"""Blocks of draws at the first look. With fewer, an error that happens to be small ends the drawing too often."""
RATIO = 1.5
"""Of the numbers of blocks at one look and at the one before."""


@dataclass(frozen=True)
class Until:
    """Passes until the Monte Carlo error of the mean is small enough; in the place of a number of passes.

    After 16 blocks of draws, then after half as many again, and so on, the error is looked at:

        sqrt(1/N sum_n mc_error_n^2) <= mc_error    in the worst output

    To look often and stop at the first small error would understate it; with these looks +-2 errors cover the mean of
    normal outputs in 93 to 95 of 100 cases, and of log-normal ones (sigma = .5) in 90 to 95. Strongly skewed outputs
    (sigma = 1) are covered in 80 to 94 of 100, best where the error asked for takes 100 draws and more.

    In a loader every batch stops on its own, so that here, and only here, results depend on the size of batches: a
    prediction then knows the number of draws of each row (`num_samples_per_row`). It keeps no draws, so there are no
    densities of its mixture, and since its rows share none, scores of it state no Monte Carlo error.

    Args:
        mc_error: The error wanted, > 0, in the unit of `Prediction.mc_error`: probability for classes.
        max_samples: The most passes, >= 16 blocks of the design; a larger error is taken after so many.
        min_samples: Passes before which an error of 0 does not end the drawing (all draws may agree by chance).

    Raises:
        InputError: An argument is out of range.

    Example:
        >>> import torch, mcdrop
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
        >>> until = mcdrop.Until(mc_error=0.01, max_samples=2000)
        >>> mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=until, seed=0)
        >>> prediction = mc(torch.randn(8, 4))
        >>> prediction.num_samples < 2000, prediction.mc_error.square().mean(0).sqrt().max().item() <= 0.01
        (True, True)
    """

    mc_error: float
    max_samples: int
    min_samples: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.mc_error, bool) or not isinstance(self.mc_error, Real) or not self.mc_error > 0:
            raise InputError(f"Until(mc_error={self.mc_error!r}) was given; expected a number > 0.")
        object.__setattr__(self, "mc_error", float(self.mc_error))  # NumPy's floats are floats that print otherwise
        for name in ("max_samples", "min_samples"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < FIRST:
                raise InputError(f"Until({name}={value!r}) was given; expected an integer >= {FIRST}.")

    def looks(self, block_size: int) -> list[int]:
        """Numbers of draws after which the error is looked at, up to `max_samples`.

        Args:
            block_size: Draws per block of the design.

        Raises:
            InputError: `max_samples` is below 16 blocks.

        Example:
            >>> Until(mc_error=0.1, max_samples=60).looks(block_size=1)
            [16, 24, 36, 54, 60]
        """
        if self.max_samples < FIRST * block_size:
            raise InputError(
                f"Until(max_samples={self.max_samples}) was given with blocks of {block_size} draws; expected at least "
                f"{FIRST} blocks, {FIRST * block_size}."
            )
        found, blocks = [], FIRST
        while blocks * block_size < self.max_samples:
            found.append(blocks * block_size)
            blocks = math.ceil(RATIO * blocks)
        return [*found, self.max_samples]

    def is_met(self, prediction: Prediction) -> bool:
        """Whether the draws so far suffice."""
        errors = prediction.mc_error  # type: ignore[attr-defined]  # each kind of prediction has its own
        error = max(_worst(tensor) for tensor in tensors(errors))
        return error <= self.mc_error and (error > 0 or prediction.num_samples >= self.min_samples)


def _worst(error: torch.Tensor) -> float:
    """The root mean square over rows, in the worst output."""
    return error.double().square().mean(dim=0).sqrt().max().item()
