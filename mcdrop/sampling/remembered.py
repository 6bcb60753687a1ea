"""The masks of one drawing, and which of them its model asked for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdrop.posterior import Dropout
from mcdrop.sampling.held_masks import HeldMasks

_LOOKED_AT = 64
"""Draws among which one is looked for that drops something."""


class Remembered:
    """Masks that remember for which sites they were asked.

    Args:
        posterior: Draws them.
        held: Holds those that rows share, of drawings before and after: masks of their own are of other rows next time.
    """

    def __init__(self, posterior: Dropout, held: HeldMasks) -> None:
        self._posterior = posterior
        self._held = held if posterior.rows_from is None else HeldMasks(0)
        self.used_probability = posterior.used_probability
        self.asked: dict[str, tuple[tuple[int, ...], float | None]] = {}

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Tensor:
        self.asked[site] = (tuple(shape), p)
        key = (self._posterior.seed, site, tuple(shape), p, start, stop)
        return self._held.get(key, lambda: self._posterior.keep(site, shape, p, start, stop))

    def factors(
        self, site: str, shape: Sequence[int], p: float, start: int, stop: int, scale: float, dtype: torch.dtype
    ) -> Tensor:
        """`scale` where a unit is kept and 0 where it is dropped, (stop - start, *shape)."""
        self.asked[site] = (tuple(shape), p)
        key = (self._posterior.seed, site, tuple(shape), p, start, stop, scale, dtype)

        def drawn() -> Tensor:
            return self._posterior.keep(site, shape, p, start, stop) * torch.tensor(scale, dtype=dtype)

        return self._held.get(key, drawn)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Tensor:
        self.asked[site] = (tuple(shape), None)
        return self._posterior.uniform(site, shape, start, stop)

    def telling(self, start: int, stop: int) -> int:
        """Which of the draws `start` .. `stop - 1`, counted from 0, shows best whether masks are applied as they should
        be: the first if it drops something at each site, else, of at most 64, the one that does so at most sites."""
        sites = [(site, shape, p) for site, (shape, p) in self.asked.items() if p is not None]

        def drops(stop: int) -> Tensor:
            rows = [~self._posterior.keep(site, shape, p, start, stop).flatten(1).all(1) for site, shape, p in sites]
            return torch.stack(rows).sum(0)

        if not sites or drops(start + 1)[0] == len(sites):
            return 0
        return int(drops(min(stop, start + _LOOKED_AT)).argmax())

    @property
    def unseen(self) -> bool:
        """Whether some site makes its mask itself, of numbers that always differ."""
        return any(p is None for _, p in self.asked.values())

    def differ(self, total: int) -> bool:
        """Whether the masks of a site that does not make them itself differ between the first `total` draws."""
        for site, (shape, p) in self.asked.items():
            if p is None:
                continue
            first = self._posterior.keep(site, shape, p, 0, 1)
            later = (self._posterior.keep(site, shape, p, draw, draw + 1) for draw in range(1, total))
            if not all(torch.equal(mask, first) for mask in later):
                return True
        return False
