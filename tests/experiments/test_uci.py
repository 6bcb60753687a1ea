"""Table 1 of 2016 and what else is measured on its networks: the arithmetic, a quick run, and the stored full run."""

import json
import math

import numpy as np
import pytest
import torch

from examples.experiments import uci, uci_page
from examples.experiments.estimates import BOUND, mean_and_error
from examples.experiments.published import Paired
from examples.experiments.uci_page import against_published, by_split, verdict
from examples.experiments.uci_runs import PUBLISHED
from mcdrop.data.uci import Split


@pytest.fixture
def numbers():
    """Two splits, two seeds: ours is the published RMSE + 1 and log-likelihood - .5 in every split."""

    def part(shift: float) -> dict:
        rmse, ll = [3.0 + shift, 5.0 + shift], [-2.5, -3.5]
        shares = [[0.25, 0.75, 0.75, 1.0], [0.75, 0.75, 1.0, 1.0]]
        return {
            "forest": {"rmse": rmse, "ll": ll, "coverage": shares},
            "forest, fitted": {"ll": [-2.0, -2.0], "tau": [0.125, 0.375], "coverage": shares},
            "single net": {"rmse": [4.0, 6.5], "ll": [-4.5, -6.5]},
            "single net, fitted": {"ll": [-3.0, -3.5]},
        }

    without = {"single net": {"rmse": [4.0, 7.0], "ll": [-3.5, -5.5]}}
    published = {"boston": {"scores": [[2.0, -2.0], [4.0, -3.0]], "tau": 0.1597}}
    return {
        "published": published, "boston, seed 0": part(-1.0), "boston, seed 1": part(1.0),
        "boston without dropout, seed 0": without, "boston without dropout, seed 1": without,
    }  # fmt: skip


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_scores_are_averaged_over_seeds_and_paired_by_split(numbers) -> None:
    np.testing.assert_allclose(by_split(numbers, "boston", "forest", "rmse"), [3.0, 5.0])
    difference = against_published(numbers, "boston")
    assert difference["rmse"].difference == pytest.approx(1.0)
    assert difference["rmse"].error == pytest.approx(0.03)  # the floor: 1 % of 3
    assert difference["ll"].difference == pytest.approx(-0.5)


def test_tables_hold_the_means_over_splits_with_their_errors(numbers) -> None:
    found = {name: cells(text) for name, text in uci_page.tables(numbers).items()}
    assert found["published"] == [
        ["boston, RMSE", "4.00 ± 1.00", "3.00 ± 1.00", "+1.000 ± 0.030", "+33.3", "no"],
        ["boston, log-likelihood", "-3.00 ± 0.50", "-2.50 ± 0.50", "-0.500 ± 0.010", "-50.0", "no"],
    ]
    assert found["averaging"] == [
        ["boston", "-1.25 ± 0.25", "-0.005 ± 0.010", "+2.50 ± 0.50", "+1.25 ± 0.25"],
    ]
    assert found["ablation"] == [
        ["RMSE", "4.00 ± 1.00", "5.50 ± 1.50", "+1.50 ± 0.50", "3.07"],
        ["log-likelihood", "-3.00 ± 0.50", "-4.50 ± 1.00", "-1.50 ± 0.50", "-2.59"],
    ]
    assert found["precision"] == [
        ["boston", "0.1597", "0.25", "0.125 to 0.375", "-3.00 ± 0.50", "-2.00 ± 0.00", "+1.00 ± 0.50"],
    ]
    shares = ["50.00 ± 25.00", "75.00 ± 0.00", "87.50 ± 12.50", "100.00 ± 0.00"]
    assert found["coverage"] == [["boston, tau published", *shares], ["boston, tau fitted", *shares]]


def test_what_a_quick_run_leaves_out_is_left_out(numbers) -> None:
    for part in numbers.values():
        part.pop("forest, fitted", None)
        part.pop("single net, fitted", None)
    found = {name: cells(text) for name, text in uci_page.tables(numbers).items()}
    assert found["precision"] == []
    assert [row[0] for row in found["coverage"]] == ["boston, tau published"]
    assert found["averaging"][0][-1] == ""


def test_pictures_show_the_tables(numbers) -> None:
    pictures = {name: figure for name, (_, figure) in uci_page.pictures(numbers).items()}
    rmse, log_likelihood = pictures["scores"].axes
    (points, _, (bars,)) = rmse.containers[0]
    assert points.get_xdata() == pytest.approx([100 / 3])  # 1 in 3
    assert bars.get_segments()[0][:, 0] == pytest.approx([100 / 3 - BOUND, 100 / 3 + BOUND])  # the floor is 1 %
    assert log_likelihood.containers[0][0].get_xdata() == pytest.approx([-0.5])
    (intervals,) = pictures["intervals"].axes
    points, _, (bars,) = intervals.containers[0]
    np.testing.assert_allclose(points.get_xydata(), [[0.5, 0.5], [0.8, 0.75], [0.9, 0.875], [0.95, 1.0]])
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [0.0, 1.0])  # .5 ± 2 * .25


