"""Records on disk: trees of tensors, numbers and dataclasses in NumPy's npz format, without pickle.

The arrays of the file are the tensors; one more array, `metadata`, holds a JSON text that says where they belong.
"""

import dataclasses
import json
import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcdrop.errors import InputError

FORMAT, VERSION = "mcdrop.prediction", 1


def write(path: str | os.PathLike, record: Any, parts: Mapping[str, Any] | None = None) -> None:
    """Writes a record to a file of exactly this name, which appears complete or not at all.

    Args:
        path: Where to; replaced if it exists.
        record: A dataclass of tensors, numbers, strings, dicts, lists, tuples and dataclasses.
        parts: More of such, by name, that belong to the record and that `read` passes over.

    Raises:
        InputError: If something in the record cannot be stored without pickle.
    """
    arrays: dict[str, np.ndarray] = {}
    described = {"record": _encode(record, arrays), "parts": _encode(parts or {}, arrays)}
    metadata = json.dumps({"format": FORMAT, "version": VERSION, **described})
    path = Path(path)
    # in the same folder, so that the replacement is one atomic step of the file system
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            np.savez(file, allow_pickle=False, metadata=np.array(metadata), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike, classes: Mapping[str, type]) -> Any:
    """The record that `write` stored, on the CPU.

    Args:
        path: The file.
        classes: Dataclasses that may occur, by name.

    Raises:
        InputError: If the file is incomplete, not written by mcdrop, or written by a newer version.
        FileNotFoundError: If there is none.
    """
    metadata, arrays = _open(path)
    return _decoded(path, metadata.get("record"), arrays, classes)


def read_parts(path: str | os.PathLike, classes: Mapping[str, type]) -> dict[str, Any]:
    """What `write` was given beside the record, by name; nothing where it was given nothing. As `read`."""
    metadata, arrays = _open(path)
    parts = _decoded(path, metadata.get("parts", {"kind": "dict", "items": []}), arrays, classes)
    if not isinstance(parts, dict):
        raise InputError(f"{path} is damaged, its parts are a {type(parts).__name__}: write it again.")
    return parts


def _open(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The file's metadata and its arrays by name."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, ValueError, EOFError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError(
            f"{path} is no complete file of mcdrop ({error}). It may be cut short or of another format: give a file "
            "that `prediction.save(path)` wrote."
        ) from error
    try:
        metadata = json.loads(str(arrays.pop("metadata")[()]))
        if metadata["format"] != FORMAT:
            raise KeyError(metadata["format"])
        version = int(metadata["version"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} was not written by mcdrop: give a file that `prediction.save(path)` wrote."
        ) from error
    if version > VERSION:
        raise InputError(
            f"{path} has format version {version}, this mcdrop reads up to {VERSION}: install a newer mcdrop."
        )
    return metadata, arrays


def _decoded(
    path: str | os.PathLike, described: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]
) -> Any:
    try:
        return _decode(described, arrays, classes)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path} is damaged, its parts do not fit together ({error}): write it again.") from error


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """JSON that describes the value; its tensors go to `arrays`."""
    if isinstance(value, Tensor):
        if value.device.type == "meta":
            return {"kind": "meta", "shape": list(value.shape), "dtype": _name(value.dtype)}
        tensor = value.detach().cpu().contiguous()
        # NumPy has no bfloat16: its bits are stored as integers
        bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        name = f"array_{len(arrays)}"
        arrays[name] = bits.numpy()
        return {"kind": "tensor", "array": name, "dtype": _name(tensor.dtype)}
    if isinstance(value, torch.dtype):
        return {"kind": "dtype", "dtype": _name(value)}
    if isinstance(value, Mapping):
        items = [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]
        return {"kind": "dict", "items": items}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {"kind": kind, "items": [_encode(item, arrays) for item in value]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value) if f.init}
        return {"kind": "dataclass", "class": type(value).__name__, "fields": fields}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"{type(value).__name__} found in the model's output, and only tensors, numbers, strings, None, dicts, lists "
        "and tuples can be saved: choose the tensors with output= when predicting."
    )


def _decode(value: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> Any:
    if not isinstance(value, dict):
        return value
    kind = value["kind"]
    if kind == "tensor":
        tensor = torch.from_numpy(arrays[value["array"]])
        return tensor.view(torch.bfloat16) if value["dtype"] == "bfloat16" else tensor
    if kind == "meta":
        return torch.empty(value["shape"], dtype=_dtype(value["dtype"]), device="meta")
    if kind == "dtype":
        return _dtype(value["dtype"])
    if kind == "dict":
        return {_decode(key, arrays, classes): _decode(item, arrays, classes) for key, item in value["items"]}
    if kind in ("tuple", "list"):
        items = [_decode(item, arrays, classes) for item in value["items"]]
        return tuple(items) if kind == "tuple" else items
    fields = {name: _decode(item, arrays, classes) for name, item in value["fields"].items()}
    known = classes.get(value["class"])
    return fields if known is None else known(**fields)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):  # a file must not reach any other of torch's names
        raise ValueError(f"{name} is no dtype")
    return found
