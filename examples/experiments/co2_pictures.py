"""Figure 2 of Gal & Ghahramani 2016 with our numbers, and how spreads grow with the distance from the data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.experiments.experiment import Numbers
from examples.experiments.lines import from_line
from mcdrop.plots import regression
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import BLUE, GREY, SERIES, VERMILION, ink

STDS = (2.0, 1.5, 1.0, 0.5)
"""Half widths of the bands, in standard deviations, as in the paper."""


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    return {
        "bands": (
            "Six panels over time: dropout off, a Gaussian process, MC dropout with ReLU and with tanh, "
            "bands of two standard deviations, and functions drawn with ReLU and with tanh",
            _bands(numbers),
        ),
        "growth": ("Standard deviation against the distance from the last training time", _growth(numbers)),
    }


def _bands(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(11.5, 8), layout="constrained")
    axes = figure.subplots(3, 2, sharex=True, sharey=True)
    process, relu, tanh = (numbers[name] for name in ("Gaussian process", "ReLU", "tanh"))
    panels = (
        ("a  Dropout off, ReLU", relu["dropout off"], None),
        ("b  Gaussian process", process["mean"], process["std"]),
        ("c  MC dropout, ReLU", relu["mean"], relu["std"]),
        ("d  MC dropout, tanh", tanh["mean"], tanh["std"]),
    )
    x = from_line(process["x"])
    for ax, (title, mean, std) in zip(axes.flat, panels, strict=False):
        _band(x, mean, std, ax)
        ax.set_title(title, loc="left")
    for ax, (title, net) in zip(axes[2], (("e  Functions, ReLU", relu), ("f  Functions, tanh", tanh)), strict=True):
        draws = np.array([from_line(line) for line in net["functions"]])
        regression.functions(x, draws, ax, how_many=len(draws)).get_legend().remove()
        ax.set(xlabel="", ylabel="")
        ax.set_title(f"{title}: {len(draws)} of the draws", loc="left")
    for ax in axes.flat:
        _mark(x, from_line(process["y"]), ax)
    axes[0, 0].legend(loc="upper left", frameon=False, ncols=2, fontsize=9)
    axes[0, 0].set_ylim(-3.5, 6)
    figure.supxlabel("time, standardised")
    figure.supylabel("CO2 less its trend, standardised")
    return figure


def _band(x: np.ndarray, mean: str, std: str | None, ax: Axes) -> None:
    """The mean, and darker shades nearer to it."""
    middle = from_line(mean)
    if std is not None:
        for width in STDS:
            reach = width * from_line(std)
            ax.fill_between(x, middle - reach, middle + reach, facecolor=(BLUE, 0.2), linewidth=0)
    ax.plot(x, middle, color=BLUE, linewidth=1, label="mean")


def _mark(x: np.ndarray, y: np.ndarray, ax: Axes) -> None:
    """The data, where they end, and the point of the paper's question."""
    ax.plot(x[: len(y)], y, ".", markersize=2.5, color=ink(), label="data", zorder=3)
    ax.axvline(x[len(y) - 1], color=GREY, linestyle="--", linewidth=1, label="end of the data")
    ax.axvline(x[-1], color=VERMILION, linestyle="--", linewidth=1.5, label="x*")
    ax.set_xlim(x[0], x[-1] + 0.05)


def _growth(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    at = from_line(numbers["Gaussian process"]["distances"])
    for name, style in zip(("ReLU", "tanh"), SERIES, strict=False):
        lines = numbers[name]["std by distance"]
        for number, line in enumerate(lines):
            label = f"MC dropout, {name}: {len(lines)} networks" if number == 0 else None
            ax.plot(at, from_line(line), color=style.colour, linestyle=style.line, label=label)
    ax.plot(at, from_line(numbers["Gaussian process"]["std by distance"]), color=ink(), label="Gaussian process")
    ax.axhline(0, color=GREY, linestyle=":", label="dropout off")
    ax.axvline(2, color=GREY, linestyle="--", linewidth=1, label="x*")
    ax.set(xlabel="distance from the last training time", ylabel="standard deviation", xlim=(0, at[-1]))
    legend_above(ax, columns=3)
    return figure
