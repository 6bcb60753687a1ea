import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mcdrop.cli import main

ROOT = Path(__file__).parents[3]


def test_the_whole_demo_in_small(capsys):
    before = torch.get_rng_state()
    assert main(["demo", "--epochs", "1", "--num-samples", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "1257 training digits, 1 epoch" in shown.out
    assert "MC dropout, T = 2" in shown.out
    assert shown.out.count("help") >= 2  # a verdict on averaging and one on disagreement
    assert torch.equal(torch.get_rng_state(), before)


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
