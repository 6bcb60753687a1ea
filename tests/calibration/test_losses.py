import math

import numpy as np
import pytest
import torch

from mcdrop.calibration import Score, Tally, brier_score
from mcdrop.calibration.losses import group_counts, row_losses
from mcdrop.prediction import Categorical, from_draws


def test_losses_of_two_rows_by_hand():
    probs = np.array([[0.5, 0.5], [0.2, 0.8]])
    losses = row_losses(("accuracy", "brier_score", "negative_log_likelihood"), probs, np.array([1, 1]))
    assert losses["accuracy"].spread.centre.tolist() == [0.5]  # ties go to the first class
    assert losses["brier_score"].spread.centre.item() == pytest.approx((0.5 + 0.08) / 2)
    assert losses["negative_log_likelihood"].spread.centre.item() == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert losses["accuracy"].spread.squares.tolist() == [0.5]
    assert {each.spread.weight for each in losses.values()} == {2}
    assert losses["brier_score"].rows.tolist() == pytest.approx([0.5, 0.08])


def test_the_others_leave_one_draw_out():
    draws = np.array([[[0.9, 0.1]], [[0.3, 0.7]], [[0.5, 0.5]]])
    prediction = from_draws(torch.from_numpy(draws), Categorical(probs=True))
    losses = row_losses(("brier_score",), prediction, torch.tensor([0]))["brier_score"].spread
    assert group_counts(prediction) == (1, 1, 1)
    without = [2 * (1 - p) ** 2 for p in (1.7 / 3, 0.4, 0.7, 0.6)]
    np.testing.assert_allclose(losses.centre, without, rtol=1e-12)


def test_one_impossible_target_makes_the_likelihood_of_all_batches_infinite_and_not_nan():
    rows = torch.tensor([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    prediction, labels = from_draws(rows.expand(4, 4, 2), Categorical(probs=True)), torch.tensor([1, 0, 1, 1])
    for order in ([0, 1, 2, 3], [1, 0, 2, 3], [1, 3, 0, 2]):
        tally = Tally.of(Categorical(probs=True), ["negative_log_likelihood", "brier_score"])
        for row in order:
            tally = tally.update(prediction[[row]], labels[[row]])
        assert tally.scores()["negative_log_likelihood"] == Score(math.inf, None, None)
        assert tally.scores()["brier_score"].value == brier_score(prediction, labels).value
