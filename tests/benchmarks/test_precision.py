import pytest
import torch
from torch import nn

import mcdrop
from tests.benchmarks import precision
from tests.benchmarks.precision import NAIVE, Point, Precision, Problem


@pytest.fixture
def problem() -> Problem:
    """One row of ones through 40 weights of 1: the mean output is 40, the variance 40 p / (1 - p)."""
    head = nn.Linear(40, 1, bias=False)
    nn.init.ones_(head.weight)
    return Problem("sum", nn.Sequential(nn.Dropout(0.2), head), torch.ones(1, 40), lambda outputs: outputs, floor=2)


def test_independent_draws_err_by_their_variance_over_t(problem) -> None:
    truth, variance = precision._truth(problem, draws=4000)
    assert truth.item() == pytest.approx(40, abs=0.05)
    assert variance == pytest.approx(10, rel=0.1)  # 4000 draws: standard error 2 %
    found = precision.squared_errors(problem, mcdrop.Independent(), torch.full((1, 1), 40.0), 4000, (20, 100))
    assert found[20] == pytest.approx(10 / 20, rel=0.4)  # 200 stretches: standard error 10 %
    assert found[100] == pytest.approx(10 / 100, rel=0.9)  # 40 stretches: 22 %


def test_whole_blocks_give_an_additive_output_almost_without_error(problem) -> None:
    """Each unit is dropped 4 times in 20, but for the rounding of p to 16 bits. Independent draws err by .5."""
    found = precision.squared_errors(problem, mcdrop.Stratified(20), torch.full((1, 1), 40.0), 1000, (20, 100))
    assert max(found.values()) < 1e-3


def test_every_way_is_timed_in_every_round_at_every_t(problem, monkeypatch) -> None:
    monkeypatch.setattr("tests.benchmarks.speed.AT_LEAST", 1e-4)
    found = precision.measure(problem, 2, draws=1000, passes=(20, 100))
    assert set(found.curves) == {NAIVE, *precision.DESIGNS}
    assert all(len(point.seconds) == 2 for points in found.curves.values() for point in points)
    assert found.best == "Stratified(block=20)"


def test_the_gain_is_time_times_squared_error() -> None:
    def at(seconds, error):
        return [Point(precision.AT, seconds, error)]

    found = Precision(
        "p", 1, 20.0,
        {NAIVE: at([8.0, 6.0], 3.0), "quick": at([1.0, 1.0], 3.0), "precise": at([2.0, 2.0], 0.5)},
    )  # fmt: skip
    assert found.best == "precise"
    assert found.fewer == 6
    assert found.gains == [24.0, 18.0]
    assert found.holds
