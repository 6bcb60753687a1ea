import numpy as np
import pytest
import torch

from mcdrop.calibration import PredictionIntervals, PredictionSets
from mcdrop.errors import InputError

SETS = PredictionSets(torch.tensor([[True, False, True], [False, False, False], [True, True, True]]), alpha=0.1)
INTERVALS = PredictionIntervals(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 2.0], [1.0, 9.0]]), 0.1)


def test_sizes_and_coverage_of_sets_by_hand():
    assert len(SETS) == 3
    assert SETS.sizes.tolist() == [2, 0, 3]
    score = SETS.coverage(np.array([2, 0, 1]))
    assert score.value == pytest.approx(2 / 3)
    assert score.standard_error == pytest.approx(np.std([1, 0, 1], ddof=1) / 3**0.5)
    assert score.mc_error is None


def test_widths_and_coverage_of_intervals_by_hand_ends_included():
    assert len(INTERVALS) == 2
    assert INTERVALS.widths.tolist() == [[1, 2], [0, 8]]
    score = INTERVALS.coverage(np.array([[1.0, 3.0], [1.0, 5.0]]))
    assert score.value == 0.75
    assert score.standard_error == pytest.approx(np.std([0.5, 1], ddof=1) / 2**0.5)


def test_coverages_of_the_same_rows_are_paired():
    other = PredictionIntervals(INTERVALS.lower, INTERVALS.upper - 2, 0.1)
    y = np.array([[1.0, 1.0], [1.0, 5.0]])
    assert (INTERVALS.coverage(y) - other.coverage(y)).value == 0.75


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="labels of 3 classes go from 0 to 2"):
        SETS.coverage(np.array([3, 0, 1]))
    with pytest.raises(InputError, match=r"Targets of shape \(3,\) given"):
        INTERVALS.coverage(np.zeros(3))
    with pytest.raises(InputError, match="0 rows given, a coverage needs at least one"):
        PredictionSets(SETS.members[:0], 0.1).coverage(np.zeros(0, dtype=np.int64))
    with pytest.raises(InputError, match="0 rows given"):
        PredictionIntervals(INTERVALS.lower[:0], INTERVALS.upper[:0], 0.1).coverage(np.zeros((0, 2)))


@pytest.mark.parametrize(
    "happened", [torch.tensor([1, 0]), torch.tensor([True, False]), torch.tensor([[1.0], [0.0]]), np.array([1, 0])]
)
def test_sets_of_events_take_what_a_prediction_of_events_takes(happened):
    sets = PredictionSets(torch.tensor([[False, True], [False, True]]), alpha=0.1, of_events=True)
    assert sets.coverage(happened).value == 0.5
