"""The published scores of MC dropout on UCI sets, split by split: Gal & Ghahramani 2016, table 1, 400 epochs.

Their 20 splits are trained at once by `members`. The code that made the table minimises a loss of its own, named
`protocol="gal2016"`; Keras's first weights are Glorot's with biases 0.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.data import scaling, uci
from mcdrop.posterior import Prior
from mcdrop.training import Objective, members

PUBLISHED = {  # p, tau in 1 / unit^2 of y, length scale
    "boston": (0.05, 0.1597, 1e-2),
    "energy": (0.05, 0.4271, 1e-2),
    "wine": (0.05, 2.958, 1e-2),
    "yacht": (0.01, 0.5419, 1e-1),
}
SEEDS = (0, 1, 2)
T = 1000


class Net(nn.Sequential):
    def __init__(self, inputs: int, p: float) -> None:
        super().__init__(nn.Dropout(p), nn.Linear(inputs, 50), nn.ReLU(), nn.Dropout(p), nn.Linear(50, 1))
        for layer in (self[1], self[4]):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def scores(name: str, seed: int) -> np.ndarray:
    """RMSE and log-likelihood of each split, (20, 2)."""
    p, tau, length_scale = PUBLISHED[name]
    splits = [uci.load(name, split=split) for split in range(20)]
    scalings = [(scaling.measure(split.train_x), scaling.measure(split.train_y)) for split in splits]
    ensemble, _ = members(
        lambda: Net(splits[0].train_x.shape[1], p),
        [
            (of_x.standardise(split.train_x).float(), of_y.standardise(split.train_y).float())
            for split, (of_x, of_y) in zip(splits, scalings, strict=True)
        ],
        Objective(mcdrop.Gaussian(tau), Prior(length_scale), protocol="gal2016"),
        seeds=range(20 * seed, 20 * seed + 20),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=400,
        batch_size=32,
    )
    found = []
    for net, split, (of_x, of_y) in zip(ensemble.members, splits, scalings, strict=True):
        likelihood = mcdrop.Gaussian(tau)
        mc = mcdrop.MCDropout(net, likelihood=likelihood, num_samples=T, seed=seed, output=of_y.restore)
        prediction = mc(of_x.standardise(split.test_x).float())
        rmse = (prediction.mean - split.test_y).square().mean().sqrt()
        found.append([rmse.item(), prediction.log_prob(split.test_y).mean().item()])
    return np.array(found)


def published(folder: Path, name: str) -> np.ndarray:
    results = json.loads((folder / "uci" / "PUBLISHED_PER_SPLIT.json").read_text())[name]["old_a6259f1"]
    return np.array([results[f"net/results/{file}"]["values"] for file in ("test_MC_rmse.txt", "test_ll.txt")]).T


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_mean_over_seeds_is_within_2_6_paired_errors_of_the_published_scores(name, data_dir, without_type_checks):
    theirs = published(data_dir, name)
    ours = np.mean([scores(name, seed) for seed in SEEDS], axis=0)
    difference = ours - theirs
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    error = np.maximum(error, [0.01 * theirs[:, 0].mean(), 0.01])
    assert (np.abs(difference.mean(axis=0)) <= 2.6 * error).all(), (ours.mean(0), theirs.mean(0), error)
