import numpy as np
import pytest
import torch

from mcdrop.calibration import (
    Tally,
    interval_calibration_error,
    quantile_calibration_error,
    sparsification_error,
)
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Poisson, from_draws

RNG = np.random.default_rng(0)
DRAWS = torch.from_numpy(RNG.normal(size=(20, 50, 2)))
Y = torch.from_numpy(RNG.normal(size=(50, 2)))
FUNCTIONS = {f.__name__: f for f in (quantile_calibration_error, interval_calibration_error, sparsification_error)}
CASES = {
    "gaussian": (Gaussian(2.0), DRAWS, Y),
    "noise": (HeteroscedasticGaussian(), DRAWS, Y[:, :1]),
    "counts": (Poisson(), DRAWS, Y.square().round()),
}


@pytest.mark.parametrize("batch", [1, 7, 50])
@pytest.mark.parametrize("case", CASES)
def test_batches_give_the_scores_of_the_whole(case, batch):
    likelihood, draws, y = CASES[case]
    tally = Tally.of(likelihood, [*FUNCTIONS, "rmse"])
    assert tally.needs_samples
    for rows in torch.arange(50).split(batch):
        tally = tally.update(from_draws(draws[:, rows], likelihood), y[rows])
    whole, scores = from_draws(draws, likelihood), tally.scores()
    assert list(scores) == [*FUNCTIONS, "rmse"]
    for name, function in FUNCTIONS.items():
        for part in ("value", "standard_error", "mc_error"):
            assert getattr(scores[name], part) == pytest.approx(getattr(function(whole, y), part), rel=1e-7), name


def test_shares_take_no_memory_per_row():
    tally = Tally.of(Gaussian(2.0), ["quantile_calibration_error"])
    sizes = []
    for rows in (slice(0, 10), slice(10, 50)):
        tally = tally.update(from_draws(DRAWS[:, rows], Gaussian(2.0)), Y[rows])
        (shares,) = tally.streams[0].shares.values()
        sizes.append((shares.spread.centre.shape, shares.products.shape))
    assert sizes[0] == sizes[1] == ((19, 11), (19, 19))
