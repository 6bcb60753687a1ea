"""A digit that turns: doubt grows where it looks like no digit, and the forest is less often confident and wrong."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from examples.experiments import rotated_digit
from examples.experiments.rotated_digit_shown import SHOWN, over_seeds, tables

MIDDLE = range(3, 10)
"""Angles of 45 to 135 degrees."""


def net_of(values: list[float]) -> dict:
    return {"error": [0.01, 0.001], "digits": 5, "angles": [
        {"angle": 15 * place, **{name: [value, 0.1] for name in SHOWN}} for place, value in enumerate(values)
    ]}  # fmt: skip


def test_the_table_holds_means_over_networks_and_their_standard_errors() -> None:
    numbers = {"seed 0": net_of([0.1, 1.0]), "seed 1": net_of([0.3, 1.0])}
    assert over_seeds(numbers, "wrong").tolist() == [[0.1, 1.0], [0.3, 1.0]]
    rows = tables(numbers)["angles"].splitlines()
    assert rows[2] == "| 0° |" + " 0.200 ± 0.100 |" * len(SHOWN)
    assert rows[3] == "| 15° |" + " 1.000 ± 0.000 |" * len(SHOWN)
    assert tables(numbers)["networks"].splitlines()[2] == "| seed 0 | 1.00 ± 0.10 | 5 |"


def test_a_mean_comes_with_its_standard_error() -> None:
    mean, error = rotated_digit._mean(torch.tensor([True, False, False, True]))
    assert (mean, error) == (0.5, pytest.approx(math.sqrt(1 / 12)))


def test_the_network_is_lenet_with_dropout_before_the_last_layer() -> None:
    net = rotated_digit.lenet()
    assert [type(layer) for layer in net[-2:]] == [nn.Dropout, nn.Linear]
    assert sum(parameter.numel() for parameter in net.parameters()) == 431_080  # as Caffe's


class Fixed(nn.Module):
    """Says 3 with certainty, whatever it is shown, but for a site that changes the class 0 a little."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = 50 * nn.functional.one_hot(torch.full((len(x),), 3), 10).float()
        return logits - nn.functional.dropout(torch.ones(len(x), 10), 0.5, self.training)


def test_what_is_confident_and_wrong_is_counted_as_such() -> None:
    found = rotated_digit._all_digits(Fixed().eval(), torch.rand(4, 28, 28), seed=0)
    assert [of["angle"] for of in found] == list(rotated_digit.ANGLES)
    for of in found:
        for name in ("wrong", "confident and wrong", "wrong, dropout off", "confident and wrong, dropout off"):
            assert of[name] == [1.0, 0.0]
        assert of["fewer confident and wrong"] == [0.0, 0.0]
        assert of["entropy above upright"][0] == pytest.approx(0, abs=1e-6)


def check_doubt(found: dict) -> None:
    """What holds of quick and full runs, of each network: differences digit by digit, 2.6 standard errors."""
    for net in found.values():
        for place in MIDDLE:
            of_angle = net["angles"][place]
            for name in ("entropy above upright", "mutual information above upright"):
                gained, error = of_angle[name]
                assert gained > 2.6 * error > 0, (of_angle["angle"], name)
        worst = net["angles"][int(np.argmax([of["confident and wrong, dropout off"][0] for of in net["angles"]]))]
        fewer, error = worst["fewer confident and wrong"]
        assert fewer > 2.6 * error > 0


@pytest.mark.slow
def test_a_turned_digit_is_doubted_more_in_the_quick_run(quick_run) -> None:
    check_doubt(quick_run("rotated_digit"))


def test_a_turned_digit_is_doubted_more(full_run) -> None:
    check_doubt(full_run("rotated_digit"))
