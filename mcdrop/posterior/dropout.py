"""The dropout posterior: sub-networks drawn by Bernoulli masks.

Gal & Ghahramani 2016 (arXiv:1506.02142, sec. 3) read a network trained with dropout as a variational distribution over
its weights, q(W) with W = M diag(z) and z Bernoulli; one draw of all masks is one function from it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import keep, threshold, used_probability
from mcdrop.posterior.designs import Design, Independent
from mcdrop.posterior.mask import Mask
from mcdrop.posterior.units import Units


@dataclass(frozen=True)
class Dropout:
    """Masks for any site and any draw, as a function of (seed, site, draw, shape, p) and nothing else.

    Args:
        seed: Integer >= 0.
        design: How the draws hang together.
        rows_from: Number of the first row, where every row has masks of its own; None where the rows share one.

    Raises:
        InputError: The seed is no integer >= 0, or the design no design.

    Example:
        >>> posterior = Dropout(seed=0)
        >>> whole = posterior.keep("fc:dropout", (4,), 0.5, 0, 10)
        >>> bool((posterior.keep("fc:dropout", (4,), 0.5, 7, 10) == whole[7:]).all())
        True
    """

    seed: int
    design: Design = field(default_factory=Independent)
    rows_from: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InputError(f"seed={self.seed!r} was given; expected an integer >= 0, or None to draw one.")
        if not isinstance(self.design, Design):
            raise InputError(f"design={self.design!r} was given; expected mcdrop.Independent() or another design.")

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Bool[Tensor, " T *unit"]:
        """The masks of one site for the draws `start` .. `stop - 1`: True where a unit is kept.

        Args:
            site: Name of the site.
            shape: Shape of one mask.
            p: Probability of zeroing, in [0, 1].
            start: First draw.
            stop: One past the last draw.
        """
        words = self._words(site, shape, start, stop, threshold(p)[1])
        return torch.from_numpy(keep(words, p)).view(stop - start, *shape)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Float[Tensor, " T *unit"]:
        """Uniform numbers in (0, 1) for a site that draws its mask itself, (k + 1/2) / 2^32 with k uniform below 2^32.

        Args:
            site: Name of the site.
            shape: Shape of what one pass draws.
            start: First draw.
            stop: One past the last draw.
        """
        words = self._words(site, shape, start, stop, 32)
        return torch.from_numpy((words + 0.5) / 2**32).view(stop - start, *shape)

    def draw(self, units: Mapping[str, Units], t: int) -> Mask:
        """The mask of draw t, at every site: one sub-network.

        Args:
            units: The variables of the model by site.
            t: Number of the draw, >= 0.

        Raises:
            InputError: t is no such number.

        Example:
            >>> Dropout(seed=0).draw({"drop:dropout": Units((10,), p=0.5)}, t=3).num_units
            10
        """
        if isinstance(t, bool) or not isinstance(t, int) or t < 0:
            raise InputError(f"t={t!r} was given; expected the number of a draw, an integer >= 0.")
        values = {
            name: (self.uniform(name, u.shape, t, t + 1) if u.p is None else self.keep(name, u.shape, u.p, t, t + 1))[0]
            for name, u in units.items()
        }
        return Mask(values, {name: u.p for name, u in units.items()})

    def _words(self, site: str, shape: Sequence[int], start: int, stop: int, width: int) -> np.ndarray:
        stream = site if self.rows_from is None else f"{site}@{self.rows_from}"
        return self.design.words(self.seed, stream, start, stop, math.prod(shape), width)

    def used_probability(self, p: float) -> float:
        """The probability of zeroing that `keep` realises for p; what is kept is scaled by one over its complement."""
        return used_probability(p)
