"""The command `mcdrop`."""

from mcdrop.cli.entry import main as main
