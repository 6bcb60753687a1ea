import json

import torch

import mcdrop
from mcdrop.cli import main, model


def test_the_table_is_that_of_audit(project, capsys):
    assert main(["audit", "network:build", "--input", "data.npz:x"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{mcdrop.audit(model.load('network:build'), torch.zeros(8, 4))}\n"
    assert "2:dropout          0.5  Bernoulli(keep 0.5)  axis 0" in shown.out
    assert shown.err == ""


def test_json_holds_all_that_is_known_and_nothing_else_is_on_stdout(project, capsys):
    assert main(["audit", "network:Two", "--input", "data.npz:x", "--input", "data.npz:x", "--json"]) == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out)
    assert record["sites"][0]["name"] == "drop:dropout"
    assert record["sites"][0]["mask_shape"] == [8, 8]  # of the first 8 rows
    assert "forward" in shown.err


def test_inputs_by_name(project, capsys):
    assert main(["audit", "network:Two", "--input", "b=data.npz:x", "--input", "a=data.npz:x"]) == 0
    assert "Two: 1 dropout site" in capsys.readouterr().out


def test_inputs_that_the_model_does_not_take(project, capsys):
    assert main(["audit", "network:build", "--input", "data.csv"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("mcdrop: error: network:build, run on the first rows of the inputs (float32 (8, 5)),")
    assert shown.err.count("\n") == 1
