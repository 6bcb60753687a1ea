"""Atmospheric CO2 at Mauna Loa, as the regression on which Gal and Ghahramani show uncertainty beyond the data."""

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.data import archive
from mcdrop.data.download import fetch
from mcdrop.data.location import data_folder

PUBLISHER = (
    "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyCaffeModels/afd0b1c72ecf4669c0823a2458d645c2683159a3"
    "/co2_regression/data"
)
_SHA256 = {
    "train.h5": "5e872111e517ac619350009fe3b9b5e2752ad52b4cf0086ec53b33db4c32417b",
    "test.h5": "87da916948348f9f850a52327a457dc091f3104cafa42f75e176f66dc9b966fb",
}
# The publisher's files are HDF5. As their bytes are known by a checksum, so is where each array begins in them, as one
# deflated stream: this spares a dependency on an HDF5 library for three arrays.
_STREAMS = {
    "x_train": ("train.h5", 4016, "<f8"),
    "y_train": ("train.h5", 8952, "<f4"),
    "x_test": ("test.h5", 4016, "<f8"),
}
_ARRAYS_SHA256 = "ce92b9e5b9a592995114960a419332b02669008c85c5e4ee9f73ba14d366da31"


@dataclass(frozen=True)
class Co2:
    """Standardised time and concentration in a training part, and times after its end, whose truth is not known."""

    train_x: Float[Tensor, "train 1"]
    train_y: Float[Tensor, "train 1"]
    test_x: Float[Tensor, "test 1"]


def load() -> Co2:
    """272 monthly concentrations, less their linear trend, and 1,000 times that follow them.

    Times and concentrations are standardised (divisor N). Training times run from -1.73 to 1.73 and have one wave in
    twelve steps, test times run from 1.73 to 3.72. The publisher's test targets are a constant that stands for nothing,
    and are left out.

    Reads `co2/gal_co2.npz` in the folder `MCDROP_DATA` (see `mcdrop.data.location`), which is made from the publisher's
    two files if it is not there (20 kB). The values are checked each time. Licence: MIT.

    Returns:
        Columns as float32 on the CPU, in the order of time.

    Raises:
        InputError: The file holds other values than the publisher's.
        DownloadError: The set is neither there nor can it be downloaded and written.

    Example:
        >>> co2 = load()  # doctest: +SKIP
        >>> co2.train_x.shape, co2.train_y.shape, co2.test_x.shape  # doctest: +SKIP
        (torch.Size([272, 1]), torch.Size([272, 1]), torch.Size([1000, 1]))

    Source:
        Gal and Ghahramani (2016), Dropout as a Bayesian Approximation, section 5.1, https://arxiv.org/abs/1506.02142;
        files of https://github.com/yaringal/DropoutUncertaintyCaffeModels; measurements by Keeling and Whorf (2004).
    """
    path = data_folder() / "co2" / "gal_co2.npz"
    if not path.exists():
        archive.write(path, _download())
    arrays = archive.read(path, _STREAMS, sha256=_ARRAYS_SHA256)
    return Co2(*(torch.from_numpy(arrays[name].astype(np.float32)) for name in ("x_train", "y_train", "x_test")))


def _download() -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        contents = {
            file: fetch(f"{PUBLISHER}/{file}", Path(folder) / file, sha256=sha256).read_bytes()
            for file, sha256 in _SHA256.items()
        }
    return {
        name: np.frombuffer(zlib.decompressobj().decompress(contents[file][begin:]), dtype)[:, None]
        for name, (file, begin, dtype) in _STREAMS.items()
    }
