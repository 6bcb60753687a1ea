import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mcdrop
from mcdrop.calibration import Temperature, VarianceScaling, negative_log_likelihood
from mcdrop.cli import main
from mcdrop.cli.report import metadata


@pytest.fixture
def predictions(project, capsys):
    for name, network, likelihood in (("p", "build", "categorical"), ("numbers", "mean", "gaussian:1")):
        words = ["predict", f"network:{network}", "--input", "data.npz:x", "--likelihood", likelihood]
        assert main([*words, "--num-samples", "20", "--out", f"{name}.npz"]) == 0
    capsys.readouterr()
    return project


def _report(*words, file="p.npz", targets="data.npz:y", out="r.html"):
    return main(["report", file, "--targets", targets, "--out", out, *words])


def _sections():
    record = json.loads(Path("r.json").read_text(), parse_constant=pytest.fail)
    return record, {section["name"]: section for section in record["sections"]}


def test_the_page_its_json_and_the_verdict_in_words(predictions, capsys):
    assert _report() == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.endswith("\nwritten to r.html and r.json\n")
    record, sections = _sections()
    for sentence in record["verdict"]:
        assert sentence["question"] in shown.out
        assert "".join(sentence["answer"].split()) in "".join(shown.out.split())
    assert max(map(len, shown.out.splitlines())) <= 80
    scores = {number["name"]: number["value"] for number in sections["scores"]["numbers"]}
    y = torch.from_numpy(np.load("data.npz")["y"])
    expected = negative_log_likelihood(mcdrop.load("p.npz"), y).value
    assert scores["negative_log_likelihood"] == pytest.approx(expected)
    assert record["metadata"]["model"] == "network:build"
    assert record["metadata"]["targets"] == "data.npz:y"
    present = [name for name, section in sections.items() if not section["absent"]]
    assert {"weight_scaled", "audit", "run"} <= set(present)  # from what stands beside the prediction
    assert {"other", "recalibrated"}.isdisjoint(present)
    assert "<!DOCTYPE html>" in (predictions / "r.html").read_text()


def test_a_file_without_anything_beside_its_prediction(predictions):
    mcdrop.load("p.npz").save("bare.npz")
    assert _report(file="bare.npz") == 0
    _, sections = _sections()
    assert sections["weight_scaled"]["absent"]
    assert sections["audit"]["absent"]


def test_another_predictor_and_names(predictions):
    assert main(["predict", "network:build", "--input", "data.npz:x", "--likelihood", "categorical", "--weights",
                 "weights.pt", "--out", "other.npz"]) == 0  # fmt: skip
    names = ["--names", "mine", "<b>theirs</b>", "--title", "<script>", "--class-names", "cat,dog,<i>emu</i>"]
    assert _report("--other", "other.npz", *names) == 0
    record, sections = _sections()
    assert sections["other"]["pairs"][0]["second"]["of"] == "<b>theirs</b>"
    assert record["title"] == "<script>"
    page = (predictions / "r.html").read_text()
    assert "<script>" not in page
    assert "<b>theirs" not in page
    assert "<i>emu" not in page


def test_class_names_of_a_file_and_images(predictions):
    (predictions / "names.txt").write_text("cat\ndog, large\nemu\n", encoding="utf-8")
    np.savez("images.npz", images=np.random.default_rng(0).uniform(size=(40, 5, 5)))
    assert _report("--class-names", "names.txt", "--images", "images.npz") == 0
    page = (predictions / "r.html").read_text()
    assert "dog, large" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize(("file", "kind"), [("p.npz", Temperature), ("numbers.npz", VarianceScaling)])
def test_recalibration_is_fitted_on_the_other_rows(predictions, file, kind):
    whole = mcdrop.load(file)
    if kind is Temperature:  # right in two rows of three: neither always nor never, which no temperature fits
        values = torch.where(torch.arange(40) % 3 > 0, whole.labels, (whole.labels + 1) % 3)
    else:
        values = whole.mean[:, 0] + 5 * torch.randn(40, generator=torch.Generator().manual_seed(0))
    held_out, before = whole[:25], whole[25:]
    held_out.save("held.npz")
    before.save("test.npz")
    np.savez("targets.npz", held=values[:25], test=values[25:])
    assert _report("--recalibrate", "held.npz", "targets.npz:held", file="test.npz", targets="targets.npz:test") == 0
    _, sections = _sections()
    after = negative_log_likelihood(kind.fit(held_out, values[:25])(before), values[25:]).value
    pairs = {pair["second"]["name"]: pair["second"]["value"] for pair in sections["recalibrated"]["pairs"]}
    assert pairs["negative_log_likelihood"] == pytest.approx(after)


def test_json_on_stdout_is_the_file(predictions, capsys):
    assert _report("--json", "--unit", "EUR", file="numbers.npz", targets="data.csv:price") == 0
    assert json.loads(capsys.readouterr().out) == _sections()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"out": "r.pdf"}, "expected a name that ends in .html"),
        ({"out": "no/r.html"}, "There is no folder no"),
        ({"file": "absent.npz"}, "No such file or directory: 'absent.npz'"),
        ({"file": "data.npz"}, "data.npz was not written by mcdrop"),
        ({"targets": "data.npz:price"}, "Targets of dtype float64 given"),
        ({"targets": "data.npz:absent"}, "data.npz was given with the key 'absent'"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_file(predictions, capsys, words, message):
    before = set(os.listdir())
    assert _report(**words) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert set(os.listdir()) == before


def test_a_number_of_class_names_that_does_not_fit(predictions, capsys):
    assert _report("--class-names", "cat,dog") == 1
    assert "expected 3 names, one for each class" in capsys.readouterr().err


def test_lines_of_the_page():
    lines = metadata({"model": "a:b", "inputs": ["x", "y"], "only": None, "exclude": []}, targets="t")
    assert lines == {"model": "a:b", "inputs": "x, y", "targets": "t"}
