"""Averages over seeds and splits, by hand."""

import pytest

from examples.experiments.no_gain_found import (
    Estimate,
    added_by_split,
    by_split,
    over_seeds,
    over_splits,
    recalibrated_by_split,
    runs,
    sets,
)


def test_the_error_over_splits_is_that_of_a_mean() -> None:
    assert over_splits([1.0, 2.0, 3.0]) == Estimate(2.0, pytest.approx(3**-0.5))


def test_the_error_over_seeds_holds_that_of_the_rows_which_all_seeds_share() -> None:
    assert over_seeds([(1.0, 4.0), (7.0, 4.0)]) == Estimate(4.0, 5.0)  # sd / sqrt(2) of 1 and 7 is 3
    assert over_seeds([(2.0, 0.5)]) == Estimate(2.0, 0.5)


def test_z_is_value_over_error() -> None:
    assert Estimate(-3.0, 2.0).z == -1.5


def test_parts_are_found_by_kind_and_set() -> None:
    numbers = {"averaging, energy, seed 0": 1, "averaging, yacht, seed 0": 2, "averaging, energy, seed 1": 3}
    assert sets(numbers) == ["energy", "yacht"]
    assert runs(numbers, "averaging, energy") == [1, 3]
    assert runs(numbers, "averaging") == []


def test_splits_are_averaged_over_seeds() -> None:
    def measured(seed: float) -> dict:
        first = {"rmse": 1.0 + seed, "added": {"rmse": [-seed, 9.0]}}
        return {"average": [first, {"rmse": 5.0, "added": {"rmse": [2.0, 9.0]}}]}

    seeds = [measured(0.0), measured(2.0)]
    assert by_split(seeds, "average", "rmse").tolist() == [2.0, 5.0]
    assert added_by_split(seeds, "average").tolist() == [-1.0, 2.0]


def test_recalibrated_splits_are_averaged_over_seeds() -> None:
    seeds = [
        {"splits": [{"average": {"tau": {"nll": 1.0 + seed}}}, {"average": {"tau": {"nll": 0.0}}}]} for seed in (0, 2)
    ]
    assert recalibrated_by_split(seeds, "average", "tau", "nll").tolist() == [2.0, 0.0]
