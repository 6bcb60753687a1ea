"""Tables and pictures of the experiment `uci`, from its stored numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from examples.experiments.estimates import BOUND, mean_and_error, plus_minus
from examples.experiments.experiment import Numbers
from examples.experiments.page import table
from examples.experiments.published import Paired, paired
from mcdrop.calibration import CoverageCurve, Score
from mcdrop.plots.coverage import coverage_against_nominal
from mcdrop.plots.palette import BLUE, GREY

LEVELS = (0.5, 0.8, 0.9, 0.95)
WITHOUT_DROPOUT = "boston without dropout"

# MC dropout - weight scaling, RMSE, mean over 20 splits and its standard error: test_MC_rmse.txt - test_rmse.txt in
# <set>/net/results of https://github.com/yaringal/DropoutUncertaintyExps at a6259f1, 400 epochs.
PUBLISHED_AVERAGING = {
    "boston": (-0.0051, 0.0104),
    "energy": (-0.0145, 0.0082),
    "wine": (0.0000, 0.0006),
    "yacht": (-0.0674, 0.0147),
    "kin8nm": (0.0020, 0.0001),
}
PUBLISHED_WITHOUT_DROPOUT = {"rmse": "3.07", "ll": "-2.59"}  # section 5.3 of the paper, boston
_SCORES = {"rmse": "RMSE", "ll": "log-likelihood"}


def tables(numbers: Numbers) -> dict[str, str]:
    """Ours and the published; forest and single net; without dropout; tau fitted; coverage."""
    return {
        "published": _table_of_published(numbers),
        "averaging": _table_of_averaging(numbers),
        "ablation": _table_of_ablation(numbers),
        "precision": _table_of_precision(numbers),
        "coverage": _table_of_coverage(numbers),
    }


def by_split(numbers: Numbers, name: str, predictor: str, score: str) -> np.ndarray:
    """A score in each split, the mean over seeds."""
    seeds = [part[predictor][score] for key, part in numbers.items() if key.startswith(f"{name}, seed ")]
    return np.mean(seeds, axis=0)


def against_published(numbers: Numbers, name: str) -> dict[str, Paired]:
    """Ours - published, by score."""
    ours = np.array([by_split(numbers, name, "forest", score) for score in _SCORES]).T
    return dict(zip(_SCORES, paired(ours, np.array(numbers["published"][name]["scores"])), strict=True))


def verdict(score: str, difference: Paired) -> str:
    """Whether ours is within the bound of the published, or better than it."""
    if abs(difference.z) <= BOUND:
        return "yes"
    return "better" if (difference.z < 0) == (score == "rmse") else "no"


def is_fitted(numbers: Numbers, name: str) -> bool:
    """Whether tau was fitted for the set; a quick run does not for all."""
    return any("forest, fitted" in part for key, part in numbers.items() if key.startswith(f"{name}, seed "))


def _table_of_published(numbers: Numbers) -> str:
    body = []
    for name, of_set in numbers["published"].items():
        for place, (score, difference) in enumerate(against_published(numbers, name).items()):
            ours, theirs = by_split(numbers, name, "forest", score), np.array(of_set["scores"])[:, place]
            shown = [plus_minus(*mean_and_error(values)) for values in (ours, theirs)]
            shown.append(plus_minus(difference.difference, difference.error, sign="+"))
            body.append([f"{name}, {_SCORES[score]}", *shown, f"{difference.z:+.1f}", verdict(score, difference)])
    return table(["", "ours", "published", "ours - published", "in its errors", f"within {BOUND}"], body)


def _table_of_averaging(numbers: Numbers) -> str:
    def gain(name: str, score: str, fitted: str = "") -> str:
        forest, single = (by_split(numbers, name, f"{who}{fitted}", score) for who in ("forest", "single net"))
        return plus_minus(*mean_and_error(forest - single), sign="+")

    body = [
        [
            name,
            gain(name, "rmse"),
            plus_minus(*PUBLISHED_AVERAGING[name], sign="+"),
            gain(name, "ll"),
            gain(name, "ll", ", fitted") if is_fitted(numbers, name) else "",
        ]
        for name in numbers["published"]
    ]
    head = ["", "RMSE", "RMSE, published", "log-likelihood, tau published", "log-likelihood, each with its fitted tau"]
    return table(head, body)


def _table_of_ablation(numbers: Numbers) -> str:
    body = []
    for score, title in _SCORES.items():
        without = by_split(numbers, WITHOUT_DROPOUT, "single net", score)
        dropout = by_split(numbers, "boston", "forest", score)
        shown = [plus_minus(*mean_and_error(values)) for values in (dropout, without)]
        shown.append(plus_minus(*mean_and_error(without - dropout), sign="+"))
        body.append([title, *shown, PUBLISHED_WITHOUT_DROPOUT[score]])
    return table(["boston", "with dropout", "without", "without - with", "without, published"], body)


def _table_of_precision(numbers: Numbers) -> str:
    body = []
    for name in filter(lambda name: is_fitted(numbers, name), numbers["published"]):
        fitted = by_split(numbers, name, "forest, fitted", "tau")
        before, after = (by_split(numbers, name, predictor, "ll") for predictor in ("forest", "forest, fitted"))
        taus = [f"{numbers['published'][name]['tau']:.4g}", f"{fitted.mean():.4g}"]
        taus.append(f"{fitted.min():.3g} to {fitted.max():.3g}")
        shown = [plus_minus(*mean_and_error(values)) for values in (before, after)]
        body.append([name, *taus, *shown, plus_minus(*mean_and_error(after - before), sign="+")])
    head = ["", "tau, published", "tau, fitted", "in the splits", "log-likelihood, published", "fitted", "difference"]
    return table(head, body)


def _table_of_coverage(numbers: Numbers) -> str:
    body = []
    for name in numbers["published"]:
        for label, curve in _coverages(numbers, name).items():
            shares = [plus_minus(100 * share.value, 100 * (share.standard_error or 0)) for share in curve.coverage]
            body.append([f"{name}, {label}", *shares])
    return table(["% of test rows inside", *(f"{level:.0%}" for level in LEVELS)], body)


def _coverages(numbers: Numbers, name: str) -> dict[str, CoverageCurve]:
    """Of the test rows of all splits, by what tau is; the error is that of the mean over splits."""
    found = {}
    labels = {"forest": "tau published", **({"forest, fitted": "tau fitted"} if is_fitted(numbers, name) else {})}
    for predictor, label in labels.items():
        shares = by_split(numbers, name, predictor, "coverage")
        found[label] = CoverageCurve(LEVELS, tuple(Score(*mean_and_error(level), None) for level in shares.T))
    return found


def pictures(numbers: Numbers) -> Mapping[str, tuple[str, Figure]]:
    """Ours - published; coverage."""
    names = list(numbers["published"])
    return {
        "scores": ("RMSE and log-likelihood, ours less published, with 2.6 errors", _scores(numbers, names)),
        "intervals": ("Shares of test rows inside intervals against the shares promised", _intervals(numbers, names)),
    }


def _scores(numbers: Numbers, names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    differences = {name: against_published(numbers, name) for name in names}
    for ax, score in zip(axes, _SCORES, strict=True):
        scale = {name: 100 / np.mean(numbers["published"][name]["scores"], axis=0)[0] for name in names}
        factor = np.array([scale[name] if score == "rmse" else 1.0 for name in names])
        values = factor * [differences[name][score].difference for name in names]
        errors = factor * [differences[name][score].error for name in names]
        ax.axvline(0, color=GREY, linewidth=1)
        ax.errorbar(values, range(len(names)), xerr=BOUND * errors, fmt="o", color=BLUE, capsize=3)
    axes[0].set(yticks=range(len(names)), yticklabels=names, xlabel="RMSE: ours - published, % of published")
    axes[0].invert_yaxis()
    axes[1].set(xlabel="log-likelihood: ours - published, nats")
    axes[1].locator_params(axis="x", nbins=6)
    figure.suptitle(f"Points: mean over splits and seeds; bars: {BOUND} paired standard errors", fontsize=10)
    return figure


def _intervals(numbers: Numbers, names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(2.6 * len(names), 3.2), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for place, (ax, name) in enumerate(zip(axes, names, strict=True)):
        for label, curve in _coverages(numbers, name).items():
            coverage_against_nominal(curve, ax, label=label)
        ax.set(title=name, xlim=(0.45, 1), ylim=(0.45, 1))
        if place:
            ax.set_ylabel("")
        if place < len(names) - 1:
            ax.get_legend().remove()
    return figure
