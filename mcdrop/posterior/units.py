"""The random variables of a model, site by site: how many, and with which probability of zeroing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mcdrop.errors import InputError
from mcdrop.noise import check_probability
from mcdrop.sites import Discovery


@dataclass(frozen=True)
class Units:
    """The variables of one site in one draw.

    Args:
        shape: Shape of one mask, for one row.
        p: Probability of zeroing, in [0, 1]; None where the model makes its mask itself, out of uniform numbers.

    Raises:
        InputError: p is no probability.

    Example:
        >>> Units((4, 3), p=0.5).count
        12
    """

    shape: tuple[int, ...]
    p: float | None

    def __post_init__(self) -> None:
        if self.p is not None:
            check_probability(self.p)

    @property
    def count(self) -> int:
        """How many variables there are."""
        return math.prod(self.shape)


def units_of(discovery: Discovery) -> dict[str, Units]:
    """The variables that the rows of an input share, by site in order of execution; sites with p = 0 have none.

    Where each step of packed sequences has a mask of its own, each is a site: "path:lstm[0]" and so on.

    Args:
        discovery: Of the model, with the rows' axes established.
    """
    units: dict[str, Units] = {}
    for site in discovery.active:
        shape = tuple(site.mask_shape if site.row is None else site.row.unit(site.mask_shape))
        if site.stepwise:
            units |= {f"{site.name}[{step}]": Units(shape[1:], site.p) for step in range(shape[0])}
        else:
            units[site.name] = Units(shape, site.p)
    return units


def check_same(expected: Mapping[str, Units], found: Mapping[str, Units]) -> None:
    """Refuses what was made for another model.

    Args:
        expected: The variables of the mask.
        found: Those of the model.

    Raises:
        InputError: A site is missing on either side, or differs in shape or p; names it.
    """
    for name in expected:
        if name not in found:
            raise InputError(_of_another_model(f"it holds the site {name}, which the model does not have", found))
    for name, units in found.items():
        if name not in expected:
            raise InputError(_of_another_model(f"it lacks the model's site {name}", found))
        check_site(name, expected[name], units.shape, units.p)


def check_site(name: str, expected: Units, shape: tuple[int, ...], p: float | None) -> None:
    """Refuses another shape or another p at one site.

    Raises:
        InputError: They differ; names the site and both values.
    """
    if expected.shape != tuple(shape):
        raise InputError(
            f"The mask is of another model: at site {name} it has shape {expected.shape}, and the model asks for "
            f"{tuple(shape)}. Draw a mask from this model."
        )
    if expected.p != p:
        raise InputError(
            f"The mask is of another model: at site {name} it was drawn with p = {expected.p}, and the model has "
            f"p = {p}, so what is kept would be scaled differently. Give the layer that p again, or draw a new mask."
        )


def _of_another_model(what: str, found: Mapping[str, Units]) -> str:
    return f"The mask is of another model: {what}. The model's sites: {', '.join(found) or 'none'}."
