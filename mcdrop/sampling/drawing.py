"""Drawing T passes for one input: what is established first, how the passes are run, what is checked at the end."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mcdrop.errors import (
    NonFiniteError,
    NoSpreadError,
    RowAxisError,
    UncontrolledSiteError,
    VectorisationError,
)
from mcdrop.posterior import Dropout
from mcdrop.sampling.chain import chain_of
from mcdrop.sampling.chained import Chained
from mcdrop.sampling.forecast import Forecast
from mcdrop.sampling.held_masks import HeldMasks
from mcdrop.sampling.known import FEW, Known, Settings, found
from mcdrop.sampling.memory import is_out_of_memory
from mcdrop.sampling.output import whole
from mcdrop.sampling.passes import StochasticPass, run_loop, run_vectorised, stacked
from mcdrop.sampling.plan import NEAR
from mcdrop.sampling.remembered import Remembered
from mcdrop.sites import close, devices_of, finest, first_rows, preserved_randomness, wakes
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree

_FURTHER = 64
"""Passes after which draws that all agree are no accident."""
_CHAIN, _VECTORISED, _REPEATED = "chain", "vectorised", "vectorised, inputs repeated"


class Drawing:
    """The T passes of one input, iterated in chunks of draws.

    Args:
        model: The network.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        known: What is established for this kind of input; its `execution` is filled in by the first draws.
        settings: The options.
        first_row: Number of the first row among all rows of a data set, for masks of their own in each row.
        held: Masks drawn before with the same design; extended.

    Attributes:
        total: How many draws there will be; to lower it to `drawn` ends the drawing.
        drawn: How many there have been.

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
        held: HeldMasks,
    ) -> None:
        self._held = held
        self._inputs = (model, args, kwargs)
        self._known = known
        self._settings = settings
        self._has_looked_again = self._few_differ = False
        self.total, self.drawn = settings.num_samples, 0
        until = settings.until
        self._looks = [self.total] if until is None else until.looks(settings.design.block_size)
        self._devices = devices_of(model, (args, kwargs))
        self._rows, self._first_row = settings.rows((args, kwargs)), first_row
        self._prepare()

    def _prepare(self) -> None:
        """Makes the passes from what is established."""
        model, args, kwargs = self._inputs
        settings = self._settings
        self.shared = settings.shared_masks and not self._known.discovery.native
        self._masks = Remembered(
            Dropout(settings.seed, settings.design, None if self.shared else self._first_row), self._held
        )
        self._run = self._passes(model, args, kwargs)
        self._chain = self._as_chain(model, args, kwargs)

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

    def _as_chain(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Chained | None:
        settings, discovery = self._settings, self._known.discovery
        known_ways = self.shared and settings.batch_dim == 0 and not settings.grad
        if settings.plan.execution not in ("auto", "chain") or not known_ways:
            return None
        steps = chain_of(model, args, kwargs, discovery, self._masks.used_probability)
        return Chained(steps, args[0], self._masks, settings.plan, self._known.costs) if steps else None

    @property
    def execution(self) -> str:
        """How the passes were run: "chain", "vectorised" or "loop", with what there is to say about it."""
        return self._chain.way if self._chain is not None and self._known.execution == _CHAIN else self._known.execution

    def __iter__(self) -> Iterator[Tree]:
        first: Tree = None
        spread = apart = False  # in any bit, and by more than rounding
        start = 0
        if wakes(*self._inputs, self._known.discovery):
            self._look_again()
        while start < self.total:
            until = next(look for look in self._looks if look > start)
            with torch.set_grad_enabled(self._settings.grad):
                chunk = self._settled(start, until)
            first = map_tensors(lambda tensor: tensor[:1].detach(), chunk) if first is None else first
            if not apart:
                pairs = list(zip(tensors(chunk), tensors(first), strict=True))
                apart = any(_are_apart(new[-1:], old) or _are_apart(new, old) for new, old in pairs)
                spread = spread or apart or any(not torch.equal(new, old.expand_as(new)) for new, old in pairs)
            start += tensors(chunk)[0].shape[0]
            self.drawn = start
            yield chunk
        if start > 1 and not apart and (not spread or self._are_equal_in_turn(start)):
            self._explain_no_spread(start)

    def _are_equal_in_turn(self, total: int) -> bool:
        """Whether passes one after the other are bit-identical: together they are rounded by their place in a chunk."""
        if self._known.execution.startswith("loop"):
            return False
        with torch.no_grad():
            first = tensors(self._one(0))
            return all(
                torch.equal(new, old)
                for draw in range(1, min(total, _FURTHER))
                for new, old in zip(tensors(self._one(draw)), first, strict=True)
            )

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
        fresh = found(*self._inputs, settings, self._rows, probed)
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
        if known.execution and not (known.execution == _CHAIN and self._chain is None):
            return self._together(known.execution, start, total)
        return self._first(start, total)

    def _together(self, execution: str, start: int, total: int) -> Tree:
        """As many draws as are to run together, from `start` on."""
        known, stop = self._known, start + self.at_once(execution, total - start)
        while True:
            try:
                return self._between(execution, start, stop)
            except (MemoryError, RuntimeError) as error:
                if stop - start == 1 or not is_out_of_memory(error):
                    raise
                if known.most is None:
                    warnings.warn(
                        f"Memory ran out with {stop - start} passes at once; mcdrop goes on with fewer. "
                        "Plan(memory=...) sets how much they may take.",
                        stacklevel=2,
                    )
            stop = start + (stop - start) // 2
            known.most = (stop - start) * self._rows

    def at_once(self, execution: str, left: int) -> int:
        """How many of the passes that are left run at once in this way: shares as equal as may be."""
        if execution == _CHAIN:
            assert self._chain is not None
            planned = self._chain.chunk
        else:
            on_processor = all(tensor.device.type == "cpu" for tensor in tensors(self._inputs[1:]))
            near, repeated = NEAR if on_processor else None, execution == _REPEATED
            planned = self._known.at_once(self._settings.plan, self._rows, near, repeated=repeated)
        most = planned if self._known.most is None else max(1, min(planned, self._known.most // self._rows))
        if self._settings.plan.chunk is not None:
            return min(left, most)
        return math.ceil(left / math.ceil(left / most))

    def forecast(self) -> Forecast:
        """How the passes run. Runs a few to see that they can."""
        plan, total = self._settings.plan, self._settings.num_samples
        with torch.set_grad_enabled(self._settings.grad):
            self._settled(0, min(2, total))
            plain = _multiply_adds(lambda: self._one(0))
            execution = self._known.execution
            if execution.startswith("loop"):
                chosen, chunk, count = "loop", 1, total * plain
            else:
                chosen, chunk = execution.split(",")[0], self.at_once(execution, total)
                one, two = (self._multiply_adds(execution, draws) for draws in (1, 2))
                each, chunks = two - one, -(-total // chunk)
                # What all draws share runs for each chunk; a chain keeps it.
                count = total * each + (one - each) * (1 if execution == _CHAIN else chunks)
        planned = replace(plan, execution=chosen, chunk=None if chosen == "loop" else chunk)  # type: ignore[arg-type]
        return Forecast(planned, self.execution, total, chunk, count, total * plain)

    def _multiply_adds(self, execution: str, draws: int) -> int:
        """Of the first draws together, with nothing kept from before."""
        self._prepare()
        return _multiply_adds(lambda: self._between(execution, 0, draws))

    def _between(self, execution: str, start: int, stop: int) -> Tree:
        if execution != _CHAIN:
            return run_vectorised(self._run, start, stop, execution == _REPEATED)
        assert self._chain is not None
        outputs, select = self._chain.run(start, stop), self._settings.select
        return outputs if select is whole else stacked([select(draw) for draw in outputs])

    def _first(self, start: int, total: int) -> Tree:
        """The first draws of a kind of input that run together, held against the loop."""
        reason = ""
        failure: Exception | None = None
        ways = [] if self._chain is None else [_CHAIN]
        if self._settings.plan.execution != "chain":
            ways += [_VECTORISED] if self._settings.grad else [_VECTORISED, _REPEATED]
        elif not ways:
            reason = "it is no chain of layers whose arithmetic is known"
        for execution in ways:
            try:
                chunk = self._together(execution, start, total)
            except Exception as error:
                failure = failure or error
                reason = reason or f"{type(error).__name__}: {_first_line(error)}"
                continue
            place = self._masks.telling(start, start + len(tensors(chunk)[0]))
            told = map_tensors(lambda tensor, place=place: tensor[place : place + 1], chunk)
            if self._few_agree(told, start + place):
                self._known.execution = execution
                return chunk
            self._few_differ = self.shared and self._known.rows == FEW < self._rows
            if self._agree(told, run_loop(self._run, start + place, start + place + 1)):
                self._known.execution = execution
                return chunk
            reason = reason or f"{execution} gave another output"
        one = run_loop(self._run, start, start + 1)  # a fault of the model itself surfaces here
        if self._settings.plan.on_error == "raise":
            raise VectorisationError(
                f"The passes cannot be run together ({reason}). Plan(on_error='loop') runs them one after the other."
            ) from failure
        self._known.execution = f"loop: not vectorised ({reason})"
        return one

    def _few_agree(self, chunk: Tree, draw: int) -> bool:
        """Whether the loop gives the same for the first rows. If not, that proves nothing: they may need the others."""
        try:
            few = run_loop(self._on_few(), draw, draw + 1)
        except Exception:
            return False
        many, single = tensors(chunk), tensors(few)
        if len(many) != len(single) or any(a.ndim != b.ndim for a, b in zip(many, single, strict=True)):
            return False
        return self._agree(map_tensors(_cut, chunk, few), few)

    def _agree(self, chunk: Tree, one: Tree) -> bool:
        model, *inputs = self._inputs
        computed_in = finest(list(model.parameters()), inputs)  # what `output` reads may be float64 of less
        many, single = tensors(chunk), tensors(one)
        return len(many) == len(single) and all(
            a.dtype == b.dtype and a.shape[1:] == b.shape[1:] and close(a[:1], b, computed_in=computed_in)
            for a, b in zip(many, single, strict=True)
        )

    def _on_few(self) -> StochasticPass:
        """The passes on the first rows only, where there are more."""
        model, args, kwargs = self._inputs
        if self._rows <= FEW or self._settings.batch_dim is None:
            return self._run
        return self._passes(model, *first_rows((args, kwargs), self._settings.batch_dim, FEW))

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


def _are_apart(draws: Tensor, first: Tensor) -> bool:
    """Whether some differ from the first by more than rounding; of NaN and infinity that cannot be said."""
    if not first.is_floating_point() or not first.numel():
        return not torch.equal(draws, first.expand_as(draws))
    rounding = 64 * torch.finfo(first.dtype).eps * first.abs().amax()
    return bool((draws - first).abs().amax() > rounding)


def _multiply_adds(run: Callable[[], object]) -> int:
    """Multiplications with additions of what PyTorch's counter knows."""
    from torch.utils.flop_counter import FlopCounterMode  # loads what few need

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def _cut(many: Tensor, few: Tensor) -> Tensor:
    """The first of many draws, and of each axis as much as the few rows have."""
    return many[tuple(slice(size) for size in few.shape)]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]


def note_inputs(error: NonFiniteError, inputs: Tree) -> None:
    """Adds to the error whether the input itself held NaN or infinity."""
    wrong = sum(int((~torch.isfinite(t)).sum()) for t in tensors(inputs) if t.is_floating_point())
    error.add_note(f"The input holds {wrong} values that are NaN or infinite." if wrong else "The input is finite.")
