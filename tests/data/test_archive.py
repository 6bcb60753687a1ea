import hashlib
import os

import numpy as np
import pytest

from mcdrop.data import archive
from mcdrop.errors import DownloadError, InputError

ARRAYS = {"x": np.array([[1.0, 2.0]]), "n": np.array(3, dtype=np.int32)}


def test_the_checksum_is_that_of_names_types_shapes_and_values():
    content = b"n <i4 ()\n" + b"\x03\0\0\0" + b"x <f8 (1, 2)\n" + b"\0\0\0\0\0\0\xf0\x3f" + b"\0\0\0\0\0\0\0\x40"
    assert archive.checksum(ARRAYS) == hashlib.sha256(content).hexdigest()


def test_neither_order_nor_layout_nor_byte_order_changes_it():
    square = np.arange(6.0).reshape(2, 3)
    sums = {
        archive.checksum({"a": square, "b": square[0]}),
        archive.checksum({"b": square[0].copy(), "a": np.asfortranarray(square)}),
        archive.checksum({"a": square.astype(">f8"), "b": square[0]}),
    }
    assert len(sums) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"x": np.array([[1.0, 2.0]]), "m": np.array(3, dtype=np.int32)},
        {"x": np.array([1.0, 2.0]), "n": np.array(3, dtype=np.int32)},
        {"x": np.array([[1.0, 2.0]]), "n": np.array(3)},
        {"x": np.array([[1.0, np.nextafter(2.0, 3)]]), "n": np.array(3, dtype=np.int32)},
    ],
)
def test_all_else_does(other):
    assert archive.checksum(other) != archive.checksum(ARRAYS)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "folder" / "a.npz"
    archive.write(path, ARRAYS | {"more": np.ones(2)})
    read = archive.read(path, ARRAYS, sha256=archive.checksum(ARRAYS))
    assert set(read) == set(ARRAYS)
    np.testing.assert_array_equal(read["x"], ARRAYS["x"])
    assert os.listdir(path.parent) == ["a.npz"]


def test_other_values_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    with pytest.raises(InputError, match=r"a.npz holds other values.*Move it away, and it is downloaded"):
        archive.read(path, ARRAYS, sha256=archive.checksum({"x": np.zeros(1)}))


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"text", lambda b: b[:-30], lambda b: b[:40] + b[90:]])
def test_what_is_no_archive_is_refused(tmp_path, damage):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"a.npz cannot be read as an archive of arrays: .+ Move it away"):
        archive.read(path, ARRAYS, sha256=archive.checksum(ARRAYS))


def test_a_missing_array_is_named(tmp_path):
    archive.write(tmp_path / "a.npz", {"x": ARRAYS["x"]})
    with pytest.raises(InputError, match=r"cannot be read.*n is not a file in the archive"):
        archive.read(tmp_path / "a.npz", ARRAYS, sha256=archive.checksum(ARRAYS))


def test_pickles_are_never_opened(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([print], dtype=object))
    with pytest.raises(InputError, match="allow_pickle"):
        archive.read(tmp_path / "a.npz", ["x"], sha256="")


def test_a_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    before = path.read_bytes()

    def fails(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.raises(DownloadError, match=r"a.npz cannot be written: .*No space left.*MCDROP_DATA"):
        archive.write(path, {"x": np.zeros(3)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot be written"):
        archive.write(tmp_path / "file" / "a.npz", ARRAYS)
