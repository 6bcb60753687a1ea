"""Masks that are given instead of drawn: replayed ones, and the mean of all."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import used_probability
from mcdrop.posterior.mask import Mask
from mcdrop.posterior.units import check_site


@dataclass(frozen=True)
class Replay:
    """Given masks in the place of drawn ones: draw t is masks[t].

    Args:
        masks: At least one.

    Raises:
        InputError: There is none, or they are of different models.

    Example:
        >>> mask = Mask({"drop:dropout": torch.tensor([True, False])}, {"drop:dropout": 0.5})
        >>> Replay((mask, mask)).keep("drop:dropout", (2,), 0.5, 0, 2)
        tensor([[ True, False],
                [ True, False]])
    """

    masks: Sequence[Mask]

    def __post_init__(self) -> None:
        if not self.masks:
            raise InputError("No mask was given; expected at least one.")
        if any(mask.units != self.masks[0].units for mask in self.masks):
            raise InputError("Masks of different models were given; expected the same sites, shapes and p in all.")

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Bool[Tensor, " T *unit"]:
        """The masks of one site for the draws `start` .. `stop - 1`: True where a unit is kept.

        Raises:
            InputError: The masks lack the site, or have another shape or p there; names it.
        """
        return self._values(site, shape, p, start, stop)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Float[Tensor, " T *unit"]:
        """The uniform numbers of a site that makes its mask itself.

        Raises:
            InputError: As `keep`.
        """
        return self._values(site, shape, None, start, stop)

    def used_probability(self, p: float) -> float:
        """The probability of zeroing that scales what is kept."""
        return used_probability(p)

    def _values(self, site: str, shape: Sequence[int], p: float | None, start: int, stop: int) -> Tensor:
        units = self.masks[0].units
        if site not in units:
            raise InputError(
                f"The mask is of another model: it lacks the site {site}. Its sites: {', '.join(units) or 'none'}. "
                "Draw a mask from this model."
            )
        check_site(site, units[site], tuple(shape), p)
        if not 0 <= start <= stop <= len(self.masks):
            raise InputError(f"Draws {start} to {stop} were asked of {len(self.masks)} masks.")
        chosen = [mask.values[site] for mask in self.masks[start:stop]]
        return torch.stack(chosen) if chosen else self.masks[0].values[site][None][:0]


@dataclass(frozen=True)
class MeanMask:
    """E[z] = 1 at every unit: the weight-scaled network, which `eval()` runs.

    Example:
        >>> MeanMask().keep("drop:dropout", (3,), 0.5, 0, 1), MeanMask().used_probability(0.5)
        (tensor([[True, True, True]]), 0.0)
    """

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Bool[Tensor, " T *unit"]:
        """All units, in every draw."""
        return torch.ones(stop - start, *shape, dtype=torch.bool)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Float[Tensor, " T *unit"]:
        """A site that makes its mask itself does not say what its mean is.

        Raises:
            InputError: Always.
        """
        raise InputError(f"Site {site} makes its mask itself, so its mean mask is not known: run the model in eval().")

    def used_probability(self, p: float) -> float:
        """0: nothing is scaled, because all is kept."""
        return 0.0
