import importlib.metadata
import io
import os
import signal
import subprocess
import sys
import time
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


COMMANDS = ["demo", "audit", "predict", "report", "compare"]


def test_help_names_the_commands_and_the_exit_codes(capsys):
    assert _exit_code(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"mcdrop {command}" in shown for command in COMMANDS)
    assert "exit codes: 0 done, 1 refused" in shown


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_on_a_narrow_terminal_and_shows_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert _exit_code([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    body = shown.partition("\n\n")[2]  # after the usage
    assert f"mcdrop {command}" in body


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
        (["demo", "digits", "--see", "1"], "unrecognized arguments: --see 1"),
        (["demo", "numbers"], "invalid choice: 'numbers'"),
        (["demo", "digits", "left over"], "unrecognized arguments: left over"),
        (["audit", "network:build"], "the following arguments are required: --input"),
        (["predict", "a:b", "--input", "x", "--out", "p", "--likelihood", "softmax"], "'softmax' is no likelihood"),
        (["predict", "a:b", "--input", "x", "--out", "p", "--likelihood", "gaussian"], "'gaussian' cannot be read"),
        (["predict", "a:b", "--input", "x", "--out", "p", "--likelihood", "poisson", "--design", "x"], "no design"),
        (["report", "p.npz"], "the following arguments are required: --targets"),
        (["compare", "p.npz", "--targets"], "expected one argument"),
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


def test_a_file_that_cannot_be_read_is_1_and_one_line(tmp_path, capsys):
    missing = str(tmp_path / "absent.npz")
    assert entry.main(["compare", missing, "--targets", missing]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"mcdrop: error: [Errno 2] No such file or directory: '{missing}'\n"
    assert shown.out == ""


def test_a_closed_pipe_is_141_and_says_nothing(capsys, monkeypatch):
    class Closed(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(command, "run", lambda options: None)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert entry.main(["demo"]) == 141
    assert capsys.readouterr().err == ""


def test_stdout_that_is_not_there(monkeypatch):
    monkeypatch.setattr(command, "run", lambda options: print("lost"))
    monkeypatch.setattr(sys, "stdout", None)
    assert entry.main(["demo"]) == 0


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


def test_help_does_not_load_what_is_slow_to_load():
    code = (
        "import sys, mcdrop.cli.entry as e; e.build_parser().format_help(); "
        "print({'scipy', 'sklearn', 'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"


def _into(reader, *arguments):
    """Exit code and stderr of the command, its stdout read by another."""
    words = [sys.executable, "-m", "mcdrop", *arguments]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as writer,
        subprocess.Popen(reader, stdin=writer.stdout, stdout=subprocess.DEVNULL),
    ):
        writer.stdout.close()
        errors = writer.stderr.read()
    return writer.returncode, errors


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_failure():
    assert _into(["true"], "--help") in [(0, b""), (141, b"")]  # 0 if all was written before it left
    code, errors = _into(["true"], "demo", "--epochs", "1", "--num-samples", "2")
    assert (code, errors) == (141, b"")


@pytest.mark.slow
def test_an_interrupted_process_says_so_and_leaves_no_file(tmp_path):
    words = [sys.executable, "-m", "mcdrop", "demo", "--page", str(tmp_path / "page.html"), "--epochs", "100000"]
    ready = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # as from a terminal
    started = "import mcdrop.cli, mcdrop.cli.demo.digits.course; print('started', flush=True); "
    code = ready + started + f"sys.exit(mcdrop.cli.main({words[3:]!r}))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "mcdrop: interrupted\n")
    assert os.listdir(tmp_path) == []
