import json
import os
import re

import numpy as np
import pytest
import torch

import mcdrop
from mcdrop.calibration import brier_score, negative_log_likelihood, rmse
from mcdrop.cli import main
from mcdrop.cli.recorded import open_file
from mcdrop.prediction import Categorical, Gaussian, from_draws


@pytest.fixture
def files(project):
    """a.npz and b.npz of classes and short.npz, of other rows; numbers.npz of numbers."""
    words = ["predict", "network:build", "--input", "data.npz:x", "--likelihood", "categorical", "--num-samples", "20"]
    assert main([*words, "--out", "a.npz"]) == 0
    assert main([*words, "--weights", "weights.pt", "--out", "b.npz"]) == 0
    mcdrop.load("a.npz")[:30].save("short.npz")
    draws = torch.randn(20, 40, 1, generator=torch.Generator().manual_seed(0))
    from_draws(draws, Gaussian(1.0)).save("numbers.npz")
    from_draws(draws + 1, Gaussian(1.0)).save("shifted.npz")
    return project


def _y():
    return torch.from_numpy(np.load("data.npz")["y"])


def _scores(capsys, *words):
    capsys.readouterr()
    assert main(["compare", *words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    return record, {pair["difference"]["name"]: pair for pair in record["scores"]}


def test_scores_and_differences_are_those_of_calibration(files, capsys):
    record, pairs = _scores(capsys, "a.npz", "b.npz", "--targets", "data.npz:y")
    assert (record["a"], record["b"], record["rows"], record["notes"]) == ("a.npz", "b.npz", 40, [])
    for function in (negative_log_likelihood, brier_score):
        a, b = (function(mcdrop.load(name), _y()) for name in ("a.npz", "b.npz"))
        pair, difference = pairs[function.__name__], a - b
        assert pair["first"]["value"] == pytest.approx(a.value)
        assert pair["second"]["standard_error"] == pytest.approx(b.standard_error)
        assert pair["difference"]["value"] == pytest.approx(difference.value)
        assert pair["difference"]["standard_error"] == pytest.approx(difference.standard_error)
        assert pair["difference"]["mc_error"] == pytest.approx(difference.mc_error)


def test_one_file_is_compared_with_its_weight_scaled_network(files, capsys):
    record, pairs = _scores(capsys, "a.npz", "--targets", "data.npz:y")
    assert record["b"] == "the weight-scaled network of a.npz"
    scaled = negative_log_likelihood(open_file(files / "a.npz").weight_scaled, _y())
    assert pairs["negative_log_likelihood"]["second"]["value"] == pytest.approx(scaled.value)


def test_numbers(files, capsys):
    _, pairs = _scores(capsys, "numbers.npz", "shifted.npz", "--targets", "data.npz:price")
    price = torch.from_numpy(np.load("data.npz")["price"])
    assert pairs["rmse"]["first"]["value"] == pytest.approx(rmse(mcdrop.load("numbers.npz"), price).value)
    assert pairs["rmse"]["says"] == "better with A"
    _, other_way = _scores(capsys, "shifted.npz", "numbers.npz", "--targets", "data.npz:price")
    assert other_way["rmse"]["says"] == "better with B"


def test_the_table_shows_every_score_with_both_errors(files, capsys):
    _, pairs = _scores(capsys, "a.npz", "b.npz", "--targets", "data.npz:y")
    assert main(["compare", "a.npz", "b.npz", "--targets", "data.npz:y"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("A  a.npz\nB  b.npz\n\n40 rows ")
    assert max(map(len, shown.splitlines())) <= 100
    for pair in pairs.values():
        first, difference = pair["first"], pair["difference"]
        row = next(line for line in shown.splitlines() if line.startswith(first["label"]))
        assert f"{first['text']} ± {first['text_standard_error']}" in row
        said = f"  A - B  {difference['text']} ± {difference['text_standard_error']} (rows)"
        assert said.replace("\N{MINUS SIGN}", "-") in shown
    assert re.search(r"A - B .* ± \S+ \(rows\) ± \S+ \(draws\): ", shown)


def test_a_page_of_both(files, capsys):
    assert main(["compare", "a.npz", "b.npz", "--targets", "data.npz:y", "--report", "both.html"]) == 0
    assert {"both.html", "both.json"} <= set(os.listdir())
    record = json.loads((files / "both.json").read_text())
    other = next(section for section in record["sections"] if section["name"] == "other")
    assert other["pairs"][0]["first"]["of"] == "a.npz"
    assert other["pairs"][0]["second"]["of"] == "b.npz"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["short.npz", "--targets", "data.npz:y"], "short.npz holds no answer of the weight-scaled network"),
        (["a.npz", "short.npz", "--targets", "data.npz:y"], "a.npz holds 40 rows and short.npz 30"),
        (["a.npz", "numbers.npz", "--targets", "data.npz:y"], "is a prediction of numbers; expected one of classes"),
        (
            ["a.npz", "b.npz", "--targets", "data.npz:price"],
            "Targets of dtype float64 given, class labels are integers",
        ),
        (["short.npz", "short.npz", "--targets", "data.npz:y"], "data.npz:y holds 40 rows; the predictions are of 30"),
        (["data.npz", "--targets", "data.npz:y"], "data.npz was not written by mcdrop"),
        (["a.npz", "--targets", "data.npz:y", "--report", "x.pdf"], "expected a name that ends in .html"),
        (["a.npz", "--targets", "data.npz:y", "--report", "no/x.html"], "There is no folder no to write x.html to"),
    ],
)
def test_what_cannot_be_compared_is_one_line(files, capsys, words, message):
    capsys.readouterr()
    assert main(["compare", *words]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_classes_of_another_number(files, capsys):
    from_draws(torch.zeros(3, 40, 5), Categorical()).save("five.npz")
    assert main(["compare", "a.npz", "five.npz", "--targets", "data.npz:y"]) == 1
    assert "expected (40, 3)" in capsys.readouterr().err
