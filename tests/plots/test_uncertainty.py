import numpy as np
import pytest
import torch

from mcdrop.calibration import ErrorBins, Score
from mcdrop.errors import InputError
from mcdrop.plots.uncertainty import BINS, error_against_uncertainty, right_against_wrong

UNCERTAINTY = torch.tensor([0.0, 0.1, 0.1, 2.5, 2.5])
RIGHT = torch.tensor([True, True, True, True, False])


def test_each_group_is_drawn_as_shares_of_its_own_number(ax) -> None:
    assert right_against_wrong(UNCERTAINTY, RIGHT, ax) is ax
    right, wrong = (patch.get_data() for patch in ax.patches)
    np.testing.assert_allclose(right.edges, np.linspace(0, 2.5, BINS + 1))
    assert np.flatnonzero(right.values).tolist() == [0, 1, BINS - 1]  # .1 is the border of the first bin
    assert right.values[[0, 1, -1]].tolist() == [0.25, 0.5, 0.25]
    assert (wrong.values.sum(), wrong.values[-1]) == (1, 1)
    assert ax.get_legend_handles_labels()[1] == ["right: 4", "wrong: 1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predictive entropy (nats)", "share of its group")


def test_the_measure_is_named_with_its_unit(ax) -> None:
    right_against_wrong(UNCERTAINTY, RIGHT, ax, name="1 - confidence", unit="")
    assert ax.get_xlabel() == "1 - confidence"


def test_a_group_without_answers_is_drawn_empty(ax) -> None:
    right_against_wrong(UNCERTAINTY, torch.ones(5, dtype=torch.bool), ax)
    assert ax.patches[1].get_data().values.tolist() == [0] * BINS
    assert ax.get_legend_handles_labels()[1] == ["right: 5", "wrong: 0"]


def test_foreign_rows_are_a_third_group_on_the_same_scale(ax) -> None:
    right_against_wrong(UNCERTAINTY, RIGHT, ax, foreign=[4.9, 5.0])
    right, _, foreign = (patch.get_data() for patch in ax.patches)
    assert right.edges[-1] == 5
    assert (right.values.sum(), foreign.values[-1]) == (1, 1)
    assert ax.get_legend_handles_labels()[1][2] == "foreign: 2"


def test_pixels_are_answers(ax) -> None:
    right_against_wrong(torch.rand(2, 3, 4), torch.rand(2, 3, 4) > 0.5, ax)
    assert sum(int(label.split(": ")[1]) for label in ax.get_legend_handles_labels()[1]) == 24


@pytest.mark.parametrize(
    ("uncertainty", "right", "message"),
    [
        (torch.tensor([]), torch.tensor([], dtype=torch.bool), "uncertainty: no values"),
        (torch.tensor([float("nan")]), torch.tensor([True]), "uncertainty: 1 of 1 values are NaN"),
        (torch.tensor([0.1]), torch.tensor([True, False]), "1 uncertainties, 2 answers were given"),
        (torch.tensor([0.1]), torch.tensor([3]), "is_right of type int64 was given; expected booleans"),
    ],
)
def test_answers_that_do_not_fit_are_refused(uncertainty, right, message, ax) -> None:
    with pytest.raises(InputError, match=message):
        right_against_wrong(uncertainty, right, ax)


BINNED = ErrorBins(
    (Score(0.04, None, None), Score(1.0, None, None)), (Score(0.09, 0.01, None), Score(1.0, 0.6, 0.8)), (9, 9)
)


def test_points_are_roots_and_so_are_the_ends_of_their_bars(ax) -> None:
    assert error_against_uncertainty(BINNED, ax, unit="m") is ax
    points = ax.containers[0]
    np.testing.assert_allclose(points[0].get_xydata(), [[0.2, 0.3], [1, 1]])
    ends = np.array(points[2][0].get_segments())[..., 1]
    np.testing.assert_allclose(ends, [[0.07**0.5, 0.11**0.5], [0, 3**0.5]])  # two errors of 1 would end below 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted sd (m)", "RMSE (m), ± 2 errors")


def test_of_several_predictors_all_points_are_seen(ax) -> None:
    further = ErrorBins((Score(100.0, None, None),), (Score(400.0, None, None),), (9,))
    for bins, label in ((BINNED, "near"), (further, "far")):
        error_against_uncertainty(bins, ax, label=label)
    ax.figure.canvas.draw()
    assert ax.get_legend_handles_labels()[1] == ["calibrated", "near", "far"]
    assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0
    assert ax.get_xlim()[1] > 10
    assert ax.get_ylim()[1] > 20


@pytest.mark.parametrize(
    ("predicted", "errors", "message"),
    [
        ((), (), "predicted variances: no values"),
        ((1.0,), (), "squared errors: no values"),
        ((1.0, 2.0), (1.0,), "2 predicted variances, 1 squared errors were given"),
        ((-1.0,), (1.0,), "A predicted variance or a squared error below 0"),
        ((float("inf"),), (1.0,), "predicted variances: 1 of 1 values are NaN or infinite"),
    ],
)
def test_bins_that_do_not_fit_are_refused(predicted, errors, message, ax) -> None:
    scores = [tuple(Score(value, None, None) for value in values) for values in (predicted, errors)]
    with pytest.raises(InputError, match=message):
        error_against_uncertainty(ErrorBins(*scores, (1,)), ax)
