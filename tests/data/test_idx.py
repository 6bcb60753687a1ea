import gzip
import struct

import numpy as np
import pytest
import torch

from mcdrop.data import idx
from mcdrop.errors import InputError


def _idx(array, code):
    """The format, written from its description: two zero bytes, type, axes, sizes, values; all big-endian."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


BYTES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
TYPES = {
    0x08: BYTES,
    0x09: BYTES.astype(np.int8) - 12,
    0x0B: BYTES.astype(np.int16) * -300,
    0x0C: BYTES.astype(np.int32) * 70_000,
    0x0D: BYTES.astype(np.float32) / 7,
    0x0E: BYTES.astype(np.float64) / 7,
}


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("code", TYPES)
def test_every_type_packed_or_not_is_read(tmp_path, code, packed):
    (tmp_path / "file").write_bytes(packed(_idx(TYPES[code], code)))
    array = idx.read(tmp_path / "file")
    np.testing.assert_array_equal(array, TYPES[code])
    assert array.dtype == TYPES[code].dtype
    assert array.dtype.isnative
    assert array.flags.writeable


@pytest.mark.parametrize("shape", [(), (0,), (0, 28, 28), (1, 1, 1, 1)])
def test_shapes_at_the_edges(tmp_path, shape):
    (tmp_path / "file").write_bytes(_idx(np.ones(shape, dtype=np.uint8), 8))
    np.testing.assert_array_equal(idx.read(tmp_path / "file"), np.ones(shape))


@pytest.mark.parametrize("begin", [b"", b"\0\0\x08", b"\0\1\x08\1", b"PK\3\4", b"\0\0\x0a\1", b"<html>"])
def test_what_does_not_begin_like_an_idx_file_is_refused(tmp_path, begin):
    (tmp_path / "file").write_bytes(begin)
    with pytest.raises(
        InputError, match=rf"file begins with the bytes {begin[:4].hex(' ')}, which is no idx file. Fetch"
    ):
        idx.read(tmp_path / "file")


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"\0", lambda c: c[:16]])
def test_bytes_too_few_or_too_many_are_counted(tmp_path, change):
    content = change(_idx(BYTES, 8))
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=rf"file has {len(content)} bytes, \d+ are needed for its shape"):
        idx.read(tmp_path / "file")


@pytest.mark.parametrize("size", [4, 9, 15])
def test_a_header_that_is_cut_is_refused(tmp_path, size):
    (tmp_path / "file").write_bytes(_idx(BYTES, 8)[:size])
    with pytest.raises(InputError, match=rf"file has {size} bytes, its header alone needs 16"):
        idx.read(tmp_path / "file")


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: c[:20] + b"\xff" * 9 + c[29:]])
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    (tmp_path / "file.gz").write_bytes(damage(gzip.compress(_idx(BYTES, 8))))
    with pytest.raises(InputError, match=r"file.gz is no whole gzip file \(.+\)"):
        idx.read(tmp_path / "file.gz")


@pytest.fixture
def pair(tmp_path):
    def write(images, labels, codes=(8, 8)):
        paths = tmp_path / "images", tmp_path / "labels"
        for path, array, code in zip(paths, (images, labels), codes, strict=True):
            path.write_bytes(_idx(array, code))
        return paths

    return write


def test_a_pair_becomes_images_in_the_unit_interval_and_labels(pair):
    pixels = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    read = idx.read_images(*pair(pixels, np.array([7, 255], dtype=np.uint8)))
    assert read.images.dtype == torch.float32
    assert torch.equal(read.images, torch.arange(256).reshape(2, 8, 16) / 255)
    assert torch.equal(read.labels, torch.tensor([7, 255]))


def test_images_and_labels_of_different_numbers_are_refused(pair):
    with pytest.raises(InputError, match=r"images holds 2 images, .*labels 3 labels: a pair is needed"):
        idx.read_images(*pair(BYTES, np.zeros(3, dtype=np.uint8)))


def test_files_the_wrong_way_round_are_refused(pair):
    images, labels = pair(BYTES, np.zeros(2, dtype=np.uint8))
    with pytest.raises(InputError, match=r"labels holds uint8 values of shape \(2,\): uint8 values with 3 axes"):
        idx.read_images(labels, images)


def test_values_that_are_no_bytes_are_refused(pair):
    with pytest.raises(InputError, match=r"labels holds int32 values.*with 1 axis are needed"):
        idx.read_images(*pair(BYTES, np.zeros(2, dtype=np.int32), codes=(8, 0x0C)))
