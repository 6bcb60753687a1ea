import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from mcdrop.cli import entry
from mcdrop.cli.demo import command
from mcdrop.errors import InputError

ROOT = Path(__file__).parents[2]


def _exit_code(arguments):
    with pytest.raises(SystemExit) as stop:
        entry.main(arguments)
    return stop.value.code


def test_version(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"version of {name}")
    assert _exit_code(["--version"]) == 0
    assert capsys.readouterr().out == "mcdrop version of mcdrop\n"


def test_version_of_a_tree_that_is_not_installed(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _exit_code(["--version"]) == 0
    assert "not installed" in capsys.readouterr().out


def test_help_names_the_command_and_the_exit_codes(capsys):
    assert _exit_code(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "mcdrop demo" in shown
    assert "exit codes: 0 done, 1" in shown
    assert max(len(line) for line in shown.splitlines()) <= 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["dmeo"], "invalid choice: 'dmeo'"),
        (["demo", "--seed", "x"], "'x' is not an integer, from 0 to 4294967295"),
        (["demo", "--seed", "-1"], "'-1' is not an integer, from 0 to 4294967295"),
        (["demo", "--num-samples", "1"], "'1' is not an integer, at least 2"),
        (["demo", "--epochs", "0"], "'0' is not an integer, at least 1"),
        (["demo", "--epochs", "2.5"], "'2.5' is not an integer, at least 1"),
        (["demo", "--see", "1"], "unrecognized arguments: --see 1"),
        (["demo", "left over"], "unrecognized arguments: left over"),
    ],
)
def test_a_wrong_command_line_is_2_and_says_what_was_expected(arguments, message, capsys):
    assert _exit_code(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_refusal_is_1_and_one_line_on_stderr(capsys, monkeypatch):
    def refuse(options):
        raise InputError("Given this;\n  that was expected.")

    monkeypatch.setattr(command, "run", refuse)
    assert entry.main(["demo"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "mcdrop: error: Given this; that was expected.\n"
    assert shown.out == ""


def test_an_interruption_is_130(capsys, monkeypatch):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupt)
    assert entry.main(["demo"]) == 130
    assert capsys.readouterr().err == "mcdrop: interrupted\n"


def test_other_errors_keep_their_traceback(monkeypatch):
    def fail(options):
        raise RuntimeError("a defect")

    monkeypatch.setattr(command, "run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        entry.main(["demo"])


def test_python_m_mcdrop_is_the_command():
    done = subprocess.run([sys.executable, "-m", "mcdrop", "demo", "--epochs", "x"], capture_output=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: mcdrop demo")


def test_help_does_not_load_scikit_learn():
    code = "import sys, mcdrop.cli.entry as e; e.build_parser().format_help(); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
