"""The rows that went worst, and those that the prediction knows least about."""

from contextlib import suppress

from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.report.pixels import png
from mcdrop.report.record import Cell, Section, Table
from mcdrop.report.subject import Answers, Predicts, Subject
from mcdrop.report.wording import MINUS

TITLE = "Which rows went worst?"
LEAD = (
    "The rows with the largest loss are those where the prediction gave the least probability to the truth: errors, "
    "and perhaps wrong targets. The least certain rows are those that it would hand to somebody else.",
)
MOST = 8
"""Rows in each table."""

_TINY = 1e-5


def section(subject: Subject) -> Section:
    """The rows of largest loss and of largest uncertainty, with their images where there are any."""
    loss, uncertainty = _losses(subject), _by_row(_uncertainty(subject.prediction))
    prediction = f"mcdrop.prediction.{type(subject.prediction).__name__}"
    measure = "predictive_entropy" if subject.is_of_labels else "std"
    tables = []
    if loss is not None:
        tables.append(_table(subject, loss, f"Largest loss, {MINUS}log p of the truth.", f"{prediction}.log_prob"))
    tables.append(_table(subject, uncertainty, "Least certain.", f"{prediction}.{measure}"))
    return Section("cases", TITLE, LEAD, tables=tuple(tables))


def _losses(subject: Subject) -> Float[Tensor, " N"] | None:
    """-log p of each row's target, elements averaged; None where only moments were kept."""
    try:
        return -_by_row(subject.prediction.log_prob(subject.targets))
    except UnavailableError:
        return None


def _uncertainty(prediction: Predicts) -> Tensor:
    if isinstance(prediction, Answers):
        return prediction.predictive_entropy
    return prediction.std


def _by_row(values: Tensor) -> Float[Tensor, " N"]:
    return values.reshape(len(values), -1).mean(dim=1).cpu()


def _table(subject: Subject, ranking: Float[Tensor, " N"], caption: str, source: str) -> Table:
    rows = ranking.argsort(descending=True, stable=True)[:MOST]
    describe = _of_many if subject.elements_per_row > 1 else _of_label if subject.is_of_labels else _of_number
    described = [describe(subject, int(row)) for row in rows]
    images = () if subject.images is None else tuple(png(subject.images[row], subject.images) for row in rows)
    return Table(
        caption=caption,
        columns=("row, from 0", *described[0]),
        rows=tuple((int(row) * subject.row_step, *cells.values()) for row, cells in zip(rows, described, strict=True)),
        source=source,
        images=images,
    )


def _of_label(subject: Subject, row: int) -> dict[str, Cell]:
    prediction = subject.answers[row]
    label = int(prediction.labels)
    truth = int(subject.targets[row])
    given = float(prediction.log_prob(subject.targets[row : row + 1]).exp())
    return {
        "truth": subject.class_names[truth],
        "answer": subject.class_names[label],
        "right or wrong": "right" if label == truth else "wrong",
        "confidence": _percent(float(prediction.confidence)),
        "probability of the truth": _percent(given),
        "predictive entropy, nats": _short(float(prediction.predictive_entropy)),
        **_information(prediction),
    }


def _information(prediction: Answers) -> dict[str, Cell]:
    try:
        return {"mutual information, nats": _short(float(prediction.mutual_information))}
    except UnavailableError:  # recalibrated after the draws were averaged
        return {}


def _of_number(subject: Subject, row: int) -> dict[str, Cell]:
    prediction, truth = subject.numbers[row], float(subject.targets[row])
    mean, std = float(prediction.mean), float(prediction.std)
    cells: dict[str, Cell] = {
        "truth": _short(truth),
        "predicted mean": _short(mean),
        "predicted standard deviation": _short(std),
        "error in standard deviations": _short((truth - mean) / std),
    }
    try:
        low, high = (float(bound) for bound in prediction.interval(0.95))
    except UnavailableError:  # only moments were kept
        return cells
    return {**cells, "95 % interval": f"{_short(low)} to {_short(high)}"}


def _of_many(subject: Subject, row: int) -> dict[str, Cell]:
    prediction, truth = subject.prediction[row], subject.targets[row : row + 1]
    cells: dict[str, Cell] = {}
    if isinstance(prediction, Answers):
        right = prediction.labels.reshape(truth.shape) == truth.to(prediction.labels)
        cells["right, of its labels"] = _percent(float(right.double().mean()))
        cells["predictive entropy, nats, mean"] = _short(float(prediction.predictive_entropy.mean()))
    else:
        off = prediction.mean - truth.reshape(prediction.mean.shape).to(prediction.mean)
        cells["root mean squared error"] = _short(float(off.square().mean().sqrt()))
        cells["predicted standard deviation, mean"] = _short(float(prediction.std.mean()))
    with suppress(UnavailableError):  # only moments were kept
        cells["loss, nats, mean"] = _short(-float(prediction.log_prob(truth).mean()))
    return cells


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)


def _percent(share: float) -> str:
    if share >= 0.001:
        return f"{100 * share:.1f} %"
    return f"{100 * share:.1g} %" if share >= _TINY else f"less than {100 * _TINY:g} %"
