"""Tables and the picture of the experiment `what_is_added`, from its stored numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from examples.experiments.estimates import BOUND, mean_and_error
from examples.experiments.experiment import Numbers
from examples.experiments.fewer_passes import PASSES
from examples.experiments.page import table
from examples.experiments.published import Paired, paired
from examples.experiments.uci_runs import PUBLISHED
from mcdrop.plots.palette import SERIES

MANY = 1000
"""Draws behind each score."""
ALPHA = 0.1

PLAIN, DESIGNED = f"{MANY} independent draws", f"{MANY} stratified draws"
PRECISION, SEVERAL = "tau fitted", "noise of several precisions"
SCALED = "variance scaled instead"
WORTH = "passes"
STEPS = (PLAIN, DESIGNED, PRECISION, SEVERAL)
"""What is added, each to what stands before it."""
SHOWN = (*STEPS, SCALED)


def names(numbers: Numbers) -> list[str]:
    """The sets, in order."""
    return list(dict.fromkeys(part.split(",")[0] for part in numbers))


def parts_of(numbers: Numbers, name: str) -> list[Mapping[str, Any]]:
    """The parts of a set, one for each seed."""
    return [found for part, found in numbers.items() if part.startswith(f"{name}, seed")]


def by_split(numbers: Numbers, name: str, step: str) -> np.ndarray:
    """RMSE and log-likelihood of a step in each split, averaged over the seeds, (splits, 2)."""
    return np.mean([found["scores"][step] for found in parts_of(numbers, name)], axis=0)


def against_published(numbers: Numbers, name: str, step: str) -> tuple[Paired, Paired]:
    """RMSE and log-likelihood of a step less the published ones, split by split."""
    return paired(by_split(numbers, name, step), np.array(parts_of(numbers, name)[0]["published"]))


def against_plain(numbers: Numbers, name: str, step: str) -> Paired:
    """Log-likelihood of a step less that of the same networks as they are, split by split."""
    return paired(by_split(numbers, name, step), by_split(numbers, name, PLAIN))[1]


def tables(numbers: Numbers) -> dict[str, str]:
    """Scores by step, how many sets are better, tau, what passes are worth, and what intervals hold."""
    return {
        "scores": _scores_table(numbers),
        "count": _count_table(numbers),
        "tau": _tau_table(numbers),
        "passes": _passes_table(numbers),
        "intervals": _intervals_table(numbers),
    }


def _scores_table(numbers: Numbers) -> str:
    body = []
    for name in names(numbers):
        rmse, log_likelihood = np.mean(parts_of(numbers, name)[0]["published"], axis=0)
        body.append([name, "published", f"{rmse:.3f}", "", f"{log_likelihood:.3f}", *[""] * 4])
        for step in SHOWN:
            rmse, log_likelihood = by_split(numbers, name, step).mean(axis=0)
            of_rmse, of_ll = against_published(numbers, name, step)
            gained = ["", ""] if step == PLAIN else _difference(against_plain(numbers, name, step))
            shown = [f"{rmse:.3f}", _difference(of_rmse)[0], f"{log_likelihood:.3f}", *_difference(of_ll), *gained]
            body.append([name, step, *shown])
    head = ["less published", "log-likelihood", "less published", "in errors", "less the first step", "in errors"]
    return table(["set", "step", "RMSE", *head], body)


def _difference(found: Paired) -> list[str]:
    return [f"{found.difference:+.3f} ± {found.error:.3f}", f"{found.z:+.1f}"]


def _count_table(numbers: Numbers) -> str:
    body = []
    for step in SHOWN:
        z = np.array([against_published(numbers, name, step)[1].z for name in names(numbers)])
        gained = np.array([against_plain(numbers, name, step).z for name in names(numbers)])
        counts = ((z > BOUND).sum(), (z > 0).sum(), (z < -BOUND).sum(), (gained > BOUND).sum(), (gained < -BOUND).sum())
        body.append([step, *(f"{count} of {len(z)}" for count in counts)])
    beyond = f"by more than {BOUND} errors"
    head = ["log-likelihood of", f"better than published {beyond}", "at all", f"worse {beyond}"]
    return table([*head, f"better than the first step {beyond}", f"worse {beyond}"], body)


def _tau_table(numbers: Numbers) -> str:
    body = []
    for name in names(numbers):
        fitted = np.array([found["tau"] for found in parts_of(numbers, name)])
        body.append([name, f"{PUBLISHED[name].tau:.3g}", *(f"{tau:.3g}" for tau in np.quantile(fitted, (0.5, 0, 1)))])
    return table(["set", "published tau", "fitted, median", "least", "most"], body)


def _passes_table(numbers: Numbers) -> str:
    body = []
    for name in names(numbers):
        ways = numbers[f"{name}, {WORTH}"]
        for way, found in ways.items():
            ratios = [ways["independent"][of] / found[of] for of in ("of mean", "of LL")]
            worth = [f"{float(f'{PASSES * ratio:.2g}'):,.0f}" for ratio in ratios]
            body.append(
                [
                    name, way, f"{found['of mean'] ** 0.5:.2g}", worth[0], f"{found['of LL'] ** 0.5:.2g}",
                    worth[1], f"{found['RMSE']:.3f}", f"{found['LL']:.3f}",
                ]
            )  # fmt: skip
    head = [
        "set", f"{PASSES} passes", "error of the mean", "worth independent passes", "error of the log-likelihood",
        "worth independent passes", "RMSE", "log-likelihood",
    ]  # fmt: skip
    return table(head, body)


def _intervals_table(numbers: Numbers) -> str:
    body = []
    for name in names(numbers):
        seeds = parts_of(numbers, name)
        for method in seeds[0]["intervals"]:
            coverage, width = np.mean([found["intervals"][method] for found in seeds], axis=0).T
            held, error = mean_and_error(100 * coverage)
            body.append([name, method, f"{held:.1f} ± {error:.1f}", f"{width.mean():.3g}"])
    return table(["set", f"{1 - ALPHA:.0%} intervals", "hold, %", "mean width"], body)


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """Log-likelihoods less the published ones, by set and step."""
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    ax = figure.subplots()
    for place, (step, style) in enumerate(zip(STEPS, SERIES, strict=True)):
        found = [against_published(numbers, name, step)[1] for name in names(numbers)]
        ax.errorbar(
            np.arange(len(found)) + 0.16 * (place - 1.5), [one.difference for one in found],
            [one.error for one in found], linestyle="none", marker=style.marker, color=style.colour, capsize=3,
            label=step,
        )  # fmt: skip
    ax.axhline(0, color="0.4", linewidth=1)
    ax.set_xticks(range(len(names(numbers))), names(numbers))
    ax.set(ylabel="log-likelihood less the published, nats", title="The same networks, with one addition after another")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), title="paired differences ± 1 error")
    shows = "Log-likelihood less the published one in each set, as draws are designed and the noise is fitted again"
    return {"gains": (shows, figure)}
