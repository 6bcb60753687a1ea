"""UCI regression: deep ensembles and concrete dropout, beside what their papers print.

Deep ensembles are five networks without dropout that predict mean and variance (`deep_ensembles`); concrete dropout
learns its rates with the weights (`concrete_rates`). All splits of a set are trained at once, on all their training
rows; what is chosen is chosen on training rows that are held out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from examples.experiments import concrete_rates, deep_ensembles, published
from examples.experiments.experiment import SEEDS, Experiment
from examples.experiments.uci_rivals_page import pictures, tables
from mcdrop.data import uci

SPLITS = range(uci.NUM_SPLITS)
COUNTED_SET, COUNTS, COUNTED_SPLITS, COUNTED_STEPS = "kin8nm", (50, 150, 500, 1500, 5000), range(5), 4000
"""Training rows against which rates are learned."""

LEARNED_NOISE = ("boston", "yacht")
"""Small sets, on which the noise is learned too, with the first seed alone."""

QUICK_ENSEMBLES, QUICK_RATES, QUICK_SPLITS, QUICK_STEPS = ("yacht", "energy"), ("yacht",), range(10), (300, 1500)
QUICK_COUNTS, QUICK_COUNTED_SPLITS, QUICK_COUNTED_STEPS = (50, 1000), range(8), 500


def parts(quick: bool) -> dict[str, Callable[[], Any]]:
    """What was published; ensembles, and rates with a fixed and a learned noise, by set; rates by rows."""
    seeds, splits = (SEEDS[:1], QUICK_SPLITS) if quick else (SEEDS, SPLITS)
    ensembles = QUICK_ENSEMBLES if quick else tuple(deep_ensembles.PUBLISHED)
    rates = QUICK_RATES if quick else tuple(concrete_rates.PUBLISHED_RMSE)
    ensemble = partial(deep_ensembles.measure, splits=splits, seeds=seeds)
    learn = partial(concrete_rates.measure, splits=splits, steps=QUICK_STEPS if quick else concrete_rates.STEPS)
    found: dict[str, Callable[[], Any]] = {"published": partial(published_scores, ensembles, len(splits))}
    found |= {f"ensembles {name}": partial(ensemble, name) for name in ensembles}
    found |= {f"rates {name}": partial(learn, name, seeds=seeds) for name in rates}
    if not quick:
        found |= {f"noise {name}": partial(learn, name, seeds=SEEDS[:1], learned_noise=True) for name in LEARNED_NOISE}
    counts = QUICK_COUNTS if quick else COUNTS
    found["rates by rows"] = partial(
        concrete_rates.by_rows, COUNTED_SET, counts, seeds=seeds,
        splits=QUICK_COUNTED_SPLITS if quick else COUNTED_SPLITS,
        steps=QUICK_COUNTED_STEPS if quick else COUNTED_STEPS,
    )  # fmt: skip
    return found


def published_scores(names: tuple[str, ...], num_splits: int) -> dict[str, dict[str, Any]]:
    """RMSE and mean log-likelihood of Gal & Ghahramani's MC dropout in each split, by set and run."""
    runs = ("400 epochs", "two layers")
    return {name: {run: published.scores(name, run)[:num_splits].tolist() for run in runs} for name in names}


EXPERIMENT = Experiment("uci_rivals", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
