"""docs/cli.md: its session, from the first file to the last command, prints what the page says."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from mcdrop.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _commands():
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ mcdrop (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


@pytest.mark.slow
def test_the_session_prints_what_the_page_says(project, capsys, monkeypatch):
    network, training = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (project / "network.py").write_text(network)
    monkeypatch.syspath_prepend(project)
    exec(compile(training, "the training of docs/cli.md", "exec"), {})
    ran = [(command, output) for command, output in _commands() if not command.startswith("demo")]
    assert [command.split()[0] for command, _ in ran] == ["audit", "predict", "report", "compare"]
    for command, expected in ran:
        capsys.readouterr()
        assert main(shlex.split(command)) == 0
        shown = capsys.readouterr().out
        assert doctest.OutputChecker().check_output(expected, shown, OPTIONS), f"{command}\n{shown}"


def test_the_demos_of_the_page_are_known(capsys):
    demos = [command for command, _ in _commands() if command.startswith("demo")]
    assert len(demos) == 3
    for command in demos:
        with pytest.raises(SystemExit) as stop:
            main([*shlex.split(command), "--help"])
        assert stop.value.code == 0
