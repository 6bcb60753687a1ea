"""Where averaging does not help: tables and pictures by hand, and what the runs found."""

import math

import numpy as np
import pytest

from examples.experiments import no_gain
from examples.experiments.estimates import BOUND
from examples.experiments.no_gain_found import (
    PUBLISHED_GAIN,
    added_by_split,
    by_split,
    over_seeds,
    over_splits,
    recalibrated_by_split,
    runs,
)
from examples.experiments.no_gain_mnist import NUM_BINS, READINGS, STATES
from examples.experiments.no_gain_pictures import draw_set, draw_turned, pooled
from examples.experiments.no_gain_uci import AVERAGED, SCALED, WHERE

"""Paired standard errors that ten comparisons are held to."""

INPUTS, HIDDEN = "average, inputs", "average, hidden"


def split(rmse: float, added: float | None = None) -> dict:
    found = {"rmse": rmse, "nll": 0.0, "slope": 1.5, "train_rmse": rmse / 2}
    return found if added is None else {**found, "added": {"rmse": [added, 0.1], "nll": [0.0, 0.0]}}


def averaging(added: list[float]) -> dict:
    """Splits of RMSE 10 by weight scaling, and twice as much and none by masks on inputs and on hidden units."""
    return {
        SCALED: [split(10.0) for _ in added],
        AVERAGED: [split(10.0 + of, of) for of in added],
        INPUTS: [split(10.0 + 2 * of, 2 * of) for of in added],
        HIDDEN: [split(10.0, 0.0) for _ in added],
    }


def recalibration(scaled_error: float) -> dict:
    state = {"nll": 2.0, "coverage_error": scaled_error, "covered": 0.75, "fitted": 1.0}
    better = {**state, "nll": 1.5, "coverage_error": scaled_error - 0.25}
    of = {"as trained": state, "tau": better, "ranks": better}
    return {"tau": 4.0, "test_rows": 100, "splits": [{SCALED: of, AVERAGED: of}] * 2}


def digits(ece: float, added: float) -> dict:
    judged = {"error": 0.02, "nll": 0.5, "ece": ece, "modesty": 0.01, "bins": bins([100.0] * NUM_BINS)}
    differences = {"error": [0.001, 0.001], "nll": [added, 0.4], "ece": [0.0, 0.1]}
    return {
        "temperatures": dict.fromkeys(READINGS, 0.5),
        "scores": {reading: dict.fromkeys(STATES, judged) for reading in READINGS},
        "averaging": dict.fromkeys(STATES, differences),
        "turned": [dict.fromkeys(STATES, differences)] * 5,
    }


def bins(counts: list[float]) -> dict[str, list[float]]:
    """In each bin labels at its middle, half of them right."""
    middles = [(place + 0.5) / NUM_BINS for place in range(NUM_BINS)]
    forecast = [count * middle for count, middle in zip(counts, middles, strict=True)]
    return {"counts": counts, "forecast": forecast, "happened": [count / 2 for count in counts]}


@pytest.fixture
def numbers() -> dict:
    """Two seeds."""
    ablation = {"p = 0": {SCALED: [split(8.0), split(8.0)]}, "hidden only": averaging([-0.5, -0.5])}
    of_seeds = (
        {
            f"averaging, kin8nm, seed {seed}": averaging([1.0 + seed, 3.0 + seed]),
            f"ablation, kin8nm, seed {seed}": ablation,
            f"recalibration, kin8nm, seed {seed}": recalibration(0.5),
            f"averaging, yacht, seed {seed}": averaging([-1.0, 0.5]),
            f"digits, seed {seed}": digits(0.25 * seed, added=2.0 * seed),
        }
        for seed in (0, 1)
    )
    return {name: part for parts in of_seeds for name, part in parts.items()}


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def rows(text: str) -> list[list[str]]:
    return [cells(row) for row in text.splitlines()[2:]]


def test_seeds_are_averaged_in_each_split_before_splits_are_compared(numbers) -> None:
    kin8nm, yacht = rows(no_gain.averaging_table(numbers))
    # 1.5 and 3.5 in the two splits: mean 2.5, sd sqrt(2), error 1
    assert kin8nm[:5] == ["kin8nm", "10.0000", "+2.5000 ± 1.0000", "+5.0000 ± 2.0000", "+0.0000 ± 0.0000"]
    assert kin8nm[5:] == ["0 of 2", "+0.0020 ± 0.0001", "0 of 20"]
    assert yacht[5:] == ["1 of 2", "-0.067 ± 0.015", "17 of 20"]


def test_what_was_not_dropped_in_training_is_compared_with_the_published_network(numbers) -> None:
    first, average, hidden, hidden_average, plain = rows(no_gain.kin8nm_table(numbers))
    assert first[1:] == [SCALED, "10.0000", "-", "-", "5.0000", "1.500"]
    assert average[2:5] == ["12.5000", "+2.5000 ± 1.0000", "+2.5000 ± 1.0000"]
    assert hidden[2:5] == ["10.0000", "-", "+0.0000 ± 0.0000"]
    assert hidden_average[2:5] == ["9.5000", "-0.5000 ± 0.0000", "-0.5000 ± 0.0000"]
    assert plain[:5] == ["nothing", "one pass", "8.0000", "-", "-2.0000 ± 0.0000"]


