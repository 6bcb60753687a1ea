"""What the authors of the UCI experiments published, split by split, and how ours are compared with it."""

import json
from dataclasses import dataclass

import numpy as np

from mcdrop.data.location import data_folder

RUNS = ("400 epochs", "4000 epochs", "two layers", "grid search")
_FOLDERS = {"400 epochs": "results", "4000 epochs": "results_10x_epochs", "two layers": "results_2_layers"}


@dataclass(frozen=True)
class Paired:
    """The mean over splits of ours - theirs, and its standard error: sd / sqrt(splits), divisor splits - 1.

    The error is at least 1 % of the published mean for RMSE and .01 for log-likelihoods: differences between two runs
    of the same code on one split may happen to agree.
    """

    difference: float
    error: float

    @property
    def z(self) -> float:
        return self.difference / self.error


def scores(name: str, run: str) -> np.ndarray:
    """RMSE and mean log-likelihood of Monte Carlo dropout in each split, (20, 2).

    Args:
        name: Of the set, one of `mcdrop.data.uci.NAMES`.
        run: One of `RUNS`: table 1 of the paper; ten times its epochs; two hidden layers; the search of 2018.
    """
    found = json.loads((data_folder() / "uci" / "PUBLISHED_PER_SPLIT.json").read_text())[name]
    if run == "grid search":
        return np.array([found["mc_rmse"], found["ll"]]).T
    files = [f"net/{_FOLDERS[run]}/{file}" for file in ("test_MC_rmse.txt", "test_ll.txt")]
    return np.array([found["old_a6259f1"][file]["values"] for file in files]).T


def paired(ours: np.ndarray, theirs: np.ndarray) -> tuple[Paired, Paired]:
    """RMSE and log-likelihood, each (splits, 2) and averaged over seeds before, compared split by split."""
    difference = ours - theirs
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    rmse, log_likelihood = np.maximum(error, [0.01 * theirs[:, 0].mean(), 0.01])
    means = difference.mean(axis=0)
    return Paired(float(means[0]), float(rmse)), Paired(float(means[1]), float(log_likelihood))
