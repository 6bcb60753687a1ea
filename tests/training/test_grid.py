"""The record of a search: what ties, what is printed, and what predicts."""

import json

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration.score import scored
from mcdrop.data.scaling import measure
from mcdrop.training import Choice, Search
from mcdrop.training.units import Units

ROWS = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)  # of each score: standard error 1 / sqrt(3)
OTHER = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)


def score(loss: float, influence: torch.Tensor = ROWS):
    return scored(torch.tensor([loss]), influence)


LOSSES = ((score(3.0), score(2.0)), (score(2.001), score(3.5, OTHER)))
UNITS = Units(torch.float32)


def choice(model: nn.Module, units: Units = UNITS, *, is_random: bool = True) -> Choice:
    return Choice((0.0, 0.5), (1.0, 4.0), LOSSES, (0, 1), model, units, is_random)


def test_ties_are_told_by_paired_errors() -> None:
    """Rows that are equally hard for both leave no error at all: a difference of .001 is one then, and 1.5 is none
    between scores of which other rows are the hard ones."""
    found = choice(nn.Identity())
    assert (found.rate, found.precision) == (0.0, 4.0)
    assert found.ties == ((0.5, 4.0),)
    assert found.log_likelihood.tolist() == [[-3.0, -2.0], [pytest.approx(-2.001), -3.5]]
    assert found.standard_error == pytest.approx(torch.full((2, 2), 3**-0.5, dtype=torch.float64))


def test_the_table_marks_the_best_and_its_ties() -> None:
    lines = str(Search((choice(nn.Identity()),), 10, 0)).splitlines()
    assert lines[:3] == [
        "         tau = 1       tau = 4",
        "p = 0    -3 ± 0.6      -2 ± 0.6 *",
        "p = 0.5  -2.001 ± 0.6  -3.5 ± 0.6 ~",
    ]
    two = Search((choice(nn.Identity()), choice(nn.Identity())), 10, 0)
    assert str(two).splitlines()[1] == (
        "part 1: p = 0, tau = 4, validation log-likelihood -2 ± 0.6; within 2 errors of it: 1 of the 3 others"
    )
    record = json.loads(json.dumps(two.to_dict()))
    assert record["choices"][1]["ties"] == [[0.5, 4.0]]
    assert (record["choices"][0]["rate"], record["choices"][0]["precision"]) == (0.0, 4.0)


def test_predict_is_mc_dropout_in_the_units_of_the_data() -> None:
    x, y = torch.randn(9, 2, dtype=torch.float64), torch.randn(9, 1, dtype=torch.float64) * 5 + 3
    units = Units.measured(measure, x, y, torch.float32)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)).eval()
    of_x, of_y = measure(x), measure(y)
    prediction = choice(model, units).predict(x, num_samples=20, seed=7)
    theirs = mcdrop.MCDropout(model, likelihood=mcdrop.Gaussian(4.0), num_samples=20, seed=7)(
        of_x.standardise(x).float()
    )
    torch.testing.assert_close(prediction.mean, of_y.restore(theirs.mean))
    torch.testing.assert_close(prediction.epistemic, theirs.epistemic * of_y.std**2)
    assert (prediction.aleatoric == 0.25).all()


def test_predict_without_dropout_is_one_pass() -> None:
    model = nn.Linear(2, 1)
    x = torch.randn(5, 2)
    prediction = choice(model, is_random=False).predict(x)
    assert prediction.num_samples == 1
    torch.testing.assert_close(prediction.mean.float(), model(x))
