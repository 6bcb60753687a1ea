"""Two files from one record: the page for people, and the same numbers for programs."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcdrop.calibration.losses import Predicted
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction
from mcdrop.report.collect import collected
from mcdrop.report.page import html
from mcdrop.report.record import Report
from mcdrop.report.subject import checked
from mcdrop.sites import Audit
from mcdrop.types import ArrayLike


def write(
    prediction: Prediction,
    targets: ArrayLike,
    path: str | os.PathLike,
    *,
    weight_scaled: Predicted | None = None,
    recalibrated: Prediction | None = None,
    other: Predicted | None = None,
    names: tuple[str, str] = ("MC dropout", "the other predictor"),
    audit: Audit | None = None,
    images: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    unit: str = "",
    title: str = "Calibration report",
    metadata: Mapping[str, object] | None = None,
) -> Report:
    """Writes a report on a prediction: a page that explains itself, and the same numbers as JSON beside it.

    The page is one file without scripts that asks nothing of the network; it follows light and dark, prints, and can be
    read aloud. Whatever is not given leaves a section that says which argument would fill it. The JSON file has the
    page's name with the ending `.json`; `report.schema.json` in the documentation is its schema. Each number in both
    names the public function that gave it. Both files appear complete or not at all.

    Of more than 200 000 labels, or a million draws of numbers, every k-th is scored; the page says so.

    Args:
        prediction: Of classes, events or numbers, N rows. Numbers need their draws for most sections
            (`keep_samples=True`).
        targets: Of its rows, as its `log_prob` takes them.
        path: Of the page, such as `report.html`; files that are there are replaced.
        weight_scaled: What the single network says, dropout off: probabilities or means in the shape of those of the
            prediction, or a prediction of one draw. Of numbers, means alone allow no score but the RMSE:
            `from_draws(output[None], likelihood)` makes a prediction of an output.
        recalibrated: The prediction after recalibration, `recalibrator(prediction)`.
        other: Another predictor of the same rows, likewise.
        names: Of the prediction and of the other predictor.
        audit: What `mcdrop.audit(model, x)` found.
        images: Of the rows, shown with the worst and least certain ones: (N, height, width), (N, channels, height,
            width) or (N, height, width, channels).
        class_names: Of the C classes; of events, what 0 and 1 mean.
        unit: Of the targets, for numbers.
        title: Of the page.
        metadata: Further lines for the page, such as the name of the model and of the data; values are shown as text.

    Returns:
        The record that both files were made from.

    Raises:
        InputError: If an argument does not fit the prediction; nothing is written then.
        OutputError: If what is given as probabilities are none; likewise.
        OSError: If a file cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> prediction = from_draws(torch.randn(20, 50, 3), Categorical())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = write(prediction, torch.arange(50) % 3, f"{folder}/report.html")
        ...     sorted(os.listdir(folder))
        ['report.html', 'report.json']
        >>> report.section("scores").number("accuracy").source
        'mcdrop.calibration.accuracy'
    """
    page = Path(path)
    if page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"path={str(path)!r} given; expected a name that ends in .html, such as 'report.html'.")
    subject = checked(
        prediction,
        targets,
        weight_scaled=weight_scaled,
        recalibrated=recalibrated,
        other=other,
        audit=audit,
        images=images,
        class_names=class_names,
        names=names,
        unit=unit,
    )
    report = collected(subject, title, metadata or {})
    store(report, page)
    return report


def store(report: Report, page: Path) -> None:
    """Writes a record down as a page, and as JSON beside it: files that appear complete or not at all.

    Args:
        report: What both say.
        page: Path of the page.
    """
    _put(
        {
            page: html(report),
            page.with_suffix(".json"): json.dumps(report.to_dict(), indent=1, allow_nan=False),
        }
    )


def _put(texts: Mapping[Path, str]) -> None:
    """Writes files; all are complete before the first one is replaced."""
    written: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            # in the same folder, so that the replacement is one atomic step of the file system
            written[path] = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            with open(written[path], "x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in written.items():
            os.replace(temporary, path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
