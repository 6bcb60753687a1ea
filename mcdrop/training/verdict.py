"""What a comparison of a single network with its forest says in words, each sentence from its numbers."""

import math
from collections.abc import Mapping

from mcdrop.calibration import Score
from mcdrop.training.contender import Contender
from mcdrop.training.curve import Curve

SCALED, MEMBERS, TREE, FOREST, GEOMETRIC = (
    "weight-scaled net",
    "members, averaged",
    "one tree",
    "forest",
    "forest, geometric mean",
)
_SURE = 2.0
"""Errors that a difference must exceed to be called one."""


def total_error(score: Score) -> float:
    """From the sampling of rows and of masks together: the root of the sum of their squares."""
    return math.hypot(score.standard_error or 0.0, score.mc_error or 0.0)


def table(test: Mapping[str, Contender], train: Mapping[str, Contender] | None, error_name: str) -> str:
    """The contenders, a line each: value, error from rows, Monte Carlo error."""
    columns = [("test loss", test, "loss"), ("train loss", train, "loss")]
    columns += [(f"test {error_name}", test, "error"), (f"train {error_name}", train, "error")]
    shown = [(title, data, name) for title, data, name in columns if data is not None]
    lines = [["", *(title for title, _, _ in shown), "spread of test loss"]]
    for contender in test:
        cells = [_plain(getattr(data[contender], name)) for _, data, name in shown]
        spread = test[contender].loss_spread
        lines.append([contender, *cells, "" if spread is None else f"{spread:.2g}"])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(
        [*rows, "Value ± error from the rows ± Monte Carlo error; losses in nats; spread over single trees."]
    )


def answers(
    test: Mapping[str, Contender], train: Mapping[str, Contender] | None, curve: Curve, error_name: str
) -> tuple[str, str, str]:
    """Why the test loss may lie below the train loss; whether averaging helps; how many passes suffice."""
    return _tree_and_forest(test, train), _averaging(test, error_name), _passes(test, curve)


def _tree_and_forest(test: Mapping[str, Contender], train: Mapping[str, Contender] | None) -> str:
    question = "Why test loss can lie below train loss: "
    away = test[FOREST].loss.value
    if train is None:
        tree = test[TREE].loss.value
        return f"{question}give train= to see. On test data one tree has {tree:.4g}, the forest {away:.4g}."
    tree, at_home = train[TREE].loss.value, train[FOREST].loss.value
    return (
        f"{question}training sees single trees, {tree:.4g} on the training data. The forest of the same trees has "
        f"{at_home:.4g} there ({at_home - tree:+.2g} by averaging) and {away:.4g} on test data "
        f"({away - at_home:+.2g} by new rows): {'below' if away < tree else 'above'} what training sees."
    )


def _averaging(test: Mapping[str, Contender], error_name: str) -> str:
    single = MEMBERS if MEMBERS in test else SCALED
    parts = []
    for quantity, name in (("loss", "loss"), ("error", error_name)):
        forest, one = getattr(test[FOREST], quantity), getattr(test[single], quantity)
        if not math.isfinite(forest.value) or not math.isfinite(one.value):
            parts.append(f"has the test {name} {forest.value:.4g} against {one.value:.4g}, too far for a difference")
            continue
        difference = forest - one
        error = total_error(difference)
        if abs(difference.value) <= _SURE * error or difference.value == 0:
            word = "makes no difference beyond the errors to"
        else:
            word = "lowers" if difference.value < 0 else "raises"
        parts.append(f"{word} the test {name} ({difference.value:+.3g} ± {error:.2g})")
    return f"Does averaging over masks help: against the {single} it {parts[0]} and {parts[1]}."


def _passes(test: Mapping[str, Contender], curve: Curve) -> str:
    error = test[FOREST].loss.standard_error or 0.0
    last = curve.num_samples[-1]
    enough = curve.suffices(error / 10)
    margin = f"a tenth of its standard error ({error / 10:.2g})"
    if enough == last:
        return (
            f"How many passes suffice: perhaps more than {last}; up to there the test loss falls by more than {margin}."
        )
    return (
        f"How many passes suffice: {enough}. From there on more passes, up to {last}, change the test loss by less "
        f"than {margin}."
    )


def _plain(score: Score) -> str:
    errors = [f" ± {error:.2g}" for error in (score.standard_error, score.mc_error) if error is not None]
    return f"{score.value:.4g}{''.join(errors)}"
