import pytest
import torch

from mcdrop.prediction import Binary, from_draws
from mcdrop.report.sections import selective
from mcdrop.report.subject import checked
from tests.report.test_subject import NOTHING, subject


def test_error_rates_are_those_of_the_surest_answers():
    # ten events, surest first; the second, ninth and tenth answers are wrong
    probs = torch.linspace(0.99, 0.6, 10)
    happened = torch.tensor([1, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    prediction = from_draws(probs.expand(3, 10), Binary(probs=True))
    found = selective.section(checked(prediction, happened, **NOTHING))
    rates = {name: found.number(f"error_rate_at_{name}").value for name in ("100", "90", "80", "50")}
    assert rates == pytest.approx({"100": 3 / 10, "90": 2 / 9, "80": 1 / 8, "50": 1 / 5})
    assert "error rate of the surest 80 %: 12.5 %" in found.pictures[0].alternative


def test_the_curve_has_no_more_points_than_are_seen():
    found = selective.section(subject())
    assert len(found.pictures[0].series["coverage"]) == 20
    assert found.pictures[0].series["coverage"][-1] == 1.0


def test_numbers_are_not_right_or_wrong():
    assert "not right or wrong" in selective.section(subject("numbers")).absent
