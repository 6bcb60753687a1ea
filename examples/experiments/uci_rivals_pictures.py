"""Pictures of the experiment `uci_rivals`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcdrop.plots.palette import GREY, SERIES, Style

Compared = Mapping[str, tuple[float, float, float, float]]
"""By set: our mean and its standard error, the printed mean and its standard error."""


def scores_picture(compared: Mapping[tuple[str, str], Compared]) -> Figure:
    """A row for each set and kind of network: RMSE as a ratio to the printed; NLL as a difference from it."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    ratios = {
        f"{name}, {kind}": (ours / printed, error / printed, printed_error / printed)
        for (kind, score), sets in compared.items()
        for name, (ours, error, printed, printed_error) in sets.items()
        if score == "RMSE"
    }
    differences = {
        name: (ours - printed, error, printed_error)
        for name, (ours, error, printed, printed_error) in compared["ensembles", "NLL"].items()
    }
    _forest(left, ratios, 1.0, "RMSE, ours / printed")
    _forest(right, differences, 0.0, "NLL of ensembles, less printed")
    return figure


def rates_picture(by_set: Mapping[str, np.ndarray], by_rows: Mapping[int, np.ndarray], layers: Sequence[str]) -> Figure:
    """Medians and middle 80 % of the networks' learned rates, by set and by the number of training rows."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for layer, (title, style) in enumerate(zip(layers, SERIES, strict=False)):
        shift = 0.15 * (layer - 1)
        _rates(left, np.arange(len(by_set)) + shift, [rates[:, layer] for rates in by_set.values()], style, title, "")
        _rates(right, list(by_rows), [rates[:, layer] for rates in by_rows.values()], style, title, style.line)
    left.set(
        yscale="log", ylabel="learned p", xticks=range(len(by_set)), xticklabels=by_set, xlim=(-0.5, len(by_set) - 0.5)
    )
    right.set(xscale="log", xlabel="training rows, kin8nm")
    right.legend(title="before the layer that takes", fontsize="small")
    return figure


def _forest(ax: Axes, values: Mapping[str, tuple[float, float, float]], equal: float, title: str) -> None:
    """Each value with two standard errors; the grey bar is two of the printed, around equality."""
    for place, (value, error, printed_error) in enumerate(values.values()):
        ax.plot([equal - 2 * printed_error, equal + 2 * printed_error], [place, place], color=GREY, alpha=0.4, lw=9)
        ax.errorbar(value, place, xerr=2 * error, color=SERIES[0].colour, fmt="o", capsize=3)
    ax.axvline(equal, color=GREY, lw=0.8)
    ax.set(yticks=range(len(values)), yticklabels=values, xlabel=title)
    ax.invert_yaxis()


def _rates(ax: Axes, x: Sequence[float], rates: Sequence[np.ndarray], style: Style, label: str, line: str) -> None:
    low, middle, high = np.quantile(np.array(rates), [0.1, 0.5, 0.9], axis=1)
    ax.errorbar(
        x,
        middle,
        yerr=[middle - low, high - middle],
        label=label,
        color=style.colour,
        marker=style.marker,
        ls=line or "none",
        capsize=2,
    )
