"""What other ways of Monte Carlo dropout do on the models of the table of conformance: right, wrong, refused.

    python -m tests.benchmarks.peers [--draws 1000] [--line attention] [--contender baal] [--json PATH]

Prints tables in Markdown: how many models each way gets right, and where in the table of conformance. A way whose
package is not installed is left out and named; `pip install -e ".[test,bench]"` installs all. With all of them it takes
about ten minutes on one core.
"""

import argparse
import datetime
import json
import logging
import platform
import time
from collections import Counter
from importlib import metadata
from pathlib import Path

import torch

import tests.conftest  # noqa: F401 (torchvision's schemas, before a library imports it)
from tests.benchmarks.peers_contenders import CONTENDERS
from tests.benchmarks.peers_verdict import Contender, Trial, Verdict, judge
from tests.conformance.models import LINES

Row = dict[str, str | float | bool]

THEIRS = [line for line in LINES if line != "noise layers"]
"""All but mcdrop's own layers, of which the others cannot know."""


def installed(contender: Contender) -> bool:
    try:
        metadata.version(contender.package)
    except metadata.PackageNotFoundError:
        return False
    return True


def measure(contenders: list[Contender], lines: list[str], draws: int) -> list[Row]:
    """One row for each model and way."""
    rows: list[Row] = []
    for line in lines:
        for case in LINES[line]:
            trial = Trial(case)
            for contender in contenders:
                start = time.perf_counter()
                found = judge(contender, trial, draws)
                rows.append(
                    {
                        "line": line,
                        "model": case.name,
                        "expects_refusal": bool(case.refused or case.rows_tied),
                        "contender": contender.name,
                        "verdict": found.verdict.value,
                        "why": found.why,
                        "seconds": round(time.perf_counter() - start, 2),
                    }
                )
                logging.info("%s: %s | %s | %s %s", line, case.name, contender.name, found.verdict, found.why)
    return rows


def table(head: list[str], body: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def by_verdict(rows: list[Row]) -> str:
    """How many models each way gets right, refuses, and so on; what is silently wrong by what is wrong."""
    columns = [*Verdict][:-1]
    body = []
    for name in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == name]
        counts = Counter(row["verdict"] for row in mine)
        wrong = [row["why"] for row in mine if row["verdict"] == Verdict.WRONG]
        zero, law = (wrong.count(why) for why in ("zero spread", "another law"))
        cells = [*(counts[verdict] for verdict in columns), zero, law, len(wrong) - zero - law]
        body.append([str(name), *map(str, cells)])
    return table(["", *columns, "wrong: zero spread", "wrong: another law", "wrong: part of it off"], body)


def by_line(rows: list[Row]) -> str:
    """Right answers (model left changed or not) and silently wrong ones, by line of the table of conformance."""
    lines = dict.fromkeys(row["line"] for row in rows)
    models = {line: len({row["model"] for row in rows if row["line"] == line}) for line in lines}
    body = []
    for name in dict.fromkeys(row["contender"] for row in rows):
        cells = []
        for line in lines:
            counts = Counter(row["verdict"] for row in rows if (row["line"], row["contender"]) == (line, name))
            cells.append(f"{counts[Verdict.RIGHT] + counts[Verdict.CHANGED]} / {counts[Verdict.WRONG]}")
        body.append([str(name), *cells])
    return table(["right / silently wrong", *(f"{line} ({count})" for line, count in models.items())], body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--line", action="append", choices=THEIRS, help="only these lines of the table")
    parser.add_argument("--contender", default="", help="only those whose name contains this")
    parser.add_argument("--json", type=Path, help="where every single verdict is written")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    wanted = [contender for contender in CONTENDERS if options.contender in contender.name]
    present = [contender for contender in wanted if installed(contender)]
    rows = measure(present, options.line or THEIRS, options.draws)
    packages = dict.fromkeys(contender.package for contender in present)
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    print(f"{versions}; torch {torch.__version__}, Python {platform.python_version()}, {datetime.date.today()}")
    for absent in [contender.name for contender in wanted if contender not in present]:
        print(f"left out, not installed: {absent}")
    for title, expects in (("to be answered", False), ("to be refused", True)):
        part = [row for row in rows if row["expects_refusal"] is expects]
        print(f"\nModels that the table expects {title}:\n\n{by_verdict(part)}")
    print(f"\n{by_line(rows)}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
