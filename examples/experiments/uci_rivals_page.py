"""Tables of the experiment `uci_rivals`, from its stored numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from examples.experiments import concrete_rates, deep_ensembles
from examples.experiments.estimates import mean_and_error, plus_minus
from examples.experiments.experiment import Numbers
from examples.experiments.page import table
from examples.experiments.published import Paired, paired
from examples.experiments.uci_rivals_pictures import rates_picture, scores_picture

ROUNDING = 0.01 / math.sqrt(12)
"""The standard error of a figure that is printed with two digits after the point."""

BY_ROWS = "rates by rows"
LAYERS = ("input", "first hidden", "second hidden")


def tables(numbers: Numbers) -> dict[str, str]:
    """Ensembles beside the printed, beside one network and MC dropout; their choice; learned rates by set and rows."""
    return {
        "ensembles": _table_of_ensembles(numbers),
        "gains": _table_of_gains(numbers),
        "held_out": _table_of_held_out(numbers),
        "steps": _table_of_steps(numbers),
        "concrete": _table_of_concrete(numbers),
        "rates": _table_of_rates(numbers),
        "noise": _table_of_noise(numbers),
        "rows": _table_of_rows(numbers),
    }


def pictures(numbers: Numbers) -> dict[str, tuple[str, Figure]]:
    """Scores against the printed ones; learned rates."""
    return {
        "beside": (
            "RMSE of ensembles and of concrete dropout as a ratio to the printed, NLL of ensembles as a difference",
            scores_picture(against_printed(numbers)),
        ),
        "learned": (
            "Learned dropout rates by layer, for each set and against the number of training rows",
            rates_picture(
                {name: learned(numbers, f"rates {name}") for name in sets(numbers, "rates")},
                rows(numbers),
                LAYERS,
            ),
        ),
    }


def sets(numbers: Numbers, kind: str) -> list[str]:
    """The sets that "ensembles", "rates" or "noise" were measured on."""
    return [part.removeprefix(f"{kind} ") for part in numbers if part.startswith(f"{kind} ") and part != BY_ROWS]


def by_split(numbers: Numbers, part: str, which: str) -> np.ndarray:
    """What was measured in a part, (splits, scores), means over seeds."""
    return np.mean(numbers[part][which], axis=0)


def learned(numbers: Numbers, part: str) -> np.ndarray:
    """Rates of every network of a part, (networks, layers)."""
    return np.reshape(numbers[part]["rates"], (-1, len(LAYERS)))


def rows(numbers: Numbers) -> dict[int, np.ndarray]:
    """By the number of training rows, (networks, 5): three rates, epistemic deviation, RMSE."""
    return {int(count): np.array(networks) for count, networks in numbers[BY_ROWS].items()}


def against_printed(numbers: Numbers) -> dict[tuple[str, str], dict[str, tuple[float, float, float, float]]]:
    """By score and set: our mean and its standard error, the printed mean and its standard error."""
    found: dict[tuple[str, str], dict[str, tuple[float, float, float, float]]] = {}
    for name in sets(numbers, "ensembles"):
        ours, printed = by_split(numbers, f"ensembles {name}", "ensemble"), deep_ensembles.PUBLISHED[name]
        for score, column, (mean, deviation) in (("RMSE", 0, printed.rmse), ("NLL", 1, printed.nll)):
            errors = *mean_and_error(ours[:, column]), mean, deviation / math.sqrt(20)
            found.setdefault(("ensembles", score), {})[name] = errors
    for name in sets(numbers, "rates"):
        ours = by_split(numbers, f"rates {name}", "scores")
        errors = *mean_and_error(ours[:, 0]), *concrete_rates.PUBLISHED_RMSE[name]
        found.setdefault(("concrete dropout", "RMSE"), {})[name] = errors
    return found


def in_errors(ours: float, our_error: float, printed: float, printed_error: float) -> float:
    """ours - printed in standard errors: of both, taken as independent, and of rounding the printed.

    The splits of both may be the same; then the errors of the difference are smaller than these.

    Example:
        >>> round(in_errors(3.0, 0.3, 2.0, 0.4), 3)
        2.0
    """
    return (ours - printed) / math.hypot(our_error, printed_error, ROUNDING)


def gain(numbers: Numbers, name: str) -> dict[str, tuple[Paired, Paired]]:
    """RMSE and NLL of five networks minus that of one, and minus that of the published MC dropout, on equal splits."""
    five = by_split(numbers, f"ensembles {name}", "ensemble")[:, [0, 2]]
    fewer = five - by_split(numbers, f"ensembles {name}", "alone")
    mc_dropout = np.array(numbers["published"][name]["400 epochs"]) * (1, -1)
    rmse, nll = (Paired(*mean_and_error(difference)) for difference in fewer.T)
    return {"one": (rmse, nll), "MC dropout": paired(five, mc_dropout)}


def against_two_layers(numbers: Numbers, name: str) -> tuple[Paired, Paired]:
    """RMSE and NLL of concrete dropout minus those of the published MC dropout with two hidden layers."""
    ours = by_split(numbers, f"rates {name}", "scores")[:, [0, 2]]
    return paired(ours, np.array(numbers["published"][name]["two layers"]) * (1, -1))


def _table_of_ensembles(numbers: Numbers) -> str:
    compared, body = against_printed(numbers), []
    for name in sets(numbers, "ensembles"):
        values, printed = by_split(numbers, f"ensembles {name}", "ensemble"), deep_ensembles.PUBLISHED[name]
        cells = [name]
        for score, column, theirs in (("RMSE", 0, printed.rmse), ("NLL", 1, printed.nll)):
            digits = 3 if (name, score) == ("kin8nm", "RMSE") else 2
            spread = values[:, column].std(ddof=1)
            z = in_errors(*compared["ensembles", score][name])
            cells += [f"{values[:, column].mean():.{digits}f} ± {spread:.{digits}f}", _spread(theirs), f"{z:+.1f}"]
        body.append([*cells, f"{values[:, 2].mean():.2f}"])
    head = ["", "RMSE", "printed", "in errors", "NLL, matched normal", "printed", "in errors", "NLL, mixture"]
    return table(head, body)


def _table_of_gains(numbers: Numbers) -> str:
    body = []
    for name in sets(numbers, "ensembles"):
        alone = by_split(numbers, f"ensembles {name}", "alone")[:, 1]
        differences = [difference for pair in gain(numbers, name).values() for difference in pair]
        body.append([
            name,
            f"{alone.mean():.2f} ± {alone.std(ddof=1):.2f}",
            _spread(deep_ensembles.PUBLISHED[name].nll_of_one),
            *(plus_minus(one.difference, one.error, sign="+") for one in differences),
        ])  # fmt: skip
    head = ["", "NLL of one", "printed", "five - one: RMSE", "NLL", "five - MC dropout: RMSE", "NLL"]
    return table(head, body)


def _table_of_held_out(numbers: Numbers) -> str:
    parts = {name: numbers[f"ensembles {name}"] for name in sets(numbers, "ensembles")}
    body = [_choices(name, part, "learning_rates", deep_ensembles.LEARNING_RATES) for name, part in parts.items()]
    return table(["", *map(str, deep_ensembles.LEARNING_RATES)], body)


def _table_of_steps(numbers: Numbers) -> str:
    kinds = {"rates": "", "noise": ", noise learned"}
    parts = {f"{name}{what}": numbers[f"{kind} {name}"] for kind, what in kinds.items() for name in sets(numbers, kind)}
    tried = sorted({count for part in parts.values() for count in part["tried"]})
    body = [_choices(name, part, "steps", part["tried"]) for name, part in parts.items()]
    return table(["", *(f"{count:,}" for count in tried)], body)


def _choices(name: str, part: Mapping[str, Any], choice: str, among: Sequence[float]) -> list[str]:
    """A line of the mean score on held-out rows of each, and how many splits chose it."""
    scores = zip(among, np.mean(part["held_out"], axis=0), strict=True)
    return [name, *(f"{nll:.2f} ({part[choice].count(one)})" for one, nll in scores)]


def _table_of_concrete(numbers: Numbers) -> str:
    body = []
    for name, (mean, error, printed, printed_error) in against_printed(numbers)["concrete dropout", "RMSE"].items():
        body.append([
            name,
            plus_minus(mean, error),
            f"{printed:.2f} ± {printed_error:.2f}" if printed_error else f"{printed:.2f}",
            f"{in_errors(mean, error, printed, printed_error):+.1f}",
            plus_minus(*mean_and_error(by_split(numbers, f"rates {name}", "scores")[:, 2])),
            *(plus_minus(one.difference, one.error, sign="+") for one in against_two_layers(numbers, name)),
        ])  # fmt: skip
    return table(["", "RMSE", "printed", "in errors", "NLL", "RMSE - MC dropout's", "NLL - MC dropout's"], body)


def _table_of_rates(numbers: Numbers) -> str:
    return table(["", *LAYERS], [[name, *_rates(learned(numbers, f"rates {name}"))] for name in sets(numbers, "rates")])


def _table_of_noise(numbers: Numbers) -> str:
    body = []
    for name in sets(numbers, "noise"):
        for title, part in (("fixed", f"rates {name}"), ("learned", f"noise {name}")):
            first = np.array(numbers[part]["scores"][0])  # of the first seed
            scores = [plus_minus(*mean_and_error(first[:, column])) for column in (0, 2)]
            body.append([f"{name}, {title}", *scores, *_rates(learned(numbers, part)[: len(first)])])
    return table(["noise", "RMSE", "NLL", *(f"p, {layer}" for layer in LAYERS)], body)


def _table_of_rows(numbers: Numbers) -> str:
    body = [
        [str(count), *(f"{value:.3f}" for value in networks.mean(axis=0))] for count, networks in rows(numbers).items()
    ]
    return table(["rows", *(f"p, {layer}" for layer in LAYERS), "epistemic", "RMSE"], body)


def _rates(rates: np.ndarray) -> list[str]:
    """Mean and standard deviation over the networks, by layer."""
    return [f"{one.mean():.4f} ± {one.std(ddof=1):.4f}" for one in rates.T]


def _spread(printed: tuple[float, float]) -> str:
    return f"{printed[0]:.2f} ± {printed[1]:.2f}"
