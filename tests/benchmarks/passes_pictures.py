"""The measured as pictures."""

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mcdrop.plots.palette import GREY, SERIES, ink
from tests.benchmarks.precision import AT, NAIVE, Precision
from tests.benchmarks.scaling import SWEEPS, Cost
from tests.benchmarks.speed import Race

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
AXES = {
    "passes": "passes, T", "rows": "rows", "width": "units in each hidden layer", "depth": "hidden layers"
}  # fmt: skip


def speeds(races: Sequence[Race]) -> Figure:
    """How many times as fast as its fastest rival mcdrop is, with the floor of each line of work."""
    figure = Figure(figsize=(8.5, 0.4 * len(races) + 1.3), layout="constrained")
    ax = figure.subplots()
    for place, race in enumerate(reversed(races)):
        median = statistics.median(race.ratios)
        reach = [[median - min(race.ratios)], [max(race.ratios) - median]]
        first = place == 0
        ax.errorbar(
            median, place, xerr=reach, color=SERIES[0].colour, marker="o", linestyle="", capsize=3,
            label="measured, least and most of the rounds" if first else None,
        )  # fmt: skip
        ax.plot(
            race.floor, place, color=SERIES[1].colour, marker="|", markersize=16, markeredgewidth=2, linestyle="",
            label="floor" if first else None,
        )  # fmt: skip
    ax.set_yticks(range(len(races)), [f"{race.work}, T={race.num_samples}" for race in reversed(races)])
    ax.set(xscale="log", xlabel="times as fast as the fastest other right answer")
    ax.axvline(1, color=GREY, linewidth=0.8)
    ax.xaxis.set_major_formatter(PLAIN)
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100])
    ax.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def errors_against_time(found: Sequence[Precision]) -> Figure:
    """Root mean squared error of the mean against milliseconds, for the naive loop and every design."""
    figure = Figure(figsize=(4 * len(found), 3.8), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, precision in zip(axes, found, strict=True):
        designs = [who for who in precision.curves if who != NAIVE]
        _curve(ax, precision, NAIVE, ink(), "-", "x")
        for who, style in zip(designs, SERIES, strict=False):
            _curve(ax, precision, who, style.colour, style.line, style.marker)
        ax.set(xscale="log", yscale="log", xlabel="milliseconds")
        ax.set_title(f"{precision.problem}\n{precision.rows} rows", fontsize=9)
    axes[0].set_ylabel("root mean squared error of the mean")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _curve(ax: Axes, precision: Precision, who: str, colour: str, line: str, marker: str) -> None:
    points = precision.curves[who]
    x = [1e3 * statistics.median(point.seconds) for point in points]
    y = [point.error**0.5 for point in points]
    name = who if who == NAIVE else f"mcdrop, {who}"
    ax.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, linewidth=1.3, label=name)
    at = next(place for place, point in enumerate(points) if point.num_samples == AT)
    if who in (NAIVE, precision.best):
        ax.annotate(f"T = {AT}", (x[at], y[at]), xytext=(5, 5), textcoords="offset points", color=colour, fontsize=8)


def costs(by_sweep: dict[str, list[Cost]]) -> Figure:
    """Milliseconds against each axis, and what arithmetic and memory would take at best."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    lines = (
        ("naive loop", "naive", ink(), "-", "x"),
        ("mcdrop", "ours", SERIES[0].colour, SERIES[0].line, SERIES[0].marker),
        ("limit: the arithmetic left to mcdrop", "arithmetic", SERIES[1].colour, SERIES[1].line, ""),
        ("limit: the bytes moved", "traffic", SERIES[2].colour, SERIES[2].line, ""),
    )
    axes = figure.subplots(2, 2, sharey=True).ravel()
    for ax, (sweep, costs) in zip(axes, by_sweep.items(), strict=False):
        for label, field, colour, line, marker in lines:
            values = [1e3 * getattr(cost, field) for cost in costs]
            at = [getattr(cost.size, sweep) for cost in costs]
            ax.plot(at, values, color=colour, linestyle=line, marker=marker, markersize=4, linewidth=1.3, label=label)
        ax.set(xscale="log", yscale="log", xlabel=AXES[sweep])
        ax.set_xticks(SWEEPS[sweep])
        ax.xaxis.set_major_formatter(PLAIN)
        ax.xaxis.set_minor_locator(NullLocator())
    for ax in axes[::2]:
        ax.set_ylabel("milliseconds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure
