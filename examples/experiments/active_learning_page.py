"""Tables and pictures of the experiment `active_learning`, from its stored numbers."""

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from examples.experiments.estimates import mean_and_error
from examples.experiments.experiment import Numbers
from examples.experiments.page import table
from mcdrop.plots.images import gallery
from mcdrop.plots.palette import BLUE, GREEN, PURPLE, VERMILION

TARGETS = (0.15, 0.10, 0.05)
COUNTS = (50, 100, 200, 300)
RANDOM = "random"

# Mean accuracies of three runs each, Results/Queries=10/Dropout_<function>.npy and ..._2.npy in MC_Dropout_Keras of
# https://github.com/Riashat/Deep-Bayesian-Active-Learning at e4e970c, whose plot has them at 20, 30, ..., 1000 labels:
# the first label counts with an error of at most TARGETS, and the errors at COUNTS in percent, of both.
PUBLISHED_LABELS = {
    "BALD": ((200, 160), (320, 300), (500, 560)),
    "variation ratios": ((150, 150), (170, 190), (300, 320)),
    "max entropy": ((160, 170), (200, 210), (370, 350)),
}
PUBLISHED_ERRORS = {
    "BALD": ((35.7, 35.9), (30.1, 32.2), (14.8, 14.6), (11.0, 8.9)),
    "variation ratios": ((37.4, 42.0), (23.7, 24.2), (8.3, 8.2), (4.9, 5.4)),
    "max entropy": ((44.6, 44.5), (28.4, 28.3), (8.8, 11.8), (6.8, 6.4)),
}
_STYLES = {
    "BALD": (BLUE, "-"),
    "variation ratios": (GREEN, "-"),
    "max entropy": (PURPLE, "-"),
    RANDOM: (VERMILION, ":"),
}


def tables(numbers: Numbers) -> dict[str, str]:
    """Labels to an error; errors at a number of labels; both less those of random acquisition."""
    return {
        "labels": _table_of_labels(numbers),
        "errors": _table_of_errors(numbers),
        "differences": _table_of_differences(numbers),
    }


def functions(numbers: Numbers) -> list[str]:
    """The acquisition functions that were measured, in order."""
    return list(dict.fromkeys(part.rsplit(", seed ", 1)[0] for part in numbers))


def runs(numbers: Numbers, function: str) -> list[Mapping[str, Any]]:
    """What a function's parts measured, one for each seed."""
    return [part for name, part in numbers.items() if name.rsplit(", seed ", 1)[0] == function]


def curves(numbers: Numbers, function: str) -> np.ndarray:
    """Test errors, (seeds, steps)."""
    return np.array([part["error"] for part in runs(numbers, function)])


def label_counts(numbers: Numbers) -> list[int]:
    """At which the errors were measured: the same in all parts."""
    return next(iter(numbers.values()))["labels"]


def labels_to(counts: Sequence[int], errors: Sequence[float], target: float) -> float:
    """The first number of labels at which the error is at most the target; infinite where it never is.

    Example:
        >>> labels_to([20, 30, 40, 50], [0.5, 0.09, 0.11, 0.08], 0.1)
        30
    """
    return next((count for count, error in zip(counts, errors, strict=True) if error <= target), math.inf)


def difference_in_the_end(numbers: Numbers, function: str) -> tuple[float, float]:
    """Error at the last step - that of random acquisition, mean over seeds, and its standard error.

    The variances of choosing the seeds and of choosing the test rows are added, each of paired differences: over
    seeds, of the errors; over rows, of how often a row is misread, averaged over seeds first since all seeds have the
    same rows. What seeds and rows do together is counted twice, so the error is a little too large.
    """
    misread = [_misread(numbers, name) for name in (function, RANDOM)]
    difference = misread[0] - misread[1]
    mean, of_rows = mean_and_error(difference.mean(axis=0))
    _, of_seeds = mean_and_error(difference.mean(axis=1))
    return mean, math.hypot(of_rows, of_seeds)


def difference_on_the_way(numbers: Numbers, function: str) -> tuple[float, float]:
    """The same of the error averaged over all steps, with the standard error over seeds."""
    return mean_and_error((curves(numbers, function) - curves(numbers, RANDOM)).mean(axis=1))


def difference_in_labels(numbers: Numbers, function: str, target: float) -> tuple[float, float]:
    """Labels to the target - those of random acquisition, with the standard error over seeds.

    NaN where one of the two did not get there with some seed.
    """
    pair = [_labels(numbers, name, target) for name in (function, RANDOM)]
    return mean_and_error(pair[0] - pair[1]) if np.isfinite(pair).all() else (math.nan, math.nan)


def first_images(part: Mapping[str, Any]) -> np.ndarray:
    """Those that a part had labelled first, (10, 28, 28), 0 for background and 255 for ink."""
    return np.frombuffer(zlib.decompress(base64.b64decode(part["first"])), np.uint8).reshape(-1, 28, 28)


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """Errors against labels; the ten images that each function had labelled first."""
    return {
        "curves": ("Test error against the number of labels, by acquisition function", _picture_of_curves(numbers)),
        "first": ("The first ten images that each acquisition function had labelled", _picture_of_first(numbers)),
    }


def _misread(numbers: Numbers, function: str) -> np.ndarray:
    """Which test rows the last networks misread, (seeds, rows) of 0 and 1."""
    parts = runs(numbers, function)
    found = np.zeros((len(parts), parts[0]["test"]))
    for row, part in zip(found, parts, strict=True):
        row[[int(number) for number in part["misread"].split()]] = 1
    return found


def _labels(numbers: Numbers, function: str, target: float) -> np.ndarray:
    """Labels to the target, (seeds,)."""
    return np.array([labels_to(part["labels"], part["error"], target) for part in runs(numbers, function)])


def _table_of_labels(numbers: Numbers) -> str:
    head = ["acquisition"]
    for target in TARGETS:
        head += [f"to {target:.0%}".replace("%", " %"), "theirs"]
    body = []
    for function in functions(numbers):
        row = [function]
        for target, theirs in zip(TARGETS, PUBLISHED_LABELS.get(function, [()] * len(TARGETS)), strict=True):
            ours = _reached(_labels(numbers, function, target), label_counts(numbers)[-1])
            row += [ours, ", ".join(map(str, theirs))]
        body.append(row)
    return table(head, body)


def _table_of_errors(numbers: Numbers) -> str:
    counts = [count for count in COUNTS if count in label_counts(numbers)]
    head = ["acquisition"]
    for count in counts:
        head += [f"{count} labels", "theirs"]
    body = []
    for function in functions(numbers):
        row = [function]
        for count in counts:
            ours = curves(numbers, function)[:, label_counts(numbers).index(count)]
            theirs = PUBLISHED_ERRORS[function][COUNTS.index(count)] if function in PUBLISHED_ERRORS else ()
            row += [_plus_minus(100 * ours), ", ".join(f"{error:.1f}" for error in theirs)]
        body.append(row)
    return table(head, body)


def _table_of_differences(numbers: Numbers) -> str:
    head = ["acquisition less random", "labels to 10 %", f"error at {label_counts(numbers)[-1]} labels", "error, mean"]
    body = []
    for function in functions(numbers):
        if function != RANDOM:
            labels = difference_in_labels(numbers, function, 0.1)
            points = [
                (100 * mean, 100 * error)
                for mean, error in (difference_in_the_end(numbers, function), difference_on_the_way(numbers, function))
            ]
            body.append([function, _signed(*labels, digits=0), *(_signed(*pair, digits=2) for pair in points)])
    return table(head, body)


def _plus_minus(values: np.ndarray) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:.1f}" if math.isnan(error) else f"{mean:.1f} ± {error:.1f}"


def _signed(mean: float, error: float, *, digits: int) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:+.{digits}f}" if math.isnan(error) else f"{mean:+.{digits}f} ± {error:.{digits}f}"


def _reached(labels: np.ndarray, most: int) -> str:
    """The mean over seeds; where some did not get there, how many did."""
    if np.isfinite(labels).all():
        mean, error = mean_and_error(labels)
        return f"{mean:.0f}" if math.isnan(error) else f"{mean:.0f} ± {error:.0f}"
    reached = int(np.isfinite(labels).sum())
    return f"> {most}" if reached == 0 else f"{reached} of {len(labels)} by {most}"


def _picture_of_curves(numbers: Numbers) -> Figure:
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = figure.subplots()
    counts = label_counts(numbers)
    for function in functions(numbers):
        colour, line = _STYLES[function]
        errors = 100 * curves(numbers, function)
        ax.fill_between(counts, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        ax.plot(counts, errors.mean(axis=0), line, color=colour, label=function)
    ax.set_yscale("log")
    ticks = [5, 10, 15, 20, 30, 50]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.grid(axis="y", alpha=0.3)
    ax.set(
        xlabel="labelled images",
        ylabel="test error (%)",
        title="Means over seeds; bands from the least to the greatest",
    )
    ax.legend()
    return figure


def _picture_of_first(numbers: Numbers) -> Figure:
    """Of the first seed: a row of images for each function, with what they are."""
    names, start = functions(numbers), label_counts(numbers)[0]
    figure = Figure(figsize=(9, 1.15 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 10, squeeze=False)
    for row, function in zip(axes, names, strict=True):
        part = runs(numbers, function)[0]
        shown = first_images(part)
        gallery(255 - shown, row, captions=list(part["digits"][start : start + len(shown)]), value_range=(0, 255))
        row[0].set_ylabel(function, rotation=0, ha="right", va="center")
    return figure
