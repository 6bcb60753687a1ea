"""The published grid on yacht, two splits at once, against a plain loop over splits and grid."""

from functools import partial

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import negative_log_likelihood
from mcdrop.data import uci
from mcdrop.data.scaling import measure
from mcdrop.posterior import Prior
from mcdrop.training import Objective, fit, initialise, search

PRIOR = Prior(0.1)
SETTINGS = {"optimizer": partial(torch.optim.Adam, lr=1e-3), "epochs": 10, "batch_size": 32}
T = 100


def build(p: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(p), nn.Linear(6, 50), nn.ReLU(), nn.Dropout(p), nn.Linear(50, 1))


def alone(x, y, p: float, tau: float, seed: int):
    """A network trained on standardised rows, and what standardised them."""
    of_x, of_y = measure(x), measure(y)
    net = initialise(partial(build, p), seed)
    objective = Objective(mcdrop.Gaussian(tau), PRIOR, protocol="gal2016")
    fit(net, (of_x.standardise(x).float(), of_y.standardise(y).float()), objective, seed=seed, **SETTINGS)
    return net, of_x, of_y


@pytest.mark.slow
def test_splits_at_once_give_what_a_plain_loop_gives(data_dir) -> None:
    splits = [uci.load("yacht", split=split) for split in (0, 1)]
    rates, precisions = splits[0].dropout_rates, splits[0].precisions
    found = search(
        build, [(split.train_x, split.train_y) for split in splits], rates=rates, precisions=precisions, prior=PRIOR,
        protocol="gal2016", scaling=measure, num_samples=T, seed=3, **SETTINGS,
    )  # fmt: skip
    for number, (split, choice) in enumerate(zip(splits, found.choices, strict=True)):
        border = int(0.8 * len(split.train_x))
        losses = {}
        for p in rates:
            for tau in precisions:
                net, of_x, of_y = alone(split.train_x[:border], split.train_y[:border], p, tau, 3 + number)
                mc = mcdrop.MCDropout(net, likelihood=mcdrop.Gaussian(tau), num_samples=T, seed=3, output=of_y.restore)
                prediction = mc(of_x.standardise(split.train_x[border:]).float())
                losses[p, tau] = negative_log_likelihood(prediction, split.train_y[border:]).value
        assert (-choice.log_likelihood).flatten().tolist() == pytest.approx(list(losses.values()), rel=1e-4)
        assert (choice.rate, choice.precision) == min(losses, key=losses.get)
        net, _, _ = alone(split.train_x, split.train_y, choice.rate, choice.precision, 3 + number)
        for ours, theirs in zip(choice.model.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
