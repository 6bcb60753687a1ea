"""Pictures of the experiment `images`, from its stored numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.experiments.experiment import Numbers
from examples.experiments.images_tables import SHOWN, of_set, sets
from mcdrop.plots.palette import BLUE, GREEN, GREY, VERMILION

READINGS = {"weight scaling": VERMILION, "average": BLUE}

FEWEST = 25
"""Images in a bin of a network that is drawn."""


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """Scores against the trees averaged; reliability; how well foreign images are told; their entropies."""
    return {
        "trees": ("Error and negative log-likelihood of averages of k trees, against k", _trees(numbers)),
        "reliability": ("How much more often labels are right than the network is sure", _reliability(numbers)),
        "areas": ("AUROC of three uncertainties for images of other sets", _areas(numbers)),
        "entropies": ("Histograms of entropies of own and of foreign images", _entropies(numbers)),
    }


def _trees(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    names = sets(numbers)
    rows = figure.subplots(2, len(names), squeeze=False, sharex=True)
    for axes, (score, label, scale) in zip(rows, (("error", "error, %", 100), ("nll", "NLL, nats", 1)), strict=True):
        for ax, name in zip(axes, names, strict=True):
            _against_trees(ax, [part["averaging"] for part in of_set(numbers, name)], score, scale)
            ax.set_ylabel(label)
    for ax, name in zip(rows[0], names, strict=True):
        ax.set_title(SHOWN[name])
    for ax in rows[1]:
        ax.set_xlabel("trees averaged, k")
    rows[0][0].legend(frameon=False)
    return figure


def _against_trees(ax: Axes, found: Sequence[Any], score: str, scale: float) -> None:
    trees = found[0]["trees"]
    averaged = scale * np.array([one[score] for one in found])
    scaled = scale * np.array([one["weight scaling"][score] for one in found])
    ax.axhspan(scaled.min(), scaled.max(), color=READINGS["weight scaling"], alpha=0.15, linewidth=0)
    ax.axhline(scaled.mean(), color=READINGS["weight scaling"], linestyle="--", label="weight scaling")
    ax.fill_between(trees, averaged.min(axis=0), averaged.max(axis=0), color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(trees, averaged.mean(axis=0), "o-", color=BLUE, markersize=4, label="average of k trees")
    ax.set_xscale("log")
    ax.set_xticks(trees, [str(k) for k in trees])
    ax.minorticks_off()


def _reliability(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    names = sets(numbers)
    rows = figure.subplots(len(names), len(READINGS), squeeze=False, sharex=True, sharey=True)
    for axes, name in zip(rows, names, strict=True):
        for ax, reading in zip(axes, READINGS, strict=True):
            ax.axhline(0, color=GREY, linewidth=1)
            for state, colour, marker in (("before", GREY, "s"), ("after", READINGS[reading], "o")):
                at, gap, error = gaps([part["calibration"][reading]["bins"][state] for part in of_set(numbers, name)])
                ax.errorbar(
                    at, 100 * gap, 200 * error, color=colour, marker=marker, markersize=4, linewidth=1,
                    label=f"{state} the temperature",
                )  # fmt: skip
            ax.set_title(f"{SHOWN[name]}, {reading}")
            ax.legend(frameon=False, loc="lower left")
        axes[0].set_ylabel("right less confidence, %")
    for ax in rows[-1]:
        ax.set_xlabel("confidence")
    return figure


def gaps(bins: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of bins that all networks have filled: mean confidence, share of right labels less that, its standard error.

    The error is that of one network: they all judge the same images.
    """
    counts, confidence, right = (np.array([one[what] for one in bins]) for what in ("counts", "confidence", "right"))
    filled = counts.min(axis=0) >= FEWEST
    totals = counts.sum(axis=0)[filled]
    frequency, at = right.sum(axis=0)[filled] / totals, confidence.sum(axis=0)[filled] / totals
    return at, frequency - at, np.sqrt(frequency * (1 - frequency) / (totals / len(bins) - 1))


def _areas(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    ax = figure.subplots()
    pairs = _pairs(numbers)
    measures = (
        ("weight scaling, entropy", VERMILION, lambda one: one["weight scaling"]),
        ("average of 20, entropy", BLUE, lambda one: one["average"]["entropy"]),
        ("average of 20, mutual information", GREEN, lambda one: one["average"]["mutual information"]),
    )
    for place, (label, colour, of) in enumerate(measures):
        areas = np.array([[of(one) for one in found] for found in pairs.values()])
        at = np.arange(len(pairs)) + 0.27 * (place - 1)
        ax.bar(at, areas.mean(axis=1), 0.25, color=colour, alpha=0.5, label=label)
        ax.plot(np.repeat(at, areas.shape[1]), areas.ravel(), ".", color="black", markersize=4)
    ax.set_xticks(range(len(pairs)), [f"{SHOWN[own]} and\n{SHOWN[other]}" for own, other in pairs])
    ax.set(ylim=(0.5, 1), ylabel="AUROC, each network a dot")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def _entropies(numbers: Numbers) -> Figure:
    pairs = _pairs(numbers)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    rows = figure.subplots(len(READINGS), len(pairs), squeeze=False, sharex=True, sharey=True)
    for axes, reading in zip(rows, READINGS, strict=True):
        for ax, ((own, other), found) in zip(axes, pairs.items(), strict=True):
            shares = np.mean([one["entropies"][reading] for one in found], axis=0)
            edges = np.linspace(0, math.log(10), shares.shape[1] + 1)
            ax.stairs(shares[0], edges, fill=True, color=BLUE, alpha=0.4, label=f"own: {SHOWN[own]}")
            ax.stairs(shares[1], edges, color=VERMILION, linewidth=1.5, label=f"foreign: {SHOWN[other]}")
            ax.set(yscale="log", ylim=(1e-3, 1), xlim=(0, edges[-1]))
            if reading == "weight scaling":
                ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
        axes[0].set_ylabel(f"{reading},\nshare of images")
    for ax in rows[-1]:
        ax.set_xlabel("entropy, nats")
    return figure


def _pairs(numbers: Numbers) -> dict[tuple[str, str], list[Any]]:
    """What networks of a set made of images of another, by both."""
    return {
        (name, other): [part["foreign"][other] for part in of_set(numbers, name)]
        for name in sets(numbers)
        for other in of_set(numbers, name)[0]["foreign"]
    }
