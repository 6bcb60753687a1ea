"""`mcdrop compare`: two predictions of the same rows, by paired scores."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mcdrop.cli import options, recorded
from mcdrop.cli.answer import as_json
from mcdrop.cli.arrays import FORMS
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from mcdrop.report.record import Pair

DESCRIPTION = """\
Score two prediction files on the same targets, and say which is better and
whether these rows and draws can tell. With one file, MC dropout is compared
with the weight-scaled network whose answer `mcdrop predict` put beside it: does
MC dropout help here?

The difference A - B is taken row by row, so that what both find equally hard
cancels. It has two errors: from the choice of the rows, and from the choice of
the draws. A difference of less than two errors may be chance."""

EPILOG = f"""\
{FORMS}

example:
  mcdrop compare mc.npz ensemble.npz --targets test.npz:y
prints for each score the two values with their standard errors, and
  A - B  -0.0093 nats ± 0.0030 (rows) ± 0.0008 (draws): better with A"""

_LABEL_WIDTH, _COLUMN_WIDTH = 42, 19


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `compare` to the commands."""
    parser = options.add_command(
        commands, "compare", summary="which of two predictions is better", description=DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("a", type=Path, metavar="A.npz", help="a file of mcdrop predict, or of prediction.save")
    parser.add_argument(
        "b",
        type=Path,
        nargs="?",
        metavar="B.npz",
        help="another of the same rows (default: the weight-scaled network's answer in A)",
    )
    parser.add_argument("--targets", required=True, metavar="FILE[:key]", help="the truth, one for each row")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the page of mcdrop report on both, too: report.html, say"
    )
    parser.add_argument("--json", action="store_true", help="print scores and differences as JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the table, and write the page where one is asked for."""
    if given.report is not None:
        recorded.check_page(given.report)
    a, b = _pair_of(given.a, given.b)
    targets = recorded.targets_of(a, given.targets)
    names = (str(given.a), str(given.b) if given.b is not None else f"the weight-scaled network of {given.a}")
    pairs, notes = _scored(a, b, targets)
    if given.report is not None:
        _write(given.report, a, b, targets, names)
    print(as_json(_record(pairs, names, len(a), notes)) if given.json else _table(pairs, names, len(a), notes))


def _pair_of(a: Path, b: Path | None) -> tuple[Prediction, Prediction]:
    first = recorded.open_file(a)
    second = recorded.open_file(b).prediction if b is not None else first.weight_scaled
    if second is None:
        raise InputError(
            f"{a} holds no answer of the weight-scaled network, which `mcdrop predict` puts there: give a second file."
        )
    if len(first.prediction) != len(second):
        raise InputError(f"{a} holds {len(first.prediction)} rows and {b} {len(second)}; expected the same rows.")
    return first.prediction, second


def _scored(a: Prediction, b: Prediction, targets: Tensor) -> "tuple[Sequence[Pair], Sequence[str]]":
    """The paired scores, and what was left out of very large predictions."""
    # matplotlib, which reports are drawn with, takes longer to import than `mcdrop --help` should take to answer
    from mcdrop.report.sections import rivals
    from mcdrop.report.subject import checked

    nothing = dict.fromkeys(("weight_scaled", "recalibrated", "audit", "images", "class_names"))
    subject = checked(a, targets, other=b, names=("A", "B"), unit="", **nothing)
    return rivals.other(subject).pairs, subject.notes


def _write(path: Path, a: Prediction, b: Prediction, targets: Tensor, names: tuple[str, str]) -> None:
    from mcdrop import report

    report.write(a, targets, path, other=b, names=names, title=f"{names[0]} and {names[1]}")


def _record(pairs: "Sequence[Pair]", names: tuple[str, str], rows: int, notes: Sequence[str]) -> dict[str, Any]:
    scores = [pair.to_dict() for pair in pairs]
    return {"a": names[0], "b": names[1], "rows": rows, "notes": list(notes), "scores": scores}


def _table(pairs: "Sequence[Pair]", names: tuple[str, str], rows: int, notes: Sequence[str]) -> str:
    lines = [f"A  {names[0]}", f"B  {names[1]}", "", _row(f"{rows} rows", "A", "B")]
    for pair in pairs:
        values = [value + (f" ± {error}" if error else "") for value, error, _ in (pair.first.texts, pair.second.texts)]
        difference, of_rows, of_draws = pair.difference.texts
        errors = (f" ± {of_rows} (rows)" if of_rows else "") + (f" ± {of_draws} (draws)" if of_draws else "")
        lines += ["", _row(pair.first.label, *values), f"  A - B  {difference}{errors}: {pair.says}"]
    lines += ["", *notes] if notes else []
    return "\n".join(lines).replace("\N{MINUS SIGN}", "-")  # which programs read, and every terminal shows


def _row(label: str, *cells: str) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.rjust(_COLUMN_WIDTH) for cell in cells)).rstrip()
