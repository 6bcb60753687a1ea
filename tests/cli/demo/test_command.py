import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import torch

from mcdrop.cli import main

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


def test_the_whole_demo_in_small(capsys):
    before = torch.get_rng_state()
    assert main(["demo", "--epochs", "1", "--num-samples", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "1257 training digits, 1 epoch" in shown.out
    assert "MC dropout, T = 2" in shown.out
    assert shown.out.count("help") >= 2  # a verdict on averaging and one on disagreement
    assert shown.out.endswith("\nWith pictures: mcdrop demo digits --page digits.html\n")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_regression_demo_in_small(capsys):
    before = torch.get_rng_state()
    assert main(["demo", "regression", "--epochs", "3", "--num-samples", "4"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "dropout p = 0.2 before its last layer, 3 epochs" in " ".join(shown.out.split())
    assert "MC dropout, T = 4" in shown.out
    assert "the band" in shown.out
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("data", "sections"),
    [
        ("digits", ["certainty", "foreign", "forest", "scores", "reliability", "weight_scaled", "audit", "run"]),
        ("regression", ["forest", "members", "regions"]),
    ],
)
def test_the_page_holds_what_is_printed_and_its_sections(tmp_path, capsys, data, sections):
    words = ["demo", data, "--epochs", "3", "--num-samples", "4"]
    assert main(words) == 0
    without = capsys.readouterr().out.splitlines()
    assert main([*words, "--page", str(tmp_path / "page.html")]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[:-1] == without[:-1]
    assert text.endswith(f"\nwritten to {tmp_path}/page.html and {tmp_path}/page.json\n")
    assert sorted(os.listdir(tmp_path)) == ["page.html", "page.json"]
    record = json.loads((tmp_path / "page.json").read_text(), parse_constant=pytest.fail)
    jsonschema.validate(record, SCHEMA, jsonschema.Draft202012Validator)
    present = [section["name"] for section in record["sections"] if not section["absent"]]
    assert [name for name in present if name in sections] == sections
    printed = "".join(text.split())
    own = [s["answer"] for s in record["verdict"] if "sub-networks" in s["answer"] and "differ" in s["answer"]]
    own += [s["answer"] for s in record["verdict"] if s["question"] == "Does it notice what is no digit?"]
    assert own
    assert all("".join(answer.split()) in printed for answer in own)
    page = (tmp_path / "page.html").read_text()
    drawn = [picture["name"] for section in record["sections"] for picture in section["pictures"]]
    assert page.count("<svg") == len(drawn) == len(set(drawn))


def test_a_page_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    assert main(["demo", "--page", str(tmp_path / "absent" / "page.html")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    assert main(["demo", "--page", str(tmp_path / "page.pdf")]) == 1
    assert "expected a name that ends in .html" in capsys.readouterr().err


@pytest.mark.slow
def test_the_usual_regression_demo_opens_its_band_and_says_the_same_twice():
    def shown():
        words = [sys.executable, "-m", "mcdrop", "demo", "regression"]
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    first = shown()
    assert ": the band opens." in " ".join(first.split())
    assert first == shown()


def test_the_number_of_threads_changes_nothing_and_is_left_as_found(capsys):
    texts, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert main(["demo", "--epochs", "1", "--num-samples", "2"]) == 0
            assert torch.get_num_threads() == threads
            texts.append(capsys.readouterr().out)
    finally:
        torch.set_num_threads(before)
    assert texts[0] == texts[1]


def test_another_seed_gives_other_numbers(capsys):
    texts = []
    for seed in ("0", "1", "0"):
        assert main(["demo", "--epochs", "1", "--num-samples", "2", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.slow
def test_two_processes_print_the_same_numbers():
    def run():
        return subprocess.run(
            [sys.executable, "-m", "mcdrop", "demo"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
        )

    first, second = run(), run()
    assert first.stdout == second.stdout
    assert first.stderr == second.stderr == ""
