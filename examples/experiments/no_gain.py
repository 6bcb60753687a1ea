"""Where averaging over masks does not help, beside sets where it does, and what recalibration does about it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from examples.experiments import no_gain_mnist, no_gain_uci
from examples.experiments.experiment import SEEDS, Experiment, Numbers
from examples.experiments.image_nets import ARCHITECTURES
from examples.experiments.no_gain_found import (
    PUBLISHED_GAIN,
    Estimate,
    added_by_split,
    by_split,
    over_seeds,
    over_splits,
    recalibrated_by_split,
    runs,
    sets,
)
from examples.experiments.no_gain_mnist import READINGS, STATES
from examples.experiments.no_gain_pictures import pictures
from examples.experiments.no_gain_uci import AVERAGED, SCALED, WHERE
from examples.experiments.page import table

EPOCHS = 400
"""Of table 1 of Gal & Ghahramani 2016."""

SPLITS = {"kin8nm": 5, "energy": 10, "yacht": 10}

LEVELS = np.arange(1, 20) / 20
"""Of the quantiles behind the error of coverage."""


def parts(quick: bool) -> dict[str, Callable[[], Any]]:
    """Sets in turn: published networks, networks with rows held out; networks without dropout; MNIST."""
    if quick:
        few: dict[str, Any] = {"splits": range(2), "epochs": 40}
        return {
            "averaging, kin8nm, seed 0": partial(no_gain_uci.averaging, "kin8nm", 0, **few),
            "averaging, yacht, seed 0": partial(no_gain_uci.averaging, "yacht", 0, splits=range(5), epochs=EPOCHS),
            "ablation, kin8nm, seed 0": partial(no_gain_uci.ablation, 0, **few),
            "recalibration, kin8nm, seed 0": partial(no_gain_uci.recalibration, "kin8nm", 0, **few),
            "digits, seed 0": partial(no_gain_mnist.measure, 0, train_rows=20_000, epochs=5),
        }
    found: dict[str, Callable[[], Any]] = {}
    for seed in SEEDS:
        for name, count in SPLITS.items():
            run: dict[str, Any] = {"splits": range(count), "epochs": EPOCHS}
            found[f"averaging, {name}, seed {seed}"] = partial(no_gain_uci.averaging, name, seed, **run)
            if name == "kin8nm":
                found[f"ablation, {name}, seed {seed}"] = partial(no_gain_uci.ablation, seed, **run)
            found[f"recalibration, {name}, seed {seed}"] = partial(no_gain_uci.recalibration, name, seed, **run)
        mnist: dict[str, Any] = {"train_rows": no_gain_mnist.TRAIN_ROWS, "epochs": ARCHITECTURES["mnist"].epochs}
        found[f"digits, seed {seed}"] = partial(no_gain_mnist.measure, seed, **mnist)
    return found


def tables(numbers: Numbers) -> dict[str, str]:
    """What averaging adds, where it comes from, and what recalibration does: for numbers, then for classes."""
    return {
        "averaging": averaging_table(numbers),
        "kin8nm": kin8nm_table(numbers),
        "likelihood": likelihood_table(numbers),
        "coverage": coverage_table(numbers),
        "digits": digits_table(numbers),
    }


def averaging_table(numbers: Numbers) -> str:
    """RMSE by set: what averages over masks add to it, by where the masks are."""
    rows = []
    for name in sets(numbers):
        found, places = runs(numbers, f"averaging, {name}"), decimals(name)
        added = {where: added_by_split(found, where) for where in WHERE}
        everywhere, published = added[AVERAGED], PUBLISHED_GAIN[name]
        rows.append(
            [
                name,
                f"{by_split(found, SCALED, 'rmse').mean():.{places}f}",
                *(signed(over_splits(of), places) for of in added.values()),
                f"{(everywhere < 0).sum()} of {len(everywhere)}",
                signed(published.added, places),
                f"{published.gaining} of 20",
            ]
        )
    masks = [f"masks {where}" for where in ("everywhere", "on inputs alone", "on hidden units alone")]
    return table(["set", "weight scaling", *masks, "splits that gain", "published", "published splits"], rows)


def kin8nm_table(numbers: Numbers) -> str:
    """Three ways to train on kin8nm, and what each reading makes of it."""
    published, ablated = runs(numbers, "averaging, kin8nm"), runs(numbers, "ablation, kin8nm")
    hidden, plain = ([seed[way] for seed in ablated] for way in ("hidden only", "p = 0"))
    shown = [
        ("inputs and hidden units", SCALED, published),
        ("inputs and hidden units", AVERAGED, published),
        ("hidden units alone", SCALED, hidden),
        ("hidden units alone", AVERAGED, hidden),
        ("nothing", "one pass", plain),
    ]
    rows = []
    for dropped, reading, found in shown:
        of = SCALED if found is plain else reading
        test, seen, slope = (by_split(found, of, score) for score in ("rmse", "train_rmse", "slope"))
        added = signed(over_splits(added_by_split(found, of)), 4) if of == AVERAGED else "-"
        against = signed(over_splits(test - by_split(published, SCALED, "rmse")), 4) if rows else "-"
        cells = [f"{test.mean():.4f}", added, against, f"{seen.mean():.4f}", f"{slope.mean():.3f}"]
        rows.append([dropped, reading, *cells])
    head = ["dropped in training", "read by", "RMSE", "against weight scaling", "against the first row"]
    return table([*head, "RMSE, training rows", "slope"], rows)


def likelihood_table(numbers: Numbers) -> str:
    """Log-likelihood with the published tau and with one that rows held out choose."""
    rows = []
    for name, found in held_out_sets(numbers).items():
        row = [name]
        for state in ("as trained", "tau"):
            scaled, averaged = (-recalibrated_by_split(found, of, state, "nll") for of in (SCALED, AVERAGED))
            row += [f"{scaled.mean():.3f}", f"{averaged.mean():.3f}", signed(over_splits(averaged - scaled), 3)]
        rows.append(row)
    head = ["weight scaling", "average", "average adds", "scaling, re-fitted", "average, re-fitted", "average adds"]
    return table(["set", *head], rows)


def coverage_table(numbers: Numbers) -> str:
    """How far shares of targets are from what the quantiles promise, and what re-fitting adds to that."""
    rows = []
    for name, found in held_out_sets(numbers).items():
        for reading in (SCALED, AVERAGED):
            trained, tau, ranks = (
                recalibrated_by_split(found, reading, state, "coverage_error")
                for state in ("as trained", "tau", "ranks")
            )
            inside = recalibrated_by_split(found, reading, "as trained", "covered")
            added = [signed(over_splits(after - trained), 3) for after in (tau, ranks)]
            chance = by_chance(found[0]["test_rows"])
            rows.append(
                [f"{name}, {reading}", f"{inside.mean():.3f}", f"{trained.mean():.3f}", *added, f"{chance:.3f}"]
            )
    head = ["inside 90 %", "error of coverage", "tau re-fitted adds", "ranks mapped add", "error by chance"]
    return table(["set, reading", *head], rows)


def digits_table(numbers: Numbers) -> str:
    """Scores on MNIST of each reading, before and after; then what averaging adds."""
    found, rows = runs(numbers, "digits"), []
    for reading in READINGS:
        for state in STATES:
            scores = [seed["scores"][reading][state] for seed in found]
            error, nll, ece, modesty = (
                np.mean([of[score] for of in scores]) for score in ("error", "nll", "ece", "modesty")
            )
            temperature = np.mean([seed["temperatures"][reading] for seed in found]) if state == "tempered" else 1
            cells = [f"{100 * error:.2f}", f"{nll:.4f}", f"{ece:.4f}", f"{100 * modesty:+.2f}", f"{temperature:.3f}"]
            rows.append([f"{reading}, {state}", *cells])
    for state in STATES:
        added = {
            score: over_seeds([seed["averaging"][state][score] for seed in found]) for score in ("error", "nll", "ece")
        }
        error = Estimate(100 * added["error"].value, 100 * added["error"].error)
        rows.append(
            [f"averaging adds, {state}", signed(error, 2), signed(added["nll"], 4), signed(added["ece"], 4), "", ""]
        )
    return table(["MNIST", "error, %", "NLL, nats", "ECE", "accuracy - confidence, %", "temperature"], rows)


def held_out_sets(numbers: Numbers) -> dict[str, list[dict[str, Any]]]:
    """By set the networks with rows held out, of each seed."""
    found = {name: runs(numbers, f"recalibration, {name}") for name in sets(numbers)}
    return {name: of for name, of in found.items() if of}


def by_chance(rows: int) -> float:
    """The error of coverage of a calibrated predictor: the mean over levels of sqrt(2/pi p (1-p) / rows)."""
    return float(np.mean(np.sqrt(2 / math.pi * LEVELS * (1 - LEVELS) / rows)))


def decimals(name: str) -> int:
    """In which a set's RMSE is told."""
    return 4 if name == "kin8nm" else 3


def signed(of: Estimate, places: int) -> str:
    """Value and error."""
    return f"{of.value:+.{places}f} ± {of.error:.{places}f}"


EXPERIMENT = Experiment("no_gain", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
