"""Differences of scores of the same rows: the error is that of the difference."""

import pytest
import torch

from examples.experiments.differences import added
from mcdrop.calibration import brier_score
from mcdrop.calibration.score import scored
from mcdrop.prediction import Categorical, from_draws


def test_the_error_is_that_of_the_differences_row_by_row() -> None:
    rows = torch.tensor([1.0, -1.0, 3.0, -3.0]), torch.tensor([0.0, 0.0, 4.0, -4.0])
    one, other = (scored(torch.tensor([value]), of) for value, of in zip((0.75, 0.25), rows, strict=True))
    # row by row the difference is 1, -1, -1, 1: variance 4 / 3, of the mean of four rows 1 / 3
    assert added({"nll": one}, {"nll": other}) == {"nll": pytest.approx((0.5, (1 / 3) ** 0.5))}


def test_errors_of_rows_and_draws_are_added_as_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(10, 20, 3, generator=generator)
    labels = torch.randint(3, (20,), generator=generator)
    average = brier_score(from_draws(draws, Categorical()), labels)
    fixed = brier_score(draws[0].softmax(dim=1), labels)
    difference = average - fixed
    assert difference.mc_error > 0
    value, error = added({"brier": average}, {"brier": fixed})["brier"]
    assert value == average.value - fixed.value
    assert error**2 == pytest.approx(difference.standard_error**2 + difference.mc_error**2)
