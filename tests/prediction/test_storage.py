import dataclasses
import json
import os
from typing import Any

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.prediction.storage import read, read_parts, write


@dataclasses.dataclass(frozen=True)
class Record:
    value: Any


def round_trip(path, value, classes=()):
    write(path, Record(value))
    return read(path, {"Record": Record, **{cls.__name__: cls for cls in classes}}).value


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_tensors_come_back_bit_by_bit(tmp_path, dtype):
    tensor = (100 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))).abs().to(dtype)
    for given in (tensor, tensor.T, tensor[:0], tensor[0, 0]):
        back = round_trip(tmp_path / "file", given)
        assert back.dtype == dtype
        assert torch.equal(back, given)
    special = torch.tensor([torch.nan, torch.inf, -0.0])
    assert round_trip(tmp_path / "file", special).numpy().tobytes() == special.numpy().tobytes()


def test_structures_come_back(tmp_path):
    for value in (
        None,
        True,
        3,
        2**62 + 1,
        0.1,
        float("inf"),
        "text",
        [1, (2, {"a": None, 3: "b"})],
        torch.float32,
        (),
    ):
        back = round_trip(tmp_path / "file", value)
        assert back == value
        assert type(back) is type(value)


def test_meta_tensors_come_back_without_numbers(tmp_path):
    back = round_trip(tmp_path / "file", torch.empty(2, 3, dtype=torch.float16, device="meta"))
    assert (back.device.type, tuple(back.shape), back.dtype) == ("meta", (2, 3), torch.float16)


def test_unknown_dataclasses_come_back_as_dicts(tmp_path):
    assert round_trip(tmp_path / "file", Record(5), classes=()) == Record(5)

    @dataclasses.dataclass
    class Stranger:
        x: int

    assert round_trip(tmp_path / "file", Stranger(5)) == {"x": 5}


def test_objects_are_refused_and_leave_no_file(tmp_path):
    with pytest.raises(
        InputError, match=r"complex found in the model's output, and only tensors, numbers.*can be saved"
    ):
        write(tmp_path / "file", Record(1j))
    assert os.listdir(tmp_path) == []


def test_the_name_is_used_as_given_and_replaced(tmp_path):
    for number in (1, 2):
        write(str(tmp_path / "name.with.dots"), Record(number))
    assert os.listdir(tmp_path) == ["name.with.dots"]
    assert read(tmp_path / "name.with.dots", {"Record": Record}).value == 2


def test_a_failure_keeps_the_old_file_and_no_other(tmp_path, monkeypatch):
    write(tmp_path / "file", Record(1))

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "file", Record(2))
    assert os.listdir(tmp_path) == ["file"]
    assert read(tmp_path / "file", {"Record": Record}).value == 1


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "file"
    write(path, Record([torch.arange(10), "text"]))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"file is no complete file of mcdrop|file was not written by mcdrop"):
            read(path, {"Record": Record})


def test_flipped_bits_in_the_numbers_are_noticed(tmp_path):
    path = tmp_path / "file"
    write(path, Record(torch.arange(1000)))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="no complete file of mcdrop"):
        read(path, {"Record": Record})


def test_files_of_others(tmp_path):
    path = tmp_path / "file"

    def refused(match):
        with pytest.raises(InputError, match=match):
            read(path, {"Record": Record})

    path.write_text("plain text")
    refused("no complete file of mcdrop")
    torch.save({"a": torch.ones(2)}, path)
    refused("no complete file of mcdrop|was not written by mcdrop")
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    refused("no complete file of mcdrop")
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(3))
    refused("was not written by mcdrop: give a file")
    with open(path, "wb") as file:
        np.savez(file, metadata=np.array([object()], dtype=object))
    refused("no complete file of mcdrop")
    with open(path, "wb") as file:
        np.savez(file, metadata=np.array(json.dumps({"format": "other", "version": 1})))
    refused("was not written by mcdrop")
    with open(path, "wb") as file:
        np.savez(file, metadata=np.array(json.dumps({"format": "mcdrop.prediction", "version": 99, "record": 1})))
    refused("has format version 99, this mcdrop reads up to 1: install a newer mcdrop")
    for record in ({"kind": "tensor", "array": "x", "dtype": "float32"}, {"kind": "what"}, {}):
        with open(path, "wb") as file:
            np.savez(
                file, metadata=np.array(json.dumps({"format": "mcdrop.prediction", "version": 1, "record": record}))
            )
        refused("is damaged, its parts do not fit together")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent", {})


def test_parts_stand_beside_the_record_and_do_not_change_it(tmp_path):
    parts = {"more": Record(torch.arange(3)), "words": {"a": [1, None]}}
    write(tmp_path / "file", Record(torch.ones(2)), parts)
    assert torch.equal(read(tmp_path / "file", {"Record": Record}).value, torch.ones(2))
    back = read_parts(tmp_path / "file", {"Record": Record})
    assert torch.equal(back["more"].value, torch.arange(3))
    assert back["words"] == parts["words"]


def test_a_file_of_before_there_were_parts_has_none(tmp_path):
    metadata = json.dumps({"format": "mcdrop.prediction", "version": 1, "record": 5})
    with open(tmp_path / "file", "wb") as file:
        np.savez(file, metadata=np.array(metadata))
    assert read(tmp_path / "file", {}) == 5
    assert read_parts(tmp_path / "file", {}) == {}


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "dtype", "dtype": "load"},
        {"kind": "meta", "shape": [2], "dtype": "load"},
        {"kind": "dtype", "dtype": "__loader__"},
        {"kind": "dtype", "dtype": "absent"},
    ],
)
def test_a_file_reaches_no_name_of_torch_but_dtypes(tmp_path, record, without_type_checks):
    metadata = json.dumps({"format": "mcdrop.prediction", "version": 1, "record": record, "parts": record})
    with open(tmp_path / "file", "wb") as file:
        np.savez(file, metadata=np.array(metadata))
    for reading in (read, read_parts):
        with pytest.raises(InputError, match="is damaged, its parts do not fit together"):
            reading(tmp_path / "file", {})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("[" * 100_000, "was not written by mcdrop"),
        (json.dumps({"format": "mcdrop.prediction", "version": "x"}), "was not written by mcdrop"),
        (json.dumps({"format": "mcdrop.prediction", "version": 1, "parts": 3}), "its parts are a int"),
    ],
)
def test_metadata_that_is_none_is_refused(tmp_path, metadata, message):
    with open(tmp_path / "file", "wb") as file:
        np.savez(file, metadata=np.array(metadata))
    with pytest.raises(InputError, match=message):
        read_parts(tmp_path / "file", {})
