import numpy as np
import pytest
import torch

from mcdrop.calibration import Tally, accuracy, brier_score, negative_log_likelihood, rmse
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Poisson, from_draws

RNG = np.random.default_rng(0)
DRAWS = torch.from_numpy(RNG.normal(size=(20, 30, 4)))
LABELS = torch.from_numpy(RNG.integers(2, size=30))
FUNCTIONS = {f.__name__: f for f in (accuracy, brier_score, negative_log_likelihood, rmse)}
OF_CLASSES, OF_NUMBERS = ["accuracy", "negative_log_likelihood", "brier_score"], ["negative_log_likelihood", "rmse"]


@pytest.mark.parametrize(
    ("likelihood", "draws", "targets", "names"),
    [
        (Categorical(), DRAWS, LABELS, OF_CLASSES),
        (Binary(), DRAWS[..., 0], LABELS, OF_CLASSES),
        (Gaussian(2.0), DRAWS, DRAWS[3], OF_NUMBERS),
        (HeteroscedasticGaussian(), DRAWS, DRAWS[3, :, :2], OF_NUMBERS),
        (Poisson(), DRAWS[..., 0], LABELS, OF_NUMBERS),
    ],
)
@pytest.mark.parametrize("batch", [1, 7, 30])
def test_batches_give_the_scores_of_the_whole(likelihood, draws, targets, names, batch):
    tally = Tally(likelihood)
    for rows in torch.arange(30).split(batch):
        tally = tally.update(from_draws(draws[:, rows], likelihood), targets[rows])
    whole = from_draws(draws, likelihood)
    assert list(tally.scores()) == names
    assert tally.needs_samples == (names == OF_NUMBERS)
    for name, score in tally.scores().items():
        expected = FUNCTIONS[name](whole, targets)
        for part in ("value", "standard_error", "mc_error"):
            assert getattr(score, part) == pytest.approx(getattr(expected, part), rel=1e-9), name


def test_batches_must_share_draws_and_likelihood():
    tally = Tally(Categorical()).update(from_draws(DRAWS, Categorical()), LABELS)
    with pytest.raises(InputError, match=r"draws in groups of \(1, 1\) given after groups of \(2, 2,"):
        tally.update(from_draws(DRAWS[:2], Categorical()), LABELS)
    with pytest.raises(InputError, match=r"A prediction of Binary.* given to a tally of Categorical"):
        tally.update(from_draws(DRAWS[..., 0], Binary()), LABELS)
    with pytest.raises(InputError, match="0 rows given, a score needs at least one"):
        Tally(Categorical()).scores()
