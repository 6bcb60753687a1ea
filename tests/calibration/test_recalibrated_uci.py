"""Recalibration of small MC-dropout nets on held-out rows of UCI data sets."""

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import CdfRecalibration, Precision, VarianceScaling, negative_log_likelihood

LEVELS = np.arange(1, 10) / 10


def calibration_error(prediction, y):
    """Mean distance of the share of targets below the q-quantile from q, over nine levels, by counting."""
    reached = prediction.cdf(y).numpy()
    return np.mean([abs((reached <= q).mean() - q) for q in LEVELS])


def variance_error(prediction, y):
    """How far squared errors are from the predicted variances, up or down: |log of their mean ratio|."""
    return abs(((y - prediction.mean).square() / prediction.variance).mean().log().item())


def predicted(data, split):
    """A net trained on three quarters of a published split's training rows; predictions and targets, standardised, of
    the fourth quarter and of the split's test rows."""
    train, held_out = np.split(data[f"train_{split}"], [3 * len(data[f"train_{split}"]) // 4])
    x, y, test = data["X"], data["y"], data[f"test_{split}"]
    x, y = ((part - part[train].mean(axis=0)) / (part[train].std(axis=0) + 1e-9) for part in (x, y))
    x, y = torch.tensor(x).float(), torch.tensor(y).float()
    with torch.random.fork_rng():
        torch.manual_seed(split)
        model = nn.Sequential(nn.Linear(x.shape[1], 50), nn.ReLU(), nn.Dropout(0.05), nn.Linear(50, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[train])[:, 0], y[train]).backward()
            optimizer.step()
        residuals = (model.eval()(x[train])[:, 0] - y[train]).detach()
    # the precision of the training residuals: too high for other rows
    likelihood = mcdrop.Gaussian(1 / residuals.square().mean().item())
    mc = mcdrop.MCDropout(model, likelihood=likelihood, num_samples=50, seed=0)
    return (mc(x[held_out]), y[held_out]), (mc(x[test]), y[test])


@pytest.mark.slow
def test_on_held_out_splits_each_recalibration_mends_on_average_what_it_is_fitted_to(data_dir):
    """Four data sets with twenty splits each: the map mends coverage, the factor the variance, tau the likelihood.

    Each mean of 80 paired differences is below 0, that of coverage by four of its errors.
    """
    coverage, variance, likelihood = [], [], []
    for name in ("boston", "energy", "yacht", "wine"):
        data = np.load(data_dir / "uci" / f"{name}.npz")
        for split in range(20):
            held_out, (test, y) = predicted(data, split)
            mapped, scaled, read = (
                kind.fit(*held_out)(test) for kind in (CdfRecalibration, VarianceScaling, Precision)
            )
            coverage.append(calibration_error(mapped, y) - calibration_error(test, y))
            variance.append(variance_error(scaled, y) - variance_error(test, y))
            likelihood.append((negative_log_likelihood(read, y) - negative_log_likelihood(test, y)).value)
    assert np.mean(coverage) < -4 * np.std(coverage, ddof=1) / len(coverage) ** 0.5
    assert np.mean(variance) < 0
    assert np.mean(likelihood) < 0
