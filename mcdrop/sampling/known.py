"""What is established about a model for one kind of input, and the options that decide what its passes are."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mcdrop.errors import InputError
from mcdrop.posterior import Design
from mcdrop.sampling.chain_cost import Cost
from mcdrop.sampling.plan import NEAR, Plan
from mcdrop.sampling.until import Until
from mcdrop.sites import Discovery, Sites, count_rows, discover, first_rows
from mcdrop.sites.switch import Reader
from mcdrop.types import Tree

FEW = 3
"""Rows that stand for all where something is established, so that this costs less than passes over all of them."""

_SAVED = 0.2
"""Share of their time that passes save where the caches hold them. Measured: a tenth to a third."""


@dataclass
class Known:
    """What has been established about a model for one kind of input.

    Attributes:
        discovery: Its sites.
        rows: Of the input that they were seen with.
        execution: How its passes are run; "" until the first have been.
        costs: Of a chain's draws, by the number of rows.
        most: How many rows of passes memory was found to hold at once; None while it has not run out.
        readers: The places that read `training` in passes for which they were established; None until the first.
    """

    discovery: Discovery
    rows: int = 1
    execution: str = ""
    costs: dict[int, Cost] = field(default_factory=dict)
    most: int | None = None
    readers: frozenset[Reader] | None = None

    def at_once(self, plan: Plan, rows: int, near: int | None = NEAR, *, repeated: bool = False) -> int:
        """How many passes on so many rows run at once; the size of results is taken to be in proportion to the rows.

        What lies before the first mask runs once for all of them, unless the inputs are `repeated` for each. Where that
        is much, more of them run at once than the caches hold: it is run again for each chunk.
        """
        made, masked = (sizes.for_rows(rows, self.rows) for sizes in (self.discovery.made, self.discovery.masked))
        of_each = made if repeated else masked
        cached = plan.at_once(of_each, near=near)
        before = made.total - of_each.total
        return cached if before <= cached * of_each.total * _SAVED else plan.at_once(of_each, near=None)


@dataclass(frozen=True)
class Settings:
    """The options that decide what the T passes are; see `MCDropout`."""

    num_samples: int
    seed: int
    design: Design
    shared_masks: bool
    batch_dim: int | None
    sites: Sites
    plan: Plan
    grad: bool
    select: Callable[[Any], Tree] = field(repr=False)
    until: Until | None = None

    def rows(self, inputs: Tree) -> int:
        """Number of rows of an input; 1 where the whole of it is one.

        Raises:
            InputError: It has none, or no tensor.
        """
        rows = 1 if self.batch_dim is None else count_rows(inputs, self.batch_dim)
        if rows == 0:
            raise InputError("The input has 0 rows; expected at least one.")
        return rows


def establish(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings) -> Known:
    """Checks the input and finds the model's sites.

    Raises:
        InputError: The input has no tensor or no rows.
        UncontrolledSiteError, NoSiteError, RowAxisError: See `mcdrop.sites.discover`.
    """
    rows = settings.rows((args, kwargs))
    if settings.batch_dim is None or not settings.shared_masks:
        return found(model, args, kwargs, settings, rows, None)
    if rows > FEW + 1:
        few_args, few_kwargs = first_rows((args, kwargs), settings.batch_dim, FEW)
        # Some models want all their rows, and some rows are too alike; what is wrong is said of the whole input.
        with suppress(Exception):
            known = found(model, few_args, few_kwargs, settings, FEW, settings.batch_dim)
            known.readers = known.discovery.readers
            if not known.discovery.rows_may_be_ragged:  # others may be longer than these few
                return known
    return found(model, args, kwargs, settings, rows, settings.batch_dim)


def found(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings, rows: int, probed: int | None
) -> Known:
    discovery = discover(model, args, kwargs, sites=settings.sites, batch_dim=probed)
    discovery.require_active(model)
    return Known(discovery, rows)