def test_likelihoods_are_told_with_their_sign_and_only_of_sets_with_rows_held_out(numbers) -> None:
    (row,) = rows(no_gain.likelihood_table(numbers))
    assert row == ["kin8nm", "-2.000", "-2.000", "+0.000 ± 0.000", "-1.500", "-1.500", "+0.000 ± 0.000"]


def test_what_recalibration_adds_to_the_error_of_coverage(numbers) -> None:
    scaled, _ = rows(no_gain.coverage_table(numbers))
    change = "-0.250 ± 0.000"
    assert scaled == [f"kin8nm, {SCALED}", "0.750", "0.500", change, change, f"{no_gain.by_chance(100):.3f}"]


def test_the_error_by_chance_is_that_of_shares_of_uniform_ranks() -> None:
    """Shares of 50 uniform numbers below .05 ... .95: binomial, whose mean distance is the normal's to a per cent."""
    ranks = np.random.default_rng(0).random((20_000, 50))
    distances = [abs((ranks <= level).mean(axis=1) - level) for level in no_gain.LEVELS]
    assert no_gain.by_chance(50) == pytest.approx(np.mean(distances), rel=0.01)


def test_digits_are_averaged_over_seeds_with_rows_and_seeds_in_the_error(numbers) -> None:
    *scores, before, after = rows(no_gain.digits_table(numbers))
    assert [row[0] for row in scores] == [f"{reading}, {state}" for reading in READINGS for state in STATES]
    assert scores[0][1:] == ["2.00", "0.5000", "0.1250", "+1.00", "1.000"]
    assert scores[1][5] == "0.500"
    # 0 and 2 over seeds: sd / sqrt(2) = 1; rows .4
    assert before[1:] == ["+0.10 ± 0.10", f"+1.0000 ± {math.hypot(1, 0.4):.4f}", "+0.0000 ± 0.1000", "", ""]
    assert after[0] == "averaging adds, tempered"


def test_bins_of_few_labels_are_left_empty_and_errors_are_those_of_one_seed() -> None:
    many, few = bins([100.0] * NUM_BINS), bins([19.0, 20.0, *[300.0] * (NUM_BINS - 2)])
    assert pooled([few]).counts.tolist()[:3] == [0, 20, 300]
    assert pooled([few]).frequency.isnan().tolist()[:2] == [True, False]
    both = pooled([many, few])
    assert both.counts[2] == 200
    assert both.forecast[2] == pytest.approx(0.25)
    assert both.standard_error[2] == pytest.approx((0.25 / 199) ** 0.5)


def test_points_are_splits_in_per_cent_of_weight_scaling(numbers) -> None:
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    draw_set(numbers, "kin8nm", ax)
    points = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [list(of.get_ydata()) for of in points] == [[15, 35], [30, 70], [0, 0]]
    (theirs,) = (line for line in ax.get_lines() if line.get_marker() == "D")
    assert theirs.get_ydata()[0] == pytest.approx(100 * 0.00204 / 0.0944)


def test_turned_digits_are_drawn_against_the_angle(numbers) -> None:
    (ax,) = draw_turned(numbers).axes
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 5]
    assert [list(line.get_ydata()) for line in lines[:1]] == [[1.0] * 5]


def test_tables_and_pictures_are_made_of_the_numbers_alone(numbers) -> None:
    assert set(no_gain.tables(numbers)) == {"averaging", "kin8nm", "likelihood", "coverage", "digits"}
    assert set(no_gain.pictures(numbers)) == {"splits", "reliability", "turned"}


def test_quick_and_full_parts_have_names_that_the_tables_look_for() -> None:
    for quick in (True, False):
        kinds = {name.split(", seed")[0] for name in no_gain.parts(quick)}
        assert {"averaging, kin8nm", "ablation, kin8nm", "recalibration, kin8nm", "averaging, yacht", "digits"} <= kinds
    assert len(no_gain.parts(False)) == 3 * (2 * len(no_gain.SPLITS) + 2)


@pytest.mark.slow
def test_on_kin8nm_masks_on_the_inputs_do_harm_and_training_with_them_did(quick_run) -> None:
    numbers = quick_run("no_gain")
    (found,), (ablated,) = runs(numbers, "averaging, kin8nm"), runs(numbers, "ablation, kin8nm")
    for place, everywhere in enumerate(found[AVERAGED]):
        for reading in (everywhere, found[INPUTS][place]):
            value, error = reading["added"]["rmse"]
            assert value > BOUND * error
        # a linear layer follows: the average is the weight-scaled network but for the draws
        assert abs(found[HIDDEN][place]["added"]["rmse"][0]) < 5e-4 * everywhere["rmse"]
        assert everywhere["slope"] > found[SCALED][place]["slope"] > 1  # the average is too flat, and flatter
        assert ablated["p = 0"][SCALED][place]["rmse"] < found[SCALED][place]["rmse"]


