"""Which sites take part, and with which p."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from torch import nn

from mcdrop.errors import InputError, NoSiteError

Pattern: TypeAlias = str | type[nn.Module] | int
"""A site's name or its owner's path (shell wildcards), the owner's class, or a position in order of execution."""


@dataclass(frozen=True)
class Named:
    """What a pattern is held against: one site's name, its owner's path and class, its position."""

    name: str
    path: str
    owner: type
    position: int


@dataclass(frozen=True)
class Sites:
    """A choice among a model's dropout sites; by default all of them, with the model's own p.

    Args:
        only: Take these alone: a pattern or several. A string is matched, with shell wildcards, against the site's name
            ("encoder.drop:dropout", say, as `audit` prints it) and its owner's path; a class against the owner's class;
            an integer against the position in order of execution (-1 is the last).
        exclude: Leave these off, in the same words.
        p: Another probability of zeroing: one for all sites, or a mapping from pattern to p.
        uncontrolled: What happens to a random operation that mcdrop cannot control: "error", or "native", which runs
            it with torch's own randomness, seeded for each draw, in the loop execution, and gives every row masks of
            its own.

    Raises:
        InputError: A pattern, p or word outside the above.

    Example:
        >>> Sites(only="head.*", p=0.2).chosen([Named("head.0:dropout", "head.0", nn.Dropout, 0)])
        [0]
    """

    only: Pattern | Sequence[Pattern] | None = None
    exclude: Pattern | Sequence[Pattern] = ()
    p: float | Mapping[Pattern, float] | None = None
    uncontrolled: Literal["error", "native"] = "error"

    def __post_init__(self) -> None:
        if self.uncontrolled not in ("error", "native"):
            raise InputError(f"uncontrolled={self.uncontrolled!r} was given; expected 'error' or 'native'.")
        for pattern in (*_several(self.only), *_several(self.exclude), *self._probabilities):
            if not (isinstance(pattern, str | int) or (isinstance(pattern, type) and issubclass(pattern, nn.Module))):
                raise InputError(
                    f"{pattern!r} was given as a pattern; expected a string, an nn.Module class or a position."
                )
        for p in self._probabilities.values():
            if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
                raise InputError(f"p = {p!r} was given; expected a probability of zeroing in [0, 1].")

    @property
    def _probabilities(self) -> dict[Pattern, float]:
        if self.p is None:
            return {}
        return dict(self.p) if isinstance(self.p, Mapping) else {"*": self.p}

    def chosen(self, sites: Sequence[Named], others: Sequence[Named] = ()) -> list[int]:
        """Indices of the sites that take part.

        Args:
            sites: The sites in order of execution.
            others: What is no site but may be named too: random operations that were left off.

        Raises:
            NoSiteError: A pattern that matches nothing, by name.
        """
        for pattern in (*_several(self.only), *_several(self.exclude), *self._probabilities):
            if pattern != "*" and not any(_matches(pattern, one, len(sites)) for one in (*sites, *others)):
                names = ", ".join(site.name for site in sites) or "none"
                raise NoSiteError(f"{pattern!r} matches no dropout site. The model's sites: {names}.")
        return [index for index, site in enumerate(sites) if self.takes(site, len(sites))]

    def takes(self, site: Named, count: int) -> bool:
        """Whether one of `count` sites takes part."""
        only = self.only is None or any(_matches(pattern, site, count) for pattern in _several(self.only))
        return only and not any(_matches(pattern, site, count) for pattern in _several(self.exclude))

    def probability(self, site: Named, count: int, own: float) -> float:
        """The p of a site: the last matching entry of `p`, or its own."""
        for pattern, p in self._probabilities.items():
            if _matches(pattern, site, count):
                own = float(p)
        return own


def _several(patterns: Pattern | Sequence[Pattern] | None) -> tuple[Pattern, ...]:
    if patterns is None:
        return ()
    return (patterns,) if isinstance(patterns, str | int | type) else tuple(patterns)


def _matches(pattern: Pattern, site: Named, count: int) -> bool:
    if isinstance(pattern, str):
        return fnmatchcase(site.name, pattern) or fnmatchcase(site.path, pattern)
    if isinstance(pattern, type):
        return issubclass(site.owner, pattern)
    return site.position == (pattern if pattern >= 0 else count + pattern)
