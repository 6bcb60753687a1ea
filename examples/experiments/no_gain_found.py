"""The parts of the experiment `no_gain`, averaged over seeds; and what was published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.experiments.estimates import mean_and_error, of_same_rows
from examples.experiments.experiment import Numbers


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    value: float
    error: float

    @property
    def z(self) -> float:
        return self.value / self.error


@dataclass(frozen=True)
class Published:
    """RMSE of weight scaling; what averaging adds to it; splits of 20 in which it adds less than nothing."""

    scaled: float
    added: Estimate
    gaining: int


PUBLISHED_GAIN = {
    "kin8nm": Published(0.0944, Estimate(0.00204, 0.00012), 0),
    "energy": Published(1.678, Estimate(-0.0145, 0.0082), 12),
    "yacht": Published(1.177, Estimate(-0.0674, 0.0147), 17),
}
"""From `<set>/net/results/test_rmse.txt` and `test_MC_rmse.txt` at commit a6259f1 of
https://github.com/yaringal/DropoutUncertaintyExps; the paper prints the averages alone."""


def over_splits(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean over splits and its error: sd / sqrt(splits), divisor splits - 1."""
    return Estimate(*mean_and_error(values))


def over_seeds(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """The mean over seeds of differences on the same test rows, given with their errors."""
    return Estimate(*of_same_rows(pairs))


def sets(numbers: Numbers) -> list[str]:
    """The sets whose published networks were measured, in turn."""
    return list(dict.fromkeys(part.split(", ")[1] for part in numbers if part.startswith("averaging")))


def runs(numbers: Numbers, kind: str) -> list[dict[str, Any]]:
    """The parts of a kind, "averaging, kin8nm" say, by seed."""
    return [found for part, found in numbers.items() if part.startswith(f"{kind}, seed")]


def by_split(found: Sequence[dict[str, Any]], reading: str, score: str) -> np.ndarray:
    """A score of a reading in each split, averaged over seeds."""
    return np.mean([[split[score] for split in seed[reading]] for seed in found], axis=0)


def added_by_split(found: Sequence[dict[str, Any]], reading: str, score: str = "rmse") -> np.ndarray:
    """What a reading adds to a score of weight scaling in each split, averaged over seeds."""
    return np.mean([[split["added"][score][0] for split in seed[reading]] for seed in found], axis=0)


def recalibrated_by_split(found: Sequence[dict[str, Any]], reading: str, state: str, score: str) -> np.ndarray:
    """A score of a reading in each split of networks with rows held out, averaged over seeds."""
    return np.mean([[split[reading][state][score] for split in seed["splits"]] for seed in found], axis=0)
