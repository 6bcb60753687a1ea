"""From the words on the command line to a command, and from what it raises to an exit code."""

import argparse
import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from mcdrop.cli import audit, compare, predict, report
from mcdrop.cli.demo import command as demo
from mcdrop.errors import McdropError

DESCRIPTION = """\
Uncertainty from dropout in PyTorch.

A network with dropout is a forest of sub-networks. Deployed as usual, it
answers as one network with scaled weights; asked with the dropout left on, it
gives many answers, and how far they differ says how much it knows."""

EPILOG = """\
start here:
  mcdrop demo               see on handwritten digits what dropout can say, and
                            when it does not help (a few seconds)
  mcdrop predict --help     each command explains itself, with an example

with a model of your own:
  mcdrop audit network:build --input test.npz:x
  mcdrop predict network:build --weights trained.pt --input test.npz:x \\
      --likelihood categorical --out predictions.npz
  mcdrop report predictions.npz --targets test.npz:y --out report.html
  mcdrop compare predictions.npz others.npz --targets test.npz:y

Results go to stdout, progress and errors to stderr.

exit codes: 0 done, 1 refused (one line on stderr says why), 2 the command line
is wrong, 130 interrupted, 141 nobody reads stdout any more"""


def _version() -> str:
    try:
        return importlib.metadata.version("mcdrop")
    except importlib.metadata.PackageNotFoundError:
        return "(a source tree that is not installed)"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command's namespace holds its function as `run`."""
    parser = argparse.ArgumentParser(
        prog="mcdrop", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"mcdrop {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (demo, audit, predict, report, compare):
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `mcdrop`; None takes those of the process.

    Returns:
        The exit code: 0 done, 1 a `McdropError`, or a file that cannot be read or written (one line on stderr says
        which), 130 interrupted, 141 stdout was closed by its reader.

    Raises:
        SystemExit: By argparse, with code 0 after `--help` and `--version`, and 2 for a wrong command line.
    """
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a closed pipe can still be told from a failure
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # a stand-in for stdout may have no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process
        return 141  # 128 + SIGPIPE, as shells have it


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = build_parser().parse_args(arguments)
        options.run(options)
    except BrokenPipeError:
        raise
    except (McdropError, OSError) as error:
        print(f"mcdrop: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mcdrop: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT
    return 0
