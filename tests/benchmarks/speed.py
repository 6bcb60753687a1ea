"""Ways of sampling in turn in one process: seconds by rounds, the spread that each reports, and who is right."""

import math
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tests.benchmarks.speed_contenders import BESIDE, OTHERS, OURS, Contender, Draw, engine
from tests.benchmarks.speed_work import Work

AT_LEAST = 0.05
"""Seconds that a way is timed for in each round: what is quicker is called several times."""
TOLERANCE = 0.2
"""By how much a right spread may differ from that of the naive loop. Of one row, 100 draws make it uncertain by .04."""


@dataclass(frozen=True)
class Timing:
    """What a way did.

    Args:
        who: Its name.
        seconds: Of one call, by rounds; empty where it gave no answer.
        spread: The standard deviation of the draws, averaged over rows and outputs.
        verdict: "right", "wrong", or "refuses".
    """

    who: str
    seconds: list[float]
    spread: float
    verdict: str

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Race:
    """All ways on one line of work.

    Args:
        work: Its name.
        num_samples: T.
        floor: The ratio that mcdrop must reach.
        ours: mcdrop.
        others: What it is compared with, the naive loop first.
        beside: Timed too.
        execution: How mcdrop ran.
        chunk: How many of its passes ran at once.
        multiply_adds: Of all its passes; None where PyTorch's counter does not know the layers that do the work.
        saved: How many times as many a loop does.
    """

    work: str
    num_samples: int
    floor: float
    ours: Timing
    others: list[Timing]
    beside: list[Timing] = field(default_factory=list)
    execution: str = ""
    chunk: int = 0
    multiply_adds: int | None = None
    saved: float | None = None

    @property
    def rival(self) -> Timing:
        """The fastest of the others that gives the right answer."""
        return min((timing for timing in self.others if timing.verdict == "right"), key=lambda timing: timing.median)

    @property
    def ratios(self) -> list[float]:
        """By rounds, how many times as long as mcdrop the rival takes."""
        return [theirs / ours for theirs, ours in zip(self.rival.seconds, self.ours.seconds, strict=True)]

    @property
    def holds(self) -> bool:
        return statistics.median(self.ratios) >= self.floor

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        timings = {name: [vars(timing) for timing in getattr(self, name)] for name in ("others", "beside")}
        return vars(self) | timings | {"ours": vars(self.ours), "rival": self.rival.who, "ratios": self.ratios}


def race(work: Work, rounds: int, *, others: Sequence[Contender] = OTHERS) -> Race:
    """Each way called once to warm up, then in turn in each round, in an order that moves on by one."""
    opened = {way.name: opened_or_refused(way, work) for way in (OURS, *others, *BESIDE) if way.is_installed}
    draws = {who: draw for who, draw in opened.items() if draw is not None}
    spreads = {who: spread(draw()) for who, draw in draws.items()}
    calls = {who: calls_for(draw) for who, draw in draws.items()}
    taken: dict[str, list[float]] = {who: [] for who in opened}
    for turn in range(rounds):
        order = list(draws)
        for who in order[turn % len(order) :] + order[: turn % len(order)]:
            taken[who].append(seconds(draws[who], calls[who]))
    reference = spreads[OTHERS[0].name]
    timings = {
        who: Timing(who, taken[who], spreads[who], judged(spreads[who], reference))
        if who in draws
        else Timing(who, [], 0.0, "refuses")
        for who in opened
    }
    return _written(work, timings)


def _written(work: Work, timings: dict[str, Timing]) -> Race:
    model, x = work.model(), work.x()
    mc = engine(model, work.num_samples)
    forecast, execution = mc.plan(x), mc(x).provenance.execution
    is_counted = not any(isinstance(module, nn.RNNBase) for module in model.modules())
    beside = [timings.pop(contender.name) for contender in BESIDE]
    ours = timings.pop(OURS.name)
    return Race(
        work.name, work.num_samples, work.floor, ours, list(timings.values()), beside, execution, forecast.chunk,
        forecast.multiply_adds if is_counted else None, forecast.saved if is_counted else None,
    )  # fmt: skip


def opened_or_refused(contender: Contender, work: Work) -> Draw | None:
    """What draws; None where the way says, by an error or a warning, that it finds no dropout."""
    draw = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            draw = contender.make(work.model(), work.x(), work.num_samples)
        except Exception as error:
            if not contender.refuses(str(error)):
                raise
    return None if any(contender.refuses(str(warning.message)) for warning in caught) else draw


def seconds(draw: Draw, calls: int) -> float:
    """Of one call, on average."""
    start = time.perf_counter()
    for _ in range(calls):
        draw()
    return (time.perf_counter() - start) / calls


def calls_for(draw: Draw) -> int:
    """How many calls a round takes."""
    return math.ceil(AT_LEAST / max(1e-6, seconds(draw, 1)))


def spread(draws: Tensor) -> float:
    return draws.std(dim=0).mean().item()


def judged(spread: float, reference: float) -> str:
    return "right" if abs(spread / reference - 1) <= TOLERANCE else "wrong"
