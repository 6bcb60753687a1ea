"""What all experiments do alike: their command line, parts that an interrupted run need not repeat, and what is stored.

An experiment is measured in parts, one set or one seed each, whose numbers go through JSON. Tables and pictures are
made of these numbers alone, so that a stored file can be drawn and tabulated again.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib.figure import Figure
from tqdm import tqdm

from examples.experiments.page import fill, machine

SEEDS = (0, 1, 2)
"""Of every experiment, fixed before the first was run."""

Numbers: TypeAlias = Mapping[str, Any]
"""What the parts measured, by the name of the part."""


@dataclass(frozen=True)
class Experiment:
    """One command: `python -m examples.experiments.<name> [--quick] [--only TEXT] [--out FOLDER]`.

    Args:
        name: Of the module, and of everything that it stores.
        about: The module's docstring; its first line is shown by `--help`.
        parts: What is measured, by name, for a quick run (True) or a full one; each returns what JSON can hold.
        tables: Tables in Markdown by name, of the numbers of a quick or a full run.
        pictures: What each shows, in words, and the picture, by name.
    """

    name: str
    about: str
    parts: Callable[[bool], Mapping[str, Callable[[], Any]]]
    tables: Callable[[Numbers], Mapping[str, str]]
    pictures: Callable[[Numbers], Mapping[str, tuple[str, Figure]]]

    def main(self) -> None:
        """Runs the command line."""
        parser = argparse.ArgumentParser(description=self.about.splitlines()[0])
        parser.add_argument("--quick", action="store_true", help="a smaller run of the same: minutes instead of hours")
        parser.add_argument("--only", default="", help="measure and keep the parts with this in their name, then end")
        parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for numbers and pictures")
        options = parser.parse_args()
        measured = self.measure(options.out, quick=options.quick, only=options.only)
        if not options.only:
            self.store(measured, options.out)

    def measure(self, out: Path, *, quick: bool, only: str = "") -> dict[str, Any]:
        """Measures the parts, and keeps each as a file until all are stored: an interrupted run goes on after them."""
        out.mkdir(parents=True, exist_ok=True)
        parts = {name: part for name, part in self.parts(quick).items() if only in name}
        if not parts:
            sys.exit(f"--only {only}: no part of {self.name} is called so; there are {', '.join(self.parts(quick))}.")
        found = {}
        for name, part in tqdm(parts.items(), desc=self.name, unit="part", disable=None):
            kept = self._kept(out, name, quick)
            if not kept.exists():
                start = time.process_time()
                numbers = part()
                text = json.dumps({"cpu_seconds": round(time.process_time() - start, 1), "numbers": numbers})
                unfinished = kept.with_suffix(".unfinished")
                unfinished.write_text(text)
                unfinished.replace(kept)
            found[name] = json.loads(kept.read_text())
        return {"experiment": self.name, "quick": quick, "machine": machine(), "parts": found}

    def store(self, measured: Mapping[str, Any], out: Path) -> None:
        """Numbers and pictures into the folder; tables to the terminal and, of a full run, onto the page beside it."""
        for name, (_, figure) in self.pictures(numbers_of(measured)).items():
            figure.savefig(out / f"{self.name}_{name}.png", dpi=110)
        (out / f"{self.name}.json").write_text(json.dumps(measured, indent=1) + "\n")
        texts = self.texts(measured, out.name)
        page = out.with_suffix(".md")
        if not measured["quick"] and page.exists():
            page.write_text(fill(page.read_text(), texts))
        print("\n\n".join(texts.values()))
        for name in measured["parts"]:
            self._kept(out, name, measured["quick"]).unlink(missing_ok=True)

    def texts(self, measured: Mapping[str, Any], folder: str) -> dict[str, str]:
        """What stands on the page, by marker: each table, the line of the machine, each picture."""
        numbers = numbers_of(measured)
        seconds = sum(part["cpu_seconds"] for part in measured["parts"].values())
        footer = f"{measured['machine']}; {seconds / 60:.1f} minutes of CPU."
        tables, pictures = self.tables(numbers), self.pictures(numbers)
        shown = {name: f"![{shows}]({folder}/{self.name}_{name}.png)" for name, (shows, _) in pictures.items()}
        if both := tables.keys() & shown.keys():
            raise ValueError(f"{', '.join(both)}: the name of a table and of a picture of {self.name}; one each.")
        return {f"{self.name} {name}": text for name, text in {**tables, **shown, "machine": footer}.items()}

    def _kept(self, out: Path, part: str, quick: bool) -> Path:
        return out / f"{self.name}.{'quick' if quick else 'full'}.{part.replace(' ', '_')}.part"


def numbers_of(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a stored file, by part."""
    return {name: part["numbers"] for name, part in measured["parts"].items()}