@pytest.mark.slow
def test_on_yacht_the_same_average_helps(quick_run) -> None:
    assert over_splits(added_by_split(runs(quick_run("no_gain"), "averaging, yacht"), AVERAGED)).z < -BOUND


@pytest.mark.slow
def test_a_tau_of_rows_held_out_mends_what_averaging_had_mended(quick_run) -> None:
    found = runs(quick_run("no_gain"), "recalibration, kin8nm")
    likelihood = {
        (reading, state): -recalibrated_by_split(found, reading, state, "nll")
        for reading in (SCALED, AVERAGED)
        for state in ("as trained", "tau")
    }
    gain = {state: (likelihood[AVERAGED, state] - likelihood[SCALED, state]).mean() for state in ("as trained", "tau")}
    assert gain["as trained"] > 0
    assert abs(gain["tau"]) < gain["as trained"] / 4
    for reading in (SCALED, AVERAGED):
        before, after = (
            recalibrated_by_split(found, reading, state, "coverage_error").mean() for state in ("as trained", "tau")
        )
        assert after < before


@pytest.mark.slow
def test_heavy_dropout_makes_averages_modest_and_a_temperature_mends_that(quick_run) -> None:
    (found,) = runs(quick_run("no_gain"), "digits")
    assert_modest(found["averaging"], found["scores"], found["temperatures"])


def assert_modest(averaging: dict, scores: dict, temperatures: dict) -> None:
    """At equal error the average is under-confident, by NLL and ECE, until it is tempered."""
    before, after = (averaging[state] for state in STATES)
    assert abs(before["error"][0]) < BOUND * before["error"][1]
    assert before["ece"][0] > BOUND * before["ece"][1]
    assert before["nll"][0] > BOUND * before["nll"][1]
    assert scores[AVERAGED]["as trained"]["modesty"] > abs(scores[SCALED]["as trained"]["modesty"])
    assert temperatures[AVERAGED] < temperatures[SCALED]
    assert after["ece"][0] < BOUND * after["ece"][1]
    assert after["nll"][0] < BOUND * after["nll"][1]


def test_full_run_averaging_raises_the_rmse_on_kin8nm_by_masks_on_the_inputs(full_run) -> None:
    numbers = full_run("no_gain")
    found = runs(numbers, "averaging, kin8nm")
    everywhere, inputs, hidden = (added_by_split(found, where) for where in WHERE)
    assert over_splits(everywhere).z > BOUND
    assert (everywhere > 0).all()
    assert (inputs > 0).all()
    # a linear layer follows: the average is the weight-scaled network but for the draws
    assert (abs(hidden) < 5e-4 * by_split(found, SCALED, "rmse")).all()
    # five of the published splits: the difference of the mean to theirs, with both errors
    ours, theirs = over_splits(everywhere), PUBLISHED_GAIN["kin8nm"].added
    assert abs(ours.value - theirs.value) < BOUND * math.hypot(ours.error, theirs.error)
    slopes = [by_split(found, reading, "slope") for reading in (SCALED, AVERAGED)]
    assert (slopes[1] > slopes[0]).all()
    assert (slopes[0] > 1).all()


def test_full_run_dropout_costs_accuracy_on_kin8nm_already_in_training(full_run) -> None:
    numbers = full_run("no_gain")
    published, ablated = runs(numbers, "averaging, kin8nm"), runs(numbers, "ablation, kin8nm")
    first = by_split(published, SCALED, "rmse")
    hidden, plain = (by_split([seed[way] for seed in ablated], SCALED, "rmse") for way in ("hidden only", "p = 0"))
    assert over_splits(hidden - first).z < -BOUND
    assert over_splits(plain - first).z < -BOUND


def test_full_run_on_yacht_averaging_helps(full_run) -> None:
    assert over_splits(added_by_split(runs(full_run("no_gain"), "averaging, yacht"), AVERAGED)).z < -BOUND


def test_full_run_a_tau_of_its_own_gives_one_pass_most_of_what_averaging_adds_on_kin8nm(full_run) -> None:
    found = runs(full_run("no_gain"), "recalibration, kin8nm")
    gain = {}
    for state in ("as trained", "tau"):
        scaled, averaged = (-recalibrated_by_split(found, of, state, "nll") for of in (SCALED, AVERAGED))
        gain[state] = over_splits(averaged - scaled)
    assert gain["as trained"].z > BOUND
    assert gain["tau"].value < gain["as trained"].value / 2
    before, after = (recalibrated_by_split(found, SCALED, of, "coverage_error") for of in ("as trained", "tau"))
    assert over_splits(after - before).z < -BOUND


def test_full_run_heavy_dropout_makes_averages_modest_and_a_temperature_mends_that(full_run) -> None:
    found = runs(full_run("no_gain"), "digits")
    for seed in found:
        assert_modest(seed["averaging"], seed["scores"], seed["temperatures"])
    upright, *_, turned = (
        {state: over_seeds([seed["turned"][at][state]["nll"] for seed in found]) for state in STATES} for at in range(5)
    )
    assert turned["as trained"].z < -BOUND
    assert turned["tempered"].z > BOUND
    assert abs(upright["tempered"].z) < BOUND
