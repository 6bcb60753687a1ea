"""Arrays of numbers in files that the command line names: `FILE` or `FILE:key`, of npz, npy and csv."""

import csv
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mcdrop.errors import InputError

FORMS = """\
files of numbers:
  data.npz:x               an array of an npz by name, which may be left out
                           where there is but one; also .npy
  data.csv                 a table, its first line names or numbers; also .tsv
  data.csv:age,height      some of its columns, by name or by number from 0
  data.csv:-price          all but some"""

_TABLES = (".csv", ".tsv", ".txt")


def read(source: str) -> np.ndarray:
    """The numbers that `FILE` or `FILE:key` names.

    Args:
        source: See `FORMS`. A file of just this name, colon and all, comes first.

    Returns:
        At least one row, finite; of a table (N, columns) in float64.

    Raises:
        InputError: There is no such file, key or column, or it holds something else than such numbers.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/data.csv", "w") as file:
        ...         _ = file.write("height,weight\\n1.8,80\\n1.7,65\\n")
        ...     read(f"{folder}/data.csv:weight")
        array([[80.],
               [65.]])
    """
    path, key = _split(source)
    try:
        if path.suffix == ".npz":
            array = _from_archive(path, key)
        elif path.suffix == ".npy" and key is None:
            with path.open("rb") as file:
                array = np.load(file, allow_pickle=False)
        elif path.suffix in _TABLES:
            array = _from_table(path, key)
        else:
            raise InputError(f"{source} was given; expected FILE.npz[:key], FILE.npy or FILE.csv[:columns].")
    except InputError:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return _checked(array, source)


def _split(source: str) -> tuple[Path, str | None]:
    if Path(source).exists():
        return Path(source), None
    path, colon, key = source.rpartition(":")
    if colon and Path(path).exists():
        return Path(path), key
    raise InputError(f"There is no file {path or source}.")


def _checked(array: np.ndarray, source: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{source} holds an array of {array.dtype}; expected numbers.")
    if array.ndim == 0 or len(array) == 0:
        raise InputError(f"{source} holds an array of shape {array.shape}; expected at least one row.")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        count = int((~np.isfinite(array)).sum())
        raise InputError(f"{source} holds {count} NaN or infinite numbers, the first in row {row} (counted from 0).")
    # torch reads numbers of the machine's own byte order alone
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _from_archive(path: Path, key: str | None) -> np.ndarray:
    with path.open("rb") as file:  # given a path, np.load leaves the file open when it is no archive
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, Mapping):
            raise InputError(f"{path} is no archive of arrays, whatever its name says.")
        names = list(archive)
        if key is None and len(names) == 1:
            key = names[0]
        if key not in names:
            asked = "no key" if key is None else f"the key {key!r}"
            held = ", ".join(names) or "nothing"
            raise InputError(f"{path} was given with {asked}; it holds {held}. {path}:NAME picks one of them.")
        return archive[key]


def _from_table(path: Path, key: str | None) -> np.ndarray:
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline()
    delimiter = max(",;\t", key=line.count)
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    has_names = any(cell and not _is_number(cell) for cell in cells)
    columns = None if key is None else _columns(cells if has_names else [], len(cells), key, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no rows, which is refused for every file
        return np.loadtxt(
            path,
            delimiter=delimiter,
            skiprows=int(has_names),
            usecols=columns,
            ndmin=2,
            comments=None,
            quotechar='"',
            encoding="utf-8-sig",
        )


def _columns(names: Sequence[str], count: int, key: str, path: Path) -> list[int]:
    """Numbers of the columns that a key picks: those it lists, or all but those after a minus."""
    words = [word.strip() for word in key.split(",")]
    places = {name: place for place, name in reversed(list(enumerate(names)))}  # of equal names, the first
    places |= {str(place): place for place in range(count) if str(place) not in places}
    left_out = all(word.startswith("-") and word not in places for word in words)
    asked = [word[1:] if left_out else word for word in words]
    unknown = [word for word in asked if word not in places]
    if unknown:
        known = ", ".join(names) if names else f"0 to {count - 1} (it has no line of names)"
        raise InputError(f"{path} has no column {unknown[0]!r}. Its columns: {known}.")
    picked = [places[word] for word in asked]
    return [place for place in range(count) if place not in picked] if left_out else picked


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
