"""Every mask there is, with its probability: the exact forest of a small network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import used_probability
from mcdrop.posterior.mask import Mask
from mcdrop.posterior.units import Units, check_site

MOST_UNITS = 20


@dataclass(frozen=True)
class Enumeration:
    """All 2^k masks of k units, in the place of drawn ones: draw t keeps unit j if bit j of t is 1.

        P(mask) = prod_j (1 - p_j)^z_j p_j^(1 - z_j)

    p is the one that draws use, `mcdrop.noise.used_probability(p)`, so that Monte Carlo and enumeration have the same
    expectation. Units with p = 1 are always dropped and do not count.

    Args:
        units: The variables by site.

    Raises:
        InputError: More than 20 units; a site that makes its mask itself.

    Example:
        >>> masks = Enumeration({"drop:dropout": Units((2,), p=0.25)})
        >>> masks.count, masks.probability.tolist()
        (4, [0.0625, 0.1875, 0.1875, 0.5625])
        >>> masks.mask(1).values["drop:dropout"]
        tensor([ True, False])
    """

    units: Mapping[str, Units]

    def __post_init__(self) -> None:
        for name, units in self.units.items():
            if units.p is None:
                raise InputError(
                    f"Site {name} makes its mask itself out of uniform numbers: its draws cannot be counted."
                )
        if self.num_bits > MOST_UNITS:
            raise InputError(
                f"{self.num_bits} units can be dropped, which makes 2^{self.num_bits} masks; expected at most "
                f"2^{MOST_UNITS}. Draw some of them instead: num_samples=."
            )

    @property
    def num_bits(self) -> int:
        """k, the units with 0 < p < 1."""
        return sum(units.count for units in self.units.values() if units.p not in (0, 1))

    @property
    def count(self) -> int:
        """2^k, the number of masks, that is of sub-networks."""
        return 1 << self.num_bits

    @property
    def probability(self) -> Float[Tensor, " M"]:
        """P(mask) of each, float64; they sum to 1."""
        result = torch.ones(1, dtype=torch.float64)
        for units in self.units.values():
            if units.p in (0, 1):
                continue
            used = used_probability(units.p or 0.0)
            for _ in range(units.count):  # a later unit is a higher bit
                result = torch.cat([result * used, result * (1 - used)])
        return result

    def mask(self, index: int) -> Mask:
        """The mask of number `index`."""
        values = {name: self.keep(name, u.shape, u.p or 0.0, index, index + 1)[0] for name, u in self.units.items()}
        return Mask(values, {name: units.p for name, units in self.units.items()})

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Bool[Tensor, " T *unit"]:
        """The masks of one site for the numbers `start` .. `stop - 1`: True where a unit is kept.

        Raises:
            InputError: The site is not among the units, or has another shape or p there.
        """
        first = 0
        for name, units in self.units.items():
            if name == site:
                check_site(site, units, tuple(shape), p)
                break
            first += units.count if units.p not in (0, 1) else 0
        else:
            raise InputError(f"The masks are of another model: they lack the site {site}.")
        if p in (0, 1):
            return torch.full((stop - start, *shape), p == 0)
        bits = np.arange(start, stop)[:, None] >> np.arange(first, first + units.count)
        return torch.from_numpy((bits & 1).astype(bool)).view(stop - start, *shape)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Float[Tensor, " T *unit"]:
        """A site that makes its mask itself cannot be enumerated.

        Raises:
            InputError: Always.
        """
        raise InputError(f"Site {site} makes its mask itself out of uniform numbers: its draws cannot be counted.")

    def used_probability(self, p: float) -> float:
        """The probability of zeroing in `probability`."""
        return used_probability(p)
