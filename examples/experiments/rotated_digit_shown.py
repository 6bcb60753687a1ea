"""Tables and pictures of the digit that turns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import mcdrop
from examples.experiments.estimates import with_error
from examples.experiments.experiment import Numbers
from examples.experiments.lines import from_line
from examples.experiments.page import table
from mcdrop.data import digits
from mcdrop.plots.legends import legend_above
from mcdrop.plots.palette import SERIES, Style
from mcdrop.prediction import from_draws

SHOWN = (
    "entropy, dropout off",
    "entropy",
    "mutual information",
    "wrong, dropout off",
    "wrong",
    "confident and wrong, dropout off",
    "confident and wrong",
)
CLASSES = len(SERIES)
"""How many compete in the picture: those with the largest mean probability at any angle."""


def tables(numbers: Numbers) -> dict[str, str]:
    angles = [of["angle"] for of in numbers["seed 0"]["angles"]]
    columns = {name: over_seeds(numbers, name) for name in SHOWN}
    body = [
        [f"{angle}°", *(with_error(values[:, place]) for values in columns.values())]
        for place, angle in enumerate(angles)
    ]
    nets = [
        [name, f"{100 * error:.2f} ± {100 * its_error:.2f}", str(net["digits"])]
        for name, net in numbers.items()
        for error, its_error in [net["error"]]
    ]
    return {
        "networks": table(["network", "misread test images, %", "ones turned"], nets),
        "angles": table(["turned by", *SHOWN], body),
    }


def over_seeds(numbers: Numbers, name: str) -> np.ndarray:
    """The mean over digits of something, (seeds, angles)."""
    return np.array([[of_angle[name][0] for of_angle in net["angles"]] for net in numbers.values()])


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    return {
        "scatter": (
            "A one turned in twelve steps; below it what a hundred draws put into the softmax and get out of it, and "
            "what that comes to in entropy and mutual information",
            _scatter(numbers["seed 0"]),
        ),
        "population": (
            "All ones of the test part: entropy and mutual information, and the share that is confident and wrong, "
            "against the angle",
            _angles(numbers),
        ),
    }


def _scatter(net: Mapping[str, Any]) -> Figure:
    angles = [of["angle"] for of in net["angles"]]
    logits = np.stack([from_line(line).reshape(-1, 10) for line in net["softmax inputs"]], axis=1)
    forest = from_draws(torch.from_numpy(logits), mcdrop.Categorical())
    chosen = sorted(forest.probs.amax(0).argsort(descending=True)[:CLASSES].tolist())
    figure = Figure(figsize=(9, 9.5), layout="constrained")
    strip, inputs, outputs, doubt = figure.subplots(4, 1, sharex=True, height_ratios=[0.55, 2, 2, 1.4])
    _draw_strip(from_line(net["image"]), angles, strip)
    for number, (label, style) in enumerate(zip(chosen, SERIES, strict=True)):
        _draw_draws(angles, logits[:, :, label], number, style, inputs, label=f"class {label}")
        probs = torch.from_numpy(logits).softmax(-1).numpy()
        _draw_draws(angles, probs[:, :, label], number, style, outputs)
    inputs.set_ylabel("softmax input")
    outputs.set_ylabel("softmax output")
    legend_above(inputs, columns=CLASSES)
    names = {"entropy": forest.predictive_entropy, "mutual information": forest.mutual_information}
    for (name, values), style in zip(names.items(), SERIES, strict=False):
        doubt.plot(angles, values.numpy(), color=style.colour, linestyle=style.line, marker=style.marker, label=name)
    doubt.set(xlabel="turned by", ylabel="nats", ylim=(0, None), xticks=angles, xticklabels=[f"{a}°" for a in angles])
    doubt.legend(frameon=False)
    return figure


def _draw_strip(image: np.ndarray, angles: Sequence[int], ax: Axes) -> None:
    side = math.isqrt(len(image))
    half = (angles[1] - angles[0]) / 2
    for angle in angles:
        turned = digits.rotate(torch.from_numpy(image).reshape(1, side, side), angle)[0].numpy()
        ax.imshow(turned, cmap="gray_r", extent=(angle - half, angle + half, 0, 1), aspect="auto", vmin=0, vmax=255)
    ax.set(xlim=(angles[0] - half, angles[-1] + half), yticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(bottom=False)


def _draw_draws(
    angles: Sequence[int], draws: np.ndarray, number: int, style: Style, ax: Axes, *, label: str | None = None
) -> None:
    """A short line for each draw, classes beside each other."""
    width = (angles[1] - angles[0]) / (CLASSES + 1)
    left = np.array(angles) + (number - CLASSES / 2) * width
    for place, at in enumerate(left):
        named = label if place == 0 else None
        ax.hlines(draws[:, place], at, at + 0.9 * width, color=style.colour, alpha=0.25, linewidth=0.9)
        ax.plot([at, at + 0.9 * width], 2 * [draws[:, place].mean()], color=style.colour, linewidth=2, label=named)


def _angles(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(12.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    angles = [of["angle"] for of in numbers["seed 0"]["angles"]]
    asked, information, off = SERIES[:3]
    panels = (
        (left, {"entropy": asked, "entropy, dropout off": off, "mutual information": information}, "nats"),
        (right, {"confident and wrong": asked, "confident and wrong, dropout off": off}, "share of the digits"),
    )
    for ax, names, unit in panels:
        for name, style in names.items():
            values = over_seeds(numbers, name)
            ax.plot(angles, values.T, color=style.colour, linestyle=style.line, linewidth=0.8, alpha=0.5)
            ax.plot(
                angles, values.mean(0), color=style.colour, linestyle=style.line, marker=style.marker, markersize=4,
                label=name,
            )  # fmt: skip
        ax.set(xlabel="turned by", ylabel=unit, ylim=(0, None))
        ax.set_xticks(angles[::2], [f"{angle}°" for angle in angles[::2]])
        legend_above(ax, columns=len(names))
    return figure
