"""From the words on the command line to a command, and from what it raises to an exit code."""

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence

from mcdrop.cli.demo import command as demo
from mcdrop.errors import McdropError

DESCRIPTION = """\
Uncertainty from dropout in PyTorch.

A network with dropout is a forest of sub-networks. Deployed as usual, it answers as one network with scaled weights;
asked with the dropout left on, it gives many answers, and how far they differ says how much it knows."""

EPILOG = """\
start here:
  mcdrop demo               see on handwritten digits what dropout can say, and when it does not help (a few seconds)
  mcdrop demo --help        what the demo prints, and its options

exit codes: 0 done, 1 mcdrop refused (one line on stderr says why), 2 the command line is wrong, 130 interrupted"""


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
    demo.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `mcdrop`; None takes those of the process.

    Returns:
        The exit code: 0 done, 1 a `McdropError` (printed as one line on stderr), 130 interrupted.

    Raises:
        SystemExit: By argparse, with code 0 after `--help` and `--version`, and 2 for a wrong command line.
    """
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except McdropError as error:
        print(f"mcdrop: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mcdrop: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells have it
    return 0
