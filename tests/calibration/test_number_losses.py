import pytest
import torch

from mcdrop.calibration import (
    crps,
    interval_coverage,
    interval_score,
    interval_width,
    negative_log_likelihood,
    rmse,
    sharpness,
)
from mcdrop.calibration.number_losses import NAMES, number_loss
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Poisson, from_draws
from mcdrop.prediction.laws import Stretch
from mcdrop.prediction.recalibrated import recalibrated, without_groups

GENERATOR = torch.Generator().manual_seed(0)
DRAWS = torch.randn(12, 9, 4, generator=GENERATOR, dtype=torch.float64)
Y = torch.randn(9, 4, generator=GENERATOR, dtype=torch.float64)
SCORES = {
    "negative_log_likelihood": negative_log_likelihood,
    "rmse": rmse,
    "crps": crps,
    "interval_score": interval_score,
    "interval_coverage": interval_coverage,
    "interval_width": lambda prediction, _: interval_width(prediction),
    "sharpness": lambda prediction, _: sharpness(prediction),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("likelihood", "targets"),
    [(Gaussian(4.0), Y), (HeteroscedasticGaussian(), Y[:, :2]), (Poisson(), Y.abs().round())],
    ids=str,
)
def test_losses_average_to_the_scores_of_their_names(name, likelihood, targets):
    prediction = from_draws(DRAWS, likelihood)
    losses = number_loss(name, prediction, targets)
    assert losses.shape == (13, *targets.shape)
    means = losses.mean(dim=(1, 2))
    score = SCORES[name](prediction, targets)
    squared = name in ("rmse", "sharpness")
    assert means[0].item() == pytest.approx(score.value**2 if squared else score.value, rel=1e-9)
    assert means[1:].tolist() == pytest.approx(
        (score.deleted.square() if squared else score.deleted).tolist(), rel=1e-9
    )


@pytest.mark.parametrize("name", ["negative_log_likelihood", "rmse"])
def test_losses_of_recalibrated_predictions_are_those_of_the_changed_laws(name):
    drawn = from_draws(DRAWS, Gaussian(4.0), block_size=3)
    changed = recalibrated(drawn, (Stretch((2.0, 1.0, 0.5, 3.0)),), drawn.provenance)
    losses = number_loss(name, changed, Y)
    for loss, prediction in zip(losses, (changed, *without_groups(changed)), strict=True):
        squares = (prediction.mean - Y).square()
        torch.testing.assert_close(loss, squares if name == "rmse" else -prediction.log_prob(Y), rtol=1e-12, atol=0)
    assert len(losses) == 5


def test_the_rmse_of_a_stretched_prediction_needs_no_samples():
    drawn, moments = (from_draws(DRAWS, Gaussian(4.0), keep_samples=kept) for kept in (True, False))
    stretched = recalibrated(moments, (Stretch((2.0,)), Stretch((3.0,))), moments.provenance)
    assert rmse(stretched, Y) == rmse(drawn, Y)
    assert (rmse(stretched, Y) - rmse(drawn, Y)).mc_error == 0
