"""What was run, so that it can be repeated."""

import platform
from importlib.metadata import version

from mcdrop.prediction import Prediction
from mcdrop.report.record import Cell, Section, Table
from mcdrop.report.subject import Subject
from mcdrop.report.wording import DASH, plain

TITLE = "What was run?"
LEAD = (
    "Model, data and these lines are all that is needed to repeat the prediction: one seed gives the same masks each "
    "time on one kind of device.",
)
_WORDS = {
    "num_samples": "draws, T",
    "seed": "seed of the masks",
    "design": "design: how the draws depend on each other",
    "block_size": "draws in a block of the design",
    "shared_masks": "all rows see the same draw",
    "until": "drawn until",
    "members": "the draws are members of an ensemble",
    "execution": "execution of the passes",
    "recalibrated": "recalibrated by",
    "mcdrop_version": "mcdrop",
    "torch_version": "PyTorch",
}


def section(subject: Subject) -> Section:
    """The provenance of the predictions, and the versions that wrote the report."""
    predictions = {subject.name: subject.prediction}
    if subject.other is not None and isinstance(subject.other[1], Prediction):
        predictions[subject.other[0]] = subject.other[1]
    tables = [_provenance(name, prediction) for name, prediction in predictions.items()]
    return Section("run", TITLE, LEAD, tables=(*tables, _written_by()))


def _provenance(name: str, prediction: Prediction) -> Table:
    rows: list[tuple[Cell, ...]] = [("rows scored", len(prediction)), ("read as", plain(prediction.likelihood))]
    rows += [(_WORDS.get(field, field), _said(value)) for field, value in prediction.provenance.to_dict().items()]
    return Table(
        caption=f"Prediction: {name}.",
        columns=("what", "value"),
        rows=tuple(rows),
        source="mcdrop.prediction.Provenance",
    )


def _written_by() -> Table:
    rows = [(name, version(name)) for name in ("numpy", "scipy", "scikit-learn", "matplotlib")]
    return Table(
        caption="The report was written with these versions.",
        columns=("what", "version"),
        rows=(("Python", platform.python_version()), *rows),
        source="importlib.metadata.version",
    )


def _said(value: object) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return DASH
    return value if isinstance(value, int | float) else plain(value)
