"""Tables of the experiment `images`, from its stored numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.experiments.estimates import mean_and_error, of_same_rows
from examples.experiments.experiment import Numbers
from examples.experiments.page import table
from mcdrop.plots.comparison import with_error

SHOWN = {"fashion-mnist": "Fashion-MNIST", "mnist": "MNIST", "notmnist": "notMNIST"}


def tables(numbers: Numbers) -> dict[str, str]:
    """Averages of k trees beside weight scaling, for each set; calibration; images of other sets."""
    trees = {f"trees of {name}": _table_of_trees(of_set(numbers, name)) for name in sets(numbers)}
    return {**trees, "calibration": _table_of_calibration(numbers), "foreign": _table_of_foreign(numbers)}


def sets(numbers: Numbers) -> list[str]:
    """The sets that networks were trained on."""
    return list(dict.fromkeys(part.split(" seed ")[0] for part in numbers))


def of_set(numbers: Numbers, name: str) -> list[Any]:
    """What was measured on the networks of a set, by seed."""
    return [part for key, part in numbers.items() if key.startswith(f"{name} seed ")]


def less_weight_scaling(part: Any, score: str) -> np.ndarray:
    """How much larger a score of averages of k trees is, for each k."""
    averaging = part["averaging"]
    # rounded, so that equal scores show no rounding error of a mean over subsets
    return (np.array(averaging[score]) - averaging["weight scaling"][score]).round(12)


def _table_of_trees(parts: Sequence[Any]) -> str:
    """Scores of weight scaling, of averages of k trees, and how much larger these are."""
    scaled = [
        _numbers([part["averaging"]["weight scaling"][score] for part in parts], scale)
        for score, scale in (("error", 100), ("nll", 1))
    ]
    rows = [["weight scaling", scaled[0], "", "", scaled[1], ""]]
    for at, trees in enumerate(parts[0]["averaging"]["trees"]):
        of_k = {score: [part["averaging"][score][at] for part in parts] for score in ("error", "nll")}
        more = {score: [less_weight_scaling(part, score)[at] for part in parts] for score in of_k}
        spread = np.mean([part["averaging"]["spread"]["error"][at] for part in parts])
        rows.append(
            [str(trees), _numbers(of_k["error"], 100), _numbers(more["error"], 100),
             f"{100 * spread:.2f}" if spread > 0 else "", _numbers(of_k["nll"]), _numbers(more["nll"])]
        )  # fmt: skip
    head = ("trees, k", "error, %", "less weight scaling", "from subset to subset", "NLL, nats", "less weight scaling")
    return table(head, rows)


def _table_of_calibration(numbers: Numbers) -> str:
    """Scores of both readings of each network before and after the temperature."""
    rows = []
    for name in sets(numbers):
        for reading in ("weight scaling", "average"):
            found = [part["calibration"][reading] for part in of_set(numbers, name)]
            error = _numbers([one["before"]["error"] for one in found], 100)
            temperature = _numbers([one["temperature"] for one in found])
            cells = [f"{SHOWN[name]}, {reading}", error, temperature]
            for score in ("nll", "ece", "smooth ece"):
                before, after = (np.mean([one[state][score] for one in found]) for state in ("before", "after"))
                cells.append(f"{before:.4f} → {after:.4f}")
                if score != "ece":  # whose borders make its differences jump
                    cells.append(with_error(*of_same_rows([one["change"][score] for one in found])))
            rows.append(cells)
    head = ("", "error, %", "temperature", "NLL, nats", "change", "ECE", "smooth ECE", "change")
    return table(head, rows)


def _table_of_foreign(numbers: Numbers) -> str:
    """AUROC of three uncertainties for each network's set against each other set."""
    rows = []
    for name in sets(numbers):
        for other in of_set(numbers, name)[0]["foreign"]:
            found = [part["foreign"][other] for part in of_set(numbers, name)]
            cells = [f"{SHOWN[name]}, {SHOWN[other]}", _numbers([one["weight scaling"] for one in found])]
            for measure in ("entropy", "mutual information"):
                more = [one["average less weight scaling"][measure] for one in found]
                cells += [_numbers([one["average"][measure] for one in found]), with_error(*of_same_rows(more))]
            rows.append(cells)
    head = ("own, foreign", "weight scaling, entropy", "average, entropy", "more", "mutual information", "more")
    return table(head, rows)


def _numbers(values: Sequence[float], scale: float = 1) -> str:
    mean, error = mean_and_error(values)
    return with_error(scale * mean, scale * error)
