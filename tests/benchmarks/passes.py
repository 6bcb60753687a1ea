"""How long T stochastic passes take, how precise their mean is for it, and what memory they need; mcdrop and others.

    python -m tests.benchmarks.passes [--rounds 5] [--threads 2] [--only TEXT] [--out docs/benchmarks]

Everything runs in turn in one process, but for the peaks of memory. Prints tables in Markdown, writes them between
their markers on the page beside the folder `--out` (docs/benchmarks.md), and what was measured as JSON and pictures
into it. `--only` measures what has this text in its name ("speed: CNN", "precision", "memory", "scaling: rows"), and
writes nothing.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from examples.experiments.page import fill, machine
from tests.benchmarks import memory, passes_pictures, passes_tables, precision, scaling
from tests.benchmarks.machine import Prices, prices
from tests.benchmarks.speed import Race, race
from tests.benchmarks.speed_contenders import OTHERS
from tests.benchmarks.speed_work import WORK


@dataclass
class Measured:
    """What the command found."""

    machine: str
    rounds: int
    prices: Prices
    races: list[Race] = field(default_factory=list)
    precisions: list[precision.Precision] = field(default_factory=list)
    growths: list[memory.Growth] = field(default_factory=list)
    costs: dict[str, list[scaling.Cost]] = field(default_factory=dict)

    def tables(self) -> dict[str, str]:
        """Markdown of what was measured, by the name of its place on the page."""
        found = {
            "speed": self.races and passes_tables.floors(self.races, self.prices),
            "everybody": self.races and passes_tables.everybody(self.races),
            "precision": self.precisions and passes_tables.precisions(self.precisions),
            "memory": self.growths and passes_tables.growths(self.growths),
            "scaling": self.costs and passes_tables.costs(self.costs),
        }
        footer = f"{self.machine}; medians of {self.rounds} rounds."
        return {name: f"{text}\n\n{footer}" for name, text in found.items() if text}

    def pictures(self) -> dict[str, tuple[str, Figure]]:
        """What each shows, and the picture, by the name of the table that it stands below."""
        return {
            "speed": ("How many times as fast mcdrop is, with the floors", passes_pictures.speeds(self.races)),
            "precision": (
                "Root mean squared error against time, by design",
                passes_pictures.errors_against_time(self.precisions),
            ),
            "scaling": (
                "Milliseconds against passes, rows, width and depth, with the limits",
                passes_pictures.costs(self.costs),
            ),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "machine": self.machine,
            "rounds": self.rounds,
            "prices": vars(self.prices),
            "speed": [each.to_dict() for each in self.races],
            "precision": [each.to_dict() for each in self.precisions],
            "memory": [each.to_dict() for each in self.growths],
            "scaling": {sweep: [each.to_dict() for each in costs] for sweep, costs in self.costs.items()},
        }


def measure(rounds: int, threads: int, wanted: Callable[[str], bool] = lambda name: True) -> Measured:
    """Measures what is wanted, by its name."""
    torch.set_num_threads(threads)
    found = Measured(machine(), rounds, prices())
    found.races = [race(work, rounds) for work in WORK if wanted(f"speed: {work.name}")]
    if wanted("precision"):
        found.precisions = [precision.measure(problem, rounds) for problem in precision.problems()]
    found.growths = [
        memory.growth(who, work, threads) for who, work in memory.MEASURED if wanted(f"memory: {who}, {work}")
    ]
    found.costs = {
        sweep: [scaling.cost(size, found.prices, rounds) for size in scaling.sizes(sweep)]
        for sweep in scaling.SWEEPS
        if wanted(f"scaling: {sweep}")
    }
    return found


def store(found: Measured, folder: Path) -> None:
    """Tables and pictures onto the page beside the folder, JSON and the pictures' files into it."""
    page, texts = folder.with_suffix(".md"), found.tables()
    folder.mkdir(exist_ok=True)
    for name, (shows, figure) in found.pictures().items():
        figure.savefig(folder / f"{name}.png", dpi=110)
        texts[name] += f"\n\n![{shows}]({folder.name}/{name}.png)"
    page.write_text(fill(page.read_text(), texts))
    (folder / "passes.json").write_text(json.dumps(found.to_dict(), indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="only what has this in its name; stores nothing")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder beside the page")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        if options.only in name:
            print(name, file=sys.stderr, flush=True)  # what is being measured now
        return options.only in name

    found = measure(options.rounds, options.threads, wanted)
    print("\n\n".join(found.tables().values()))
    for absent in [contender.package for contender in OTHERS if not contender.is_installed]:
        print(f'\nleft out, not installed: {absent} (pip install -e ".[test,bench]")')
    if not options.only:
        store(found, options.out)


if __name__ == "__main__":
    main()
