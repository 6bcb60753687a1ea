"""The measured as tables in Markdown."""

import statistics
from collections.abc import Callable, Sequence

from examples.experiments.page import table
from tests.benchmarks.machine import Prices
from tests.benchmarks.memory import FLOOR, Growth
from tests.benchmarks.precision import AT, NAIVE, Precision
from tests.benchmarks.scaling import Cost
from tests.benchmarks.speed import Race


def ratio(values: Sequence[float]) -> str:
    """Median, with the least and the most."""
    return f"{statistics.median(values):.1f} ({min(values):.1f}, {max(values):.1f})"


def yes(holds: bool) -> str:
    return "yes" if holds else "**no**"


def floors(races: Sequence[Race], prices: Prices) -> str:
    """mcdrop against the fastest right answer of the others."""
    head = [
        "work", "T", "at least", "times as fast (least, most)", "holds", "as", "mcdrop, ms", "how it ran",
        "less arithmetic", "of the limit",
    ]  # fmt: skip
    body = [
        [
            race.work, str(race.num_samples), f"{race.floor:g}x", ratio(race.ratios), yes(race.holds), race.rival.who,
            _milliseconds(race.ours.median), race.execution, *_arithmetic(race, prices),
        ]
        for race in races
    ]  # fmt: skip
    return table(head, body)


def _arithmetic(race: Race, prices: Prices) -> tuple[str, str]:
    """How many times as much a loop does, and what share of mcdrop's time the rest would take at best."""
    if race.multiply_adds is None:
        return "not counted", ""
    return f"{race.saved:.1f}x", f"{race.multiply_adds * prices.multiply_add / race.ours.median:.0%}"


def everybody(races: Sequence[Race]) -> str:
    """What every way takes and reports."""
    head = ["work", "who", "ms (least, most)", "spread", "answer"]
    body = [
        [
            race.work, timing.who,
            _rounds(timing.seconds) if timing.seconds else "",
            f"{timing.spread:.4f}" if timing.seconds else "",
            timing.verdict,
        ]
        for race in races
        for timing in (*race.others, race.ours, *race.beside)
    ]  # fmt: skip
    return table(head, body)


def precisions(found: Sequence[Precision]) -> str:
    """Time x squared error of the naive loop over that of mcdrop's best design."""
    head = [
        "mean of", "rows", "at least", "times as good (least, most)", "holds", "fewer passes needed", "times as fast",
        "best design", f"naive loop, T = {AT}, ms", "mcdrop, ms",
    ]  # fmt: skip
    body = [
        [
            each.problem, str(each.rows), f"{each.floor:g}x", ratio(each.gains), yes(each.holds), f"{each.fewer:.1f}x",
            f"{statistics.median(each.faster):.1f}x", f"`{each.best}`",
            *(_milliseconds(statistics.median(each.at(who).seconds)) for who in (NAIVE, each.best)),
        ]
        for each in found
    ]  # fmt: skip
    return table(head, body)


def growths(found: Sequence[Growth]) -> str:
    """Peaks of processes with few and with many passes."""
    head = [
        "who", "work", "peak at T = 10, MiB", "at T = 1000", "times (at most 1.1 for mcdrop)", "holds",
        "above what stood before, MiB", "at T = 1000", "times",
    ]  # fmt: skip
    return table(
        head,
        [
            [
                each.who, each.work, _mib(each.few.peak), _mib(each.many.peak), f"{each.ratio:.2f}",
                yes(each.ratio <= FLOOR) if each.who == "mcdrop" else "",
                _mib(each.few.peak - each.few.before), _mib(each.many.peak - each.many.before),
                f"{each.ratio_above:.2f}",
            ]
            for each in found
        ],
    )  # fmt: skip


def costs(by_sweep: dict[str, list[Cost]]) -> str:
    """Milliseconds along each axis."""
    head = ["along", "naive loop, ms", "mcdrop, ms", "times as fast", "arithmetic left, ms", "bytes, ms", "how it ran"]
    name: Callable[[str, Cost], str] = lambda sweep, cost: f"{sweep} = {getattr(cost.size, sweep)}"  # noqa: E731
    body = [
        [
            name(sweep, cost), *(_milliseconds(value) for value in (cost.naive, cost.ours)),
            f"{cost.naive / cost.ours:.1f}", *(_milliseconds(value) for value in (cost.arithmetic, cost.traffic)),
            cost.execution,
        ]
        for sweep, costs in by_sweep.items()
        for cost in costs
    ]  # fmt: skip
    return table(head, body)


def _rounds(seconds: Sequence[float]) -> str:
    median, least, most = (_milliseconds(take(seconds)) for take in (statistics.median, min, max))
    return f"{median} ({least}, {most})"


def _milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f}"
