"""The README: its example runs, its commands are the ones that .ci/run runs, its links lead somewhere."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", _blocks("python"))
def test_the_example_runs(block, capsys):
    names: dict = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(compile(block, "README.md", "exec"), names)
    prediction = names["prediction"]
    assert prediction.probs.shape == prediction.mc_error.shape == (8, 3)
    assert prediction.mutual_information.shape == (8,)
    assert (prediction.mutual_information > 0).all()
    assert "1 dropout site" in capsys.readouterr().out


def test_there_is_one_example_of_about_ten_lines():
    (block,) = _blocks("python")
    assert len(block.splitlines()) <= 14


def test_the_two_commands_stand_alone_in_their_blocks():
    assert _blocks("bash") == ["pip install . && mcdrop demo\n", 'pip install -e ".[test]" && pytest\n']


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?://)([^)#]+)", TEXT))))
def test_links_lead_to_files(link):
    assert (ROOT / link).is_file()
