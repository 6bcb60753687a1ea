"""Arrays in one `.npz` file that are known by a checksum of what they hold.

The bytes of such a file depend on the library that packed it, so the checksum is one of names, types, shapes and
values. It is the same for arrays read from the file and for those parsed from a publisher's own files.
"""

import contextlib
import hashlib
import os
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mcdrop.errors import DownloadError, InputError


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the arrays, in the order of their names: name, type, shape, and the values in C order.

    Args:
        arrays: Arrays of numbers by name.

    Returns:
        64 hexadecimal digits, which do not depend on the order of the mapping or the byte order of the machine.

    Example:
        >>> checksum({"x": np.zeros(2)}) == checksum({"x": np.zeros(2)})
        True
        >>> checksum({"x": np.zeros(2)}) == checksum({"x": np.zeros(2, dtype=np.float32)})
        False
    """
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], dtype=arrays[name].dtype.newbyteorder("<"))
        total.update(f"{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def read(path: Path, names: Iterable[str], *, sha256: str) -> dict[str, np.ndarray]:
    """The named arrays of a file, checked.

    Args:
        path: A file of `numpy.savez` or `write`. Other arrays in it are left unread.
        names: The arrays wanted.
        sha256: Their `checksum`.

    Returns:
        Arrays by name.

    Raises:
        InputError: The file is no such archive, lacks an array, or holds others than expected.
    """
    try:
        # Given a path, np.load leaves the file open when it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an archive of arrays: {error}. {_REMEDY}") from error
    if checksum(arrays) != sha256:
        raise InputError(f"{path} holds other values than its publisher gives (by their SHA-256). {_REMEDY}")
    return arrays


_REMEDY = "Move it away, and it is downloaded."


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """The arrays as a file that is there whole or not at all.

    Args:
        path: Where it is to be, replaced if it exists. Folders are made as needed.
        arrays: Arrays by name.

    Raises:
        DownloadError: The file cannot be written.
    """
    # Under a name of its own, so that two processes with the same arrays may both do this.
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]  # no array is named allow_pickle
        os.replace(part, path)
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be written: {error}. Set MCDROP_DATA to a folder that you may write to and that has room."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
