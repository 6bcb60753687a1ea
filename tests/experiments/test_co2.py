"""Uncertainty beyond the data: what Gal & Ghahramani 2016, section 5.1, say of it, on our networks."""

import math

import numpy as np
import pytest
from torch import nn

from examples.experiments import co2
from examples.experiments.lines import from_line

MC_ERROR = 1 / math.sqrt(2 * (co2.SAMPLES - 1))
"""Relative standard error of a standard deviation of so many normal draws."""


def numbers_of_nets(value: float) -> dict:
    line = " ".join(["0.5"] * 41)
    return {
        "RMSE": [1.0, 2.0, 3.0],
        "RMSE, dropout off": [0.5, 0.5, 0.5],
        "in range": [1.0, 2.0, 2.0],
        "at x*": [value, value, value],
        "std by distance": [line, line, line],
        "mean": "0 0 0 9",
        "std": "0.1 0.2 0.3 9",
    }


def test_the_table_holds_means_over_networks_and_their_standard_errors() -> None:
    process = {"RMSE": 0.1, "in range": 0.2, "at x*": 0.8, "std by distance": " ".join(["1"] * 41)}
    process["y"] = "0.1 -0.2 1.5"
    process["distances"] = " ".join(f"{distance:g}" for distance in co2.distances().tolist())
    numbers = {"Gaussian process": process, "ReLU": numbers_of_nets(2.0), "tanh": numbers_of_nets(0.0)}
    spread = co2.tables(numbers)["spread"].splitlines()
    assert spread[2] == (  # sd of 1, 2, 3 is 1, over the root of 3; ratios 2, 1, 1 have sd 1 / sqrt(3)
        "| ReLU | 0.500 ± 0.000 | 2.000 ± 0.577 | 1.667 ± 0.333 | 2.000 ± 0.000 | 1.333 ± 0.333 |"
    )
    assert spread[4] == "| Gaussian process | - | 0.100 | 0.200 | 0.800 | 4.000 |"
    assert co2.tables(numbers)["distance"].splitlines()[4] == "| Gaussian process | 1.000" + " | 1.000" * 5 + " |"
    assert co2.tables(numbers)["misfit"].splitlines()[2] == "| ReLU | 0.150 (2 times) | - | - | 0.300 (1 times) |"


def test_the_network_is_the_papers_but_for_its_width() -> None:
    net = co2.build(nn.Tanh)
    kinds = [type(layer).__name__ for layer in net]
    assert kinds == ["Linear", "Tanh", "Dropout"] * 4 + ["Linear"]
    assert {layer.p for layer in net if isinstance(layer, nn.Dropout)} == {0.1}
    assert net[3].weight.abs().max() <= math.sqrt(3 / co2.WIDTH)
    assert net[3].weight.std().item() == pytest.approx(math.sqrt(1 / co2.WIDTH), rel=0.03)  # of a uniform law


def test_the_process_has_forgotten_its_data_a_few_length_scales_on(data_dir) -> None:
    found = co2.measure_process()
    std = from_line(found["std by distance"])
    assert found["distances"].split()[1] == "0.250"
    assert std[1] == std[-1]
    assert found["at x*"] == pytest.approx(std[-1], abs=1e-3)
    assert found["RMSE"] < 0.1


def check_beyond_the_data(found: dict) -> None:
    """What holds of quick and full runs, of each network."""
    relu, tanh = found["ReLU"], found["tanh"]
    for near, far, line in zip(relu["in range"], relu["at x*"], relu["std by distance"], strict=True):
        assert far * (1 - 2.6 * MC_ERROR) > 2 * near
        std = from_line(line)
        assert (std[1:] > std[:-1]).all()
        assert std[-1] - std[20] == pytest.approx(2 * (std[20] - std[10]), rel=0.05)  # it grows like a line
    for line, of_relu in zip(tanh["std by distance"], relu["std by distance"], strict=True):
        std = from_line(line)
        assert std[20:].max() < 0.5 * from_line(of_relu)[20:].min()
        assert std[-1] - std[20] < 0.1 * (from_line(of_relu)[-1] - from_line(of_relu)[20])  # it levels off


@pytest.mark.slow
def test_uncertainty_grows_beyond_the_data_with_relu_and_not_with_tanh(quick_run) -> None:
    check_beyond_the_data(quick_run("co2"))


def test_what_the_full_run_found(full_run) -> None:
    check_beyond_the_data(full_run("co2"))


def test_the_full_run_did_not_fit_all_of_the_wave(full_run) -> None:
    found = full_run("co2")
    assert found["Gaussian process"]["RMSE"] < 0.1
    for name in ("ReLU", "tanh"):
        assert all(0.5 < rmse < 0.85 for rmse in found[name]["RMSE"])  # the data have standard deviation 1


def test_at_the_far_point_two_standard_deviations_leave_nearly_all_data_out(full_run) -> None:
    found = full_run("co2")
    mean, std = (from_line(found["ReLU"][name])[-1] for name in ("mean", "std"))
    assert (from_line(found["Gaussian process"]["y"]) > mean - 2 * std).mean() < 0.02


def test_spreads_are_small_where_errors_are_large(full_run) -> None:
    """Beyond 2.6 errors from the choice of whole waves, since neighbouring months say alike."""
    found, rng = full_run("co2"), np.random.default_rng(0)
    y = from_line(found["Gaussian process"]["y"])
    waves = np.array_split(np.arange(len(y)), 23)
    for name in ("ReLU", "tanh"):
        mean, std = (from_line(found[name][line])[: len(y)] for line in ("mean", "std"))
        chosen = (np.concatenate([waves[wave] for wave in rng.integers(23, size=23)]) for _ in range(500))
        correlations = [np.corrcoef(abs(mean - y)[months], std[months])[0, 1] for months in chosen]
        assert np.mean(correlations) < -2.6 * np.std(correlations, ddof=1)
