from dataclasses import replace

import pytest
import torch

from mcdrop.calibration import Score
from mcdrop.cli.demo.regression import words
from mcdrop.cli.demo.regression.measurements import Band, Measurements, Region


def _region(std, held):
    return Region(std, Score(held, 0.03, None, influence=torch.zeros(60)))


def _band(in_gap=0.3, held=0.95, at_data=0.1):
    return Band(None, at_data=_region(at_data, 0.96), in_gap=_region(in_gap, held), beyond=_region(0.4, 0.5))


def _found(**changes):
    found = Measurements(None, None, num_samples=101, forest=_band(), members=_band(0.25, 0.2), num_members=5)
    return replace(found, **changes)


@pytest.fixture(autouse=True)
def unchecked(without_type_checks):
    """The words look at no tensor, so that none is made."""


@pytest.mark.parametrize(
    ("in_gap", "said"),
    [
        (0.121, "differ by 0.121, 1.2 times as much as at the data (0.100): the band opens."),  # 2 / sqrt(100) = .2
        (0.119, "differ by 0.119, 1.2 times as much as at the data (0.100): the band does not open."),
        (0.05, "0.5 times as much as at the data (0.100): the band does not open."),
    ],
)
def test_a_band_opens_at_two_standard_errors(in_gap, said):
    assert said in words.say_whether_it_opens(_found(forest=_band(in_gap)))


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (1.0, "hold 96 % of new points at the data and 100 % in the gap: that is enough."),
        (0.90, "90 % in the gap: that is enough."),  # 2 sqrt(.95 .05 / 60) = .056
        (0.89, "89 % in the gap: that is too little, they are too narrow there."),
    ],
)
def test_intervals_hold_what_they_promise_within_two_standard_errors(held, said):
    assert said in words.say_whether_it_is_enough(_found(forest=_band(held=held)))


def test_the_networks():
    assert words.say_what_networks_trained_apart_do(_found()) == (
        "The 5 networks that were trained apart, dropout off, differ by 0.250 there, 2.5 times as much as at the data "
        "(0.100). Their 95 % intervals hold 96 % of new points at the data and 20 % in the gap: that is too little, "
        "they are too narrow there."
    )


def test_the_table_shows_every_number():
    rows = [line.split() for line in words.table(_found()).splitlines()]
    assert rows[2] == ["differ", "by", "0.100", "0.300", "0.400"]
    assert rows[3][-6:] == ["96", "%", "95", "%", "50", "%"]
    assert rows[5] == ["differ", "by", "0.100", "0.250", "0.400"]


def test_the_text_fits_on_a_narrow_terminal_and_no_line_begins_with_a_unit():
    lines = words.tell(_found(), num_points=200, epochs=1).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.startswith("%") for line in lines)
    assert "1 epoch." in " ".join(lines)
    assert "T = 101 draws leave it an error of about 7 %, 5 networks one of 35 %" in " ".join(lines)