@pytest.mark.parametrize(
    ("score", "difference", "said"),
    [
        ("rmse", 2.5, "yes"), ("rmse", 2.7, "no"), ("rmse", -2.7, "better"),
        ("ll", -2.5, "yes"), ("ll", -2.7, "no"), ("ll", 2.7, "better"),
    ],
)  # fmt: skip
def test_what_is_outside_the_bound_is_worse_or_better(score, difference, said) -> None:
    assert verdict(score, Paired(difference, 1.0)) == said


def test_the_published_effect_of_averaging_is_that_of_the_publishers_files(data_dir) -> None:
    found = json.loads((data_dir / "uci" / "WEIGHT_SCALING_VS_MC.json").read_text())
    for name, (difference, error) in uci_page.PUBLISHED_AVERAGING.items():
        files = found[name]["results"]
        assert difference == pytest.approx(files["paired_diff_mc_minus_ws"], abs=5.1e-5)
        assert error == pytest.approx(files["paired_diff_se"] * math.sqrt(20 / 19), abs=5.1e-5)  # there: divisor splits


def test_tau_is_fitted_to_the_last_fifth_of_the_training_rows() -> None:
    rows = torch.arange(22.0, dtype=torch.float64)[:, None]
    split = Split(rows[:11], rows[:11] + 1, rows[11:], rows[11:], (0.1,), (1.0,))
    part = uci.first_part(split)
    assert part.train_x.flatten().tolist() == list(range(8))
    assert part.test_x.flatten().tolist() == [8, 9, 10]
    assert torch.equal(part.train_y, part.train_x + 1)
    assert torch.equal(part.test_y, part.test_x + 1)


def test_stored_numbers_keep_six_digits() -> None:
    assert uci.by_score([{"ll": 1 / 3, "coverage": [2 / 3, 1.0]}, {"ll": -200 / 3, "coverage": [0.5, 0.0]}]) == {
        "ll": [0.333333, -66.6667],
        "coverage": [[0.666667, 1.0], [0.5, 0.0]],
    }


@pytest.mark.slow
def test_one_seed_is_within_the_bound_of_the_published_scores(quick_run) -> None:
    numbers = quick_run("uci")
    for name in uci.QUICK_SETS:
        for score, difference in against_published(numbers, name).items():
            assert verdict(score, difference) != "no", (name, score, difference)


def gain(numbers, name: str, score: str, one: str, other: str) -> float:
    """How much larger a score of one predictor is than of another, in paired standard errors."""
    mean, error = mean_and_error(by_split(numbers, name, one, score) - by_split(numbers, name, other, score))
    return mean / error


def test_all_scores_are_within_the_bound_of_the_published(full_run) -> None:
    numbers = full_run("uci")
    for name in PUBLISHED:
        for score, difference in against_published(numbers, name).items():
            assert verdict(score, difference) != "no", (name, score, difference)


def test_averaging_helps_rmse_on_yacht_and_harms_it_on_kin8nm(full_run) -> None:
    found = {name: gain(full_run("uci"), name, "rmse", "forest", "single net") for name in PUBLISHED}
    assert found["yacht"] < -BOUND
    assert found["kin8nm"] > BOUND
    assert all(abs(found[name]) < BOUND for name in ("boston", "energy", "wine"))


def test_averaging_adds_to_the_rmse_what_it_adds_in_the_authors_files(full_run) -> None:
    for name, (published, its_error) in uci_page.PUBLISHED_AVERAGING.items():
        forest, single = (by_split(full_run("uci"), name, who, "rmse") for who in ("forest", "single net"))
        mean, error = mean_and_error(forest - single)
        assert abs(mean - published) < BOUND * math.hypot(error, its_error), name


def test_each_with_its_tau_the_forest_is_better_on_three_sets_and_worse_on_energy(full_run) -> None:
    found = {name: gain(full_run("uci"), name, "ll", "forest, fitted", "single net, fitted") for name in PUBLISHED}
    assert min(found["yacht"], found["wine"], found["kin8nm"]) > BOUND
    assert found["energy"] < -BOUND
    assert 2 < found["boston"] < 3


def test_without_dropout_boston_is_worse_and_as_published(full_run) -> None:
    without = {
        score: by_split(full_run("uci"), uci_page.WITHOUT_DROPOUT, "single net", score) for score in ("rmse", "ll")
    }
    assert mean_and_error(without["ll"] - by_split(full_run("uci"), "boston", "forest", "ll"))[0] < -0.1
    for score, text in uci_page.PUBLISHED_WITHOUT_DROPOUT.items():
        mean, error = mean_and_error(without[score])
        assert abs(mean - float(text)) < BOUND * error


def test_a_fitted_tau_helps_on_yacht_alone(full_run) -> None:
    found = {name: gain(full_run("uci"), name, "ll", "forest, fitted", "forest") for name in PUBLISHED}
    assert found["yacht"] > BOUND
    assert all(found[name] < 1 for name in PUBLISHED if name != "yacht")


def test_inner_intervals_are_too_wide_and_no_tau_mends_energy(full_run) -> None:
    numbers = full_run("uci")
    for name in PUBLISHED:
        inner, error = mean_and_error(by_split(numbers, name, "forest", "coverage")[:, 0])
        assert inner > 0.5 + BOUND * error
    half, *_, most = by_split(numbers, "energy", "forest, fitted", "coverage").T
    assert mean_and_error(half)[0] > 0.6
    assert mean_and_error(most)[0] + BOUND * mean_and_error(most)[1] < 0.95
