"""Averages over seeds: their errors against those of the averaged rows, and by hand."""

import json
import math

import numpy as np
import pytest
import torch

from mcdrop.calibration import Score
from mcdrop.calibration.score import scored
from mcdrop.errors import InputError
from mcdrop.training.over_seeds import average, gap

RNG = np.random.default_rng(0)


def drawn(seeds: int = 3, rows: int = 50, draws: int = 12, shift: float = 0.0) -> tuple[torch.Tensor, list[Score]]:
    """Losses (S, T, N), and the score of each seed: the mean over draws and rows."""
    losses = torch.from_numpy(RNG.normal(shift, 1.0, (seeds, draws, rows))) + torch.arange(seeds)[:, None, None] / 10
    scores = []
    for each in losses:
        without = torch.stack([torch.cat([each[:t], each[t + 1 :]]).mean() for t in range(draws)])
        by_row = each.mean(dim=0)
        scores.append(scored(torch.cat([each.mean()[None], without]), by_row - by_row.mean(), (1,) * draws))
    return losses, scores


def test_its_errors_are_those_of_the_mean_over_seeds() -> None:
    losses, scores = drawn()
    mean = average(scores)
    assert mean.value == pytest.approx(float(losses.mean()))
    by_row, by_draw, by_seed = (losses.mean(dim=dims) for dims in ((0, 1), (0, 2), (1, 2)))
    assert mean.score.standard_error == pytest.approx(float(by_row.std()) / math.sqrt(50))
    assert mean.score.mc_error == pytest.approx(float(by_draw.std()) / math.sqrt(12))
    assert mean.seed_error == pytest.approx(float(by_seed.std()) / math.sqrt(3))
    assert mean.per_seed == pytest.approx(by_seed.tolist())
    expected = math.hypot(mean.score.standard_error, mean.score.mc_error, mean.seed_error)
    assert mean.total_error == pytest.approx(expected)


def test_a_difference_pairs_rows_draws_and_seeds() -> None:
    (one, of_one), (other, of_other) = drawn(), drawn(shift=0.5)
    difference = average(of_one) - average(of_other)
    apart = one - other
    assert difference.value == pytest.approx(float(apart.mean()))
    assert difference.score.standard_error == pytest.approx(float(apart.mean(dim=(0, 1)).std()) / math.sqrt(50))
    assert difference.score.mc_error == pytest.approx(float(apart.mean(dim=(0, 2)).std()) / math.sqrt(12))
    assert difference.seed_error == pytest.approx(float(apart.mean(dim=(1, 2)).std()) / math.sqrt(3))


def test_without_draws_and_with_one_seed_the_rows_alone_have_an_error() -> None:
    losses = torch.tensor([1.0, 2.0, 6.0])
    mean = average([scored(losses.mean()[None], losses - 3.0)])
    assert (mean.value, mean.score.mc_error, mean.seed_error) == (3.0, None, None)
    assert mean.total_error == mean.score.standard_error == pytest.approx(math.sqrt(7 / 3))
    assert str(mean) == "3 ± 1.5 (rows)"
    assert json.loads(json.dumps(mean.to_dict())) == {
        "value": 3.0, "standard_error": pytest.approx(math.sqrt(7 / 3)), "mc_error": None, "seed_error": None,
        "per_seed": [3.0],
    }  # fmt: skip


def test_the_gap_pairs_seeds_alone() -> None:
    _, of_test = drawn(rows=50)
    _, of_train = drawn(rows=30)
    test, train = average(of_test), average(of_train)
    value, error = gap(test, train)
    assert value == pytest.approx(test.value - train.value)
    by_seed = np.array(test.per_seed) - np.array(train.per_seed)
    parts = [each for mean in (test, train) for each in (mean.score.standard_error, mean.score.mc_error)]
    assert error == pytest.approx(math.hypot(by_seed.std(ddof=1) / math.sqrt(3), *parts))
    with pytest.raises(InputError, match="50 and of 30 rows"):
        test - train
