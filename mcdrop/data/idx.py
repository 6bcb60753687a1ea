"""The idx format of MNIST and of the sets that came after it, packed by gzip or not."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import InputError

# The third byte of a file names the type of its values, which are stored with the most significant byte first.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class LabelledImages:
    """Images with values in [0, 1] and their classes."""

    images: Float[Tensor, "N height width"]
    labels: Int[Tensor, " N"]


def read_images(images_path: Path, labels_path: Path) -> LabelledImages:
    """Images and labels from a pair of idx files.

    Args:
        images_path: File of bytes with three axes, (N, height, width).
        labels_path: File of bytes with one axis, (N,).

    Returns:
        Images as float32 in [0, 1] (the file's 0 to 255, divided by 255) and labels as int64, on the CPU.

    Raises:
        InputError: A file is no whole idx file of that kind, or the two differ in the number of rows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "images").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 255, 51]))
        >>> _ = (folder / "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
        >>> read_images(folder / "images", folder / "labels")
        LabelledImages(images=tensor([[[1.0000, 0.2000]]]), labels=tensor([7]))
    """
    images, labels = _bytes(images_path, axes=3), _bytes(labels_path, axes=1)
    if len(images) != len(labels):
        raise InputError(
            f"{images_path} holds {len(images)} images, {labels_path} {len(labels)} labels: a pair is needed."
        )
    return LabelledImages(torch.from_numpy(images).float().div_(255), torch.from_numpy(labels).long())


def read(path: Path) -> np.ndarray:
    """The array in an idx file.

    Args:
        path: The file, as it is or packed by gzip (told by its first bytes, not by its name).

    Returns:
        An array of the file's shape and type, in the byte order of the machine.

    Raises:
        InputError: The file is no idx file, or has fewer or more bytes than its shape says.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 3]))
        >>> read(path)
        array([7, 3], dtype=uint8)

    Source:
        LeCun, Cortes and Burges, The MNIST database, section "the IDX file format",
        http://yann.lecun.com/exdb/mnist/.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path} is no whole gzip file ({error}). {_REMEDY}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise InputError(f"{path} begins with the bytes {content[:4].hex(' ')}, which is no idx file. {_REMEDY}")
    dtype, num_axes = np.dtype(_TYPES[content[2]]), content[3]
    begin = 4 + 4 * num_axes
    if len(content) < begin:
        raise InputError(f"{path} has {len(content)} bytes, its header alone needs {begin}. {_REMEDY}")
    shape = tuple(np.frombuffer(content, ">u4", count=num_axes, offset=4).tolist())
    expected = begin + dtype.itemsize * math.prod(shape)
    if len(content) != expected:
        raise InputError(f"{path} has {len(content)} bytes, {expected} are needed for its shape {shape}. {_REMEDY}")
    return np.frombuffer(content, dtype, offset=begin).reshape(shape).astype(dtype.newbyteorder("="))


_REMEDY = "Fetch it again from its publisher."


def _bytes(path: Path, axes: int) -> np.ndarray:
    array = read(path)
    if array.dtype != np.uint8 or array.ndim != axes:
        raise InputError(
            f"{path} holds {array.dtype} values of shape {array.shape}: uint8 values with {axes} "
            f"{'axis' if axes == 1 else 'axes'} are needed."
        )
    return array
