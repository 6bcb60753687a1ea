"""The file that `mcdrop predict` writes: a prediction, and beside it what a report needs to know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcdrop.cli import arrays
from mcdrop.errors import InputError
from mcdrop.prediction import CategoricalPrediction, Prediction, load, load_parts
from mcdrop.prediction.storage import write
from mcdrop.sites import Audit, RowAxis, Site


@dataclass(frozen=True)
class Recorded:
    """What is in the file.

    Args:
        prediction: Moments with the means of up to 16 groups of blocks, and the draws where they are kept.
        weight_scaled: Of the network in evaluation mode; None in a file that `prediction.save` wrote.
        audit: Of the dropout sites; None as above, or where every row has masks of its own and the axis of the rows
            cannot be told.
        run: What was run, in words by name.
    """

    prediction: Prediction
    weight_scaled: Prediction | None = None
    audit: Audit | None = None
    run: dict[str, Any] | None = None


def check_destination(path: Path) -> None:
    """Raises InputError, before any work, unless a file of this name can stand there."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file to write.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"There is no folder {path.parent} to write {path.name} to.")


def check_page(path: Path) -> None:
    """Raises InputError, before any work, unless a page of this name can stand there."""
    check_destination(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path} was given as the page; expected a name that ends in .html.")


def save(path: Path, recorded: Recorded) -> None:
    """Writes the file, which appears complete or not at all; `mcdrop.load` gives its prediction."""
    parts = {"weight_scaled": recorded.weight_scaled, "audit": recorded.audit, "run": recorded.run}
    write(path, recorded.prediction, {name: part for name, part in parts.items() if part is not None})


def open_file(path: Path) -> Recorded:
    """What a file of `mcdrop predict` or of `prediction.save` holds.

    Raises:
        InputError: It is none, or damaged.
        FileNotFoundError: There is none.
    """
    parts = load_parts(path, Audit, Site, RowAxis)
    kinds = {"weight_scaled": Prediction, "audit": Audit, "run": dict}
    known = {name: parts[name] for name, kind in kinds.items() if isinstance(parts.get(name), kind)}
    return Recorded(load(path), **known)


def targets_of(prediction: Prediction, source: str) -> Tensor:
    """The targets that `FILE` or `FILE:key` names; labels written as 1.0 are integers for a prediction of classes.

    Raises:
        InputError: They cannot be read, or are not one for each row.
    """
    array = arrays.read(source)
    if len(array) != len(prediction):
        raise InputError(f"{source} holds {len(array)} rows; the predictions are of {len(prediction)}.")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if isinstance(prediction, CategoricalPrediction) and array.dtype.kind == "f" and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    return torch.from_numpy(array)
