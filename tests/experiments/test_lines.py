import torch

from examples.experiments.lines import from_line, to_line


def test_a_line_holds_the_numbers_in_their_order() -> None:
    assert to_line(torch.tensor([[0.5, -1.23456], [2.0, 1e-9]])) == "0.500 -1.235 2.000 0.000"
    assert from_line("0.500 -1.235 2.000 0.000").tolist() == [0.5, -1.235, 2.0, 0.0]


def test_decimals_are_as_many_as_asked_for() -> None:
    assert to_line(torch.tensor([254.6, 0.0]), 0) == "255 0"
