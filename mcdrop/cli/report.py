"""`mcdrop report`: how far a prediction can be trusted, as a page."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

import torch

from mcdrop.calibration import Temperature, VarianceScaling
from mcdrop.cli import arrays, options, recorded
from mcdrop.cli.answer import as_json
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction

DESCRIPTION = """\
Write a page that says in words and pictures how far a prediction can be
trusted: scores with their errors, reliability, uncertainty of right and wrong
answers, what is gained by answering only when sure, whether more draws would
help, and whether MC dropout helps at all beside the usual network. It is one
file, without scripts, that opens offline and prints. The same numbers stand as
JSON beside it, in a file of the same name with the ending .json."""

EPILOG = f"""\
{arrays.FORMS}

examples:
  mcdrop report predictions.npz --targets test.npz:y --out report.html
  mcdrop report predictions.npz --targets test.npz:y --images test.npz:x \\
      --other ensemble.npz --names "MC dropout" ensemble --out report.html"""

_WIDTH = 80


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report` to the commands."""
    parser = options.add_command(
        commands,
        "report",
        summary="how far a prediction can be trusted: a page",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("predictions", type=Path, metavar="FILE", help="of mcdrop predict, or of prediction.save")
    parser.add_argument("--targets", required=True, metavar="FILE[:key]", help="the truth, one for each row")
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (default: report.html)"
    )
    parser.add_argument("--other", type=Path, metavar="FILE", help="predictions of the same rows to compare with")
    parser.add_argument(
        "--names",
        nargs=2,
        default=("MC dropout", "the other predictor"),
        metavar=("NAME", "OTHER"),
        help="what the two predictors are called",
    )
    parser.add_argument(
        "--recalibrate",
        nargs=2,
        metavar=("FILE", "TARGETS"),
        help="predictions of rows held out for it, and their targets: fit a temperature, or for numbers a factor of "
        "the standard deviation, and show the page before and after",
    )
    parser.add_argument("--images", metavar="FILE[:key]", help="the rows as pictures, to show the worst of")
    parser.add_argument(
        "--class-names", type=_names, metavar="A,B,...", help="of the classes; or a text file with one on each line"
    )
    parser.add_argument("--unit", default="", help="of the targets, for numbers")
    parser.add_argument("--title", default="Calibration report", help="of the page")
    parser.add_argument("--json", action="store_true", help="print the report as JSON too")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Write the page, and print what it says in short."""
    # matplotlib, which reports are drawn with, takes longer to import than `mcdrop --help` should take to answer
    from mcdrop import report

    recorded.check_page(given.out)
    found = recorded.open_file(given.predictions)
    targets = recorded.targets_of(found.prediction, given.targets)
    other = recorded.open_file(given.other).prediction if given.other is not None else None
    written = report.write(
        found.prediction,
        targets,
        given.out,
        weight_scaled=found.weight_scaled,
        recalibrated=_recalibrated(found.prediction, *given.recalibrate) if given.recalibrate else None,
        other=other,
        names=tuple(given.names),
        audit=found.audit,
        images=torch.from_numpy(arrays.read(given.images)) if given.images is not None else None,
        class_names=given.class_names,
        unit=given.unit,
        title=given.title,
        metadata=metadata(found.run or {}, predictions=given.predictions, targets=given.targets),
    )
    if given.json:
        print(as_json(written.to_dict()))
        return
    for sentence in written.verdict:
        print(sentence.question)
        for line in (sentence.answer, *(f"- {detail}" for detail in sentence.details)):
            print(textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="  "))
    print(f"\nwritten to {given.out} and {given.out.with_suffix('.json')}")


def metadata(run: dict[str, Any], **files: object) -> dict[str, str]:
    """What was run, and of which files, as lines of a page.

    Example:
        >>> metadata({"model": "network:build", "inputs": ["x.npz"], "only": None}, targets="y.npz")
        {'model': 'network:build', 'inputs': 'x.npz', 'targets': 'y.npz'}
    """
    lines = {**run, **files}
    return {
        name: ", ".join(map(str, line)) if isinstance(line, list) else str(line)
        for name, line in lines.items()
        if line is not None and line != []
    }


def _recalibrated(prediction: Prediction, held_out: str, source: str) -> Prediction:
    fitted_on = recorded.open_file(Path(held_out)).prediction
    of_classes = isinstance(fitted_on, CategoricalPrediction | BinaryPrediction)
    kind = Temperature if of_classes else VarianceScaling
    return kind.fit(fitted_on, recorded.targets_of(fitted_on, source))(prediction)


def _names(text: str) -> list[str]:
    try:
        return Path(text).read_text(encoding="utf-8").splitlines() if Path(text).is_file() else text.split(",")
    except UnicodeDecodeError as error:
        raise InputError(f"{text} cannot be read as names: {error}") from error
