"""Drawing T passes for one input: what is established first, how the passes are run, what is checked at the end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mcdrop.errors import (
    InputError,
    NonFiniteError,
    NoSpreadError,
    RowAxisError,
    UncontrolledSiteError,
    VectorisationError,
)
from mcdrop.posterior import Design, Dropout
from mcdrop.sampling.passes import StochasticPass, run_loop, run_vectorised
from mcdrop.sampling.plan import Plan
from mcdrop.sites import Discovery, Sites, close, count_rows, discover, first_rows, preserved_randomness
from mcdrop.sites.switch import Reader
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree

_FURTHER = 64
"""Passes after which draws that all agree are no accident."""
_VECTORISED, _REPEATED = "vectorised", "vectorised, inputs repeated"
_FEW = 3
"""Rows that stand for all where something is established, so that this costs less than passes over all of them."""


@dataclass
class Known:
    """What has been established about a model for one kind of input.

    Attributes:
        discovery: Its sites.
        rows: Of the input that they were seen with.
        execution: How its passes are run; "" until the first have been.
        readers: The places that read `training` in passes for which they were established; None until the first.
    """

    discovery: Discovery
    rows: int = 1
    execution: str = ""
    readers: frozenset[Reader] | None = None

    def bytes_per_pass(self, rows: int) -> int:
        """Size of all results of a pass on so many rows, taken to be in proportion to them."""
        return -(-self.discovery.bytes_made * rows // self.rows)


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
        return _found(model, args, kwargs, settings, rows, None)
    if rows > _FEW + 1:
        few_args, few_kwargs = first_rows((args, kwargs), settings.batch_dim, _FEW)
        # Some models want all their rows, and some rows are too alike; what is wrong is said of the whole input.
        with suppress(Exception):
            known = _found(model, few_args, few_kwargs, settings, _FEW, settings.batch_dim)
            known.readers = known.discovery.readers
            return known
    return _found(model, args, kwargs, settings, rows, settings.batch_dim)


def _found(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings, rows: int, probed: int | None
) -> Known:
    discovery = discover(model, args, kwargs, sites=settings.sites, batch_dim=probed)
    discovery.require_active(model)
    return Known(discovery, rows)


class Drawing:
    """The T passes of one input, iterated in chunks of draws.

    Args:
        model: The network.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        known: What is established for this kind of input; its `execution` is filled in by the first draws.
        settings: The options.
        first_row: Number of the first row among all rows of a data set, for masks of their own in each row.

    Raises:
        NoSpreadError: After the last draw, when all were bit-identical although their masks differed.
        VectorisationError: The plan demands what the model cannot do.
    """

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        known: Known,
        settings: Settings,
        first_row: int,
    ) -> None:
        self._inputs = (model, args, kwargs)
        self._known = known
        self._settings = settings
        self._has_looked_again = self._few_differ = False
        self._devices = {tensor.device for tensor in (*tensors((args, kwargs)), *model.parameters())}
        self._rows, self._first_row = settings.rows((args, kwargs)), first_row
        self._prepare()

    def _prepare(self) -> None:
        """Makes the passes from what is established."""
        model, args, kwargs = self._inputs
        settings = self._settings
        self.shared = settings.shared_masks and not self._known.discovery.native
        self._masks = _Remembered(Dropout(settings.seed, settings.design, None if self.shared else self._first_row))
        self._run = self._passes(model, args, kwargs)
        self._on_few = self._run
        if self._rows > _FEW and settings.batch_dim is not None:
            self._on_few = self._passes(model, *first_rows((args, kwargs), settings.batch_dim, _FEW))

    def _passes(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StochasticPass:
        return StochasticPass(
            model,
            args,
            kwargs,
            discovery=self._known.discovery,
            sites=self._settings.sites,
            masks=self._masks,
            shared=self.shared,
            select=self._settings.select,
            rows=self._settings.rows((args, kwargs)),
        )

    @property
    def execution(self) -> str:
        """How the passes were run: "vectorised", or "loop: " and the reason."""
        return self._known.execution

    def __iter__(self) -> Iterator[Tree]:
        total = self._settings.num_samples
        first: Tree = None
        spread, start = False, 0
        while start < total:
            with torch.set_grad_enabled(self._settings.grad):
                chunk = self._settled(start, total)
            first = map_tensors(lambda tensor: tensor[:1].detach(), chunk) if first is None else first
            spread = spread or any(
                not torch.equal(new, old.expand_as(new))
                for new, old in zip(tensors(chunk), tensors(first), strict=True)
            )
            start += tensors(chunk)[0].shape[0]
            yield chunk
        if total > 1 and not spread:
            self._explain_no_spread(total)

    def _settled(self, start: int, total: int) -> Tree:
        """The next draws, from what is established for this very input where other rows did not tell."""
        try:
            chunk = self._next(start, total)
        except (RowAxisError, UncontrolledSiteError):
            if self._has_looked_again:
                raise
        else:
            known = self._known
            if known.readers is None or self._has_looked_again:
                known.readers = (known.readers or frozenset()) | self._run.readers
            if self._has_looked_again or (self._run.readers <= known.readers and not self._few_differ):
                return chunk
        self._look_again()
        return self._settled(start, total)

    def _look_again(self) -> None:
        """Establishes the sites on all rows of this input, some of which take another way through the model."""
        settings, probed = self._settings, self._settings.batch_dim if self._settings.shared_masks else None
        fresh = _found(*self._inputs, settings, self._rows, probed)
        self._known.discovery, self._known.rows = fresh.discovery, fresh.rows
        self._known.execution, self._known.readers = fresh.execution, fresh.readers
        self._has_looked_again = True
        self._prepare()

    def _next(self, start: int, total: int) -> Tree:
        plan, known = self._settings.plan, self._known
        if known.discovery.native:
            known.execution = "loop: random operations run with torch's own randomness"
            return self._seeded(start)
        if known.discovery.host_decides:
            known.execution = "loop: the host program decides which modules run"
            return self._seeded(start)
        if plan.execution == "loop":
            known.execution = "loop: as the plan says"
        if known.execution.startswith("loop"):
            return run_loop(self._run, start, start + 1)
        stop = min(total, start + plan.chunk(known.bytes_per_pass(self._rows)))
        if known.execution:
            return run_vectorised(self._run, start, stop, known.execution == _REPEATED)
        return self._first(start, stop)

    def _first(self, start: int, stop: int) -> Tree:
        """The first vectorised draws of a kind of input, held against the loop."""
        one = None
        reason = ""
        failure: Exception | None = None
        for execution in (_VECTORISED,) if self._settings.grad else (_VECTORISED, _REPEATED):
            try:
                chunk = run_vectorised(self._run, start, stop, execution == _REPEATED)
            except Exception as error:
                failure = failure or error
                reason = reason or f"{type(error).__name__}: {_first_line(error)}"
                continue
            if self._few_agree(chunk, start):
                self._known.execution = execution
                return chunk
            self._few_differ = self.shared and self._known.rows == _FEW < self._rows
            one = run_loop(self._run, start, start + 1) if one is None else one
            if _agree(chunk, one):
                self._known.execution = execution
                return chunk
            reason = reason or "vmap gave another output"
        one = run_loop(self._run, start, start + 1) if one is None else one  # a fault of the model itself surfaces here
        if self._settings.plan.on_error == "raise":
            raise VectorisationError(
                f"The passes cannot be vectorised ({reason}). Plan(on_error='loop') runs them one after the other."
            ) from failure
        self._known.execution = f"loop: not vectorised ({reason})"
        return one

    def _few_agree(self, chunk: Tree, start: int) -> bool:
        """Whether the loop gives the same for the first rows. If not, that proves nothing: they may need the others."""
        try:
            few = run_loop(self._on_few, start, start + 1)
        except Exception:
            return False
        many, single = tensors(chunk), tensors(few)
        if len(many) != len(single) or any(a.ndim != b.ndim for a, b in zip(many, single, strict=True)):
            return False
        return _agree(map_tensors(_cut, chunk, few), few)

    def _seeded(self, draw: int) -> Tree:
        """One draw with the global generators seeded for it."""
        with preserved_randomness(self._devices) as randomness:
            if self._known.discovery.native:
                randomness.reseed(self._settings.seed, draw)
            else:
                randomness.reseed_host(self._settings.seed, draw)
            return run_loop(self._run, draw, draw + 1)

    def _further_draws_agree(self, total: int) -> bool:
        """Whether draws whose masks the model makes itself agree in further passes too: few coins agree by chance."""
        discovery = self._known.discovery
        if not (discovery.native or discovery.host_decides or self._masks.unseen):
            return False
        with torch.no_grad():
            one = self._one(0)
            further = (self._one(total + draw) for draw in range(_FURTHER))
            return all(
                torch.equal(new, old) for draw in further for new, old in zip(tensors(draw), tensors(one), strict=True)
            )

    def _one(self, draw: int) -> Tree:
        discovery = self._known.discovery
        return self._seeded(draw) if discovery.native or discovery.host_decides else run_loop(self._run, draw, draw + 1)

    def _explain_no_spread(self, total: int) -> None:
        asked = self._masks.asked
        certain = [name for name, (_, p) in asked.items() if p == 1]
        if certain and len(certain) == len(asked):
            raise NoSpreadError(
                f"Every site that ran has p = 1 ({', '.join(certain)}): it drops everything, so all draws are alike. "
                "Give it p < 1, or choose another with Sites(p=...)."
            )
        if self._masks.differ(total) or self._further_draws_agree(total):
            raise NoSpreadError(
                f"All {total} draws of all rows are bit-identical although the masks at {', '.join(asked)} "
                "differ. Either (a) what is masked is zero for these inputs, (b) it does not reach the output that is "
                "read (see output=), or (c) the output is rounded so far that the difference is lost."
            )


class _Remembered:
    """Masks that remember for which sites they were asked."""

    def __init__(self, posterior: Dropout) -> None:
        self._posterior = posterior
        self.used_probability = posterior.used_probability
        self.asked: dict[str, tuple[tuple[int, ...], float | None]] = {}

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Tensor:
        self.asked[site] = (tuple(shape), p)
        return self._posterior.keep(site, shape, p, start, stop)

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Tensor:
        self.asked[site] = (tuple(shape), None)
        return self._posterior.uniform(site, shape, start, stop)

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


def _cut(many: Tensor, few: Tensor) -> Tensor:
    """The first of many draws, and of each axis as much as the few rows have."""
    return many[tuple(slice(size) for size in few.shape)]


def _agree(chunk: Tree, one: Tree) -> bool:
    many, single = tensors(chunk), tensors(one)
    return len(many) == len(single) and all(
        a.dtype == b.dtype and a.shape[1:] == b.shape[1:] and close(a[:1], b) for a, b in zip(many, single, strict=True)
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]


def note_inputs(error: NonFiniteError, inputs: Tree) -> None:
    """Adds to the error whether the input itself held NaN or infinity."""
    wrong = sum(int((~torch.isfinite(t)).sum()) for t in tensors(inputs) if t.is_floating_point())
    error.add_note(f"The input holds {wrong} values that are NaN or infinite." if wrong else "The input is finite.")
