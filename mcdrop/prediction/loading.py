"""Reading a saved prediction back."""

import os
from typing import Any

from mcdrop.errors import InputError
from mcdrop.prediction.binary import Binary
from mcdrop.prediction.categorical import Categorical
from mcdrop.prediction.classification import BinaryPrediction, CategoricalPrediction
from mcdrop.prediction.gaussian import Gaussian
from mcdrop.prediction.groups import Groups
from mcdrop.prediction.heteroscedastic import HeteroscedasticGaussian
from mcdrop.prediction.identity import Identity
from mcdrop.prediction.laws import CdfMap, Stretch
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.poisson import Poisson
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.raw import RawPrediction
from mcdrop.prediction.recalibrated import RecalibratedPrediction
from mcdrop.prediction.recomputed import Recomputed
from mcdrop.prediction.regression import RegressionPrediction
from mcdrop.prediction.result import Prediction
from mcdrop.prediction.spread import Spread
from mcdrop.prediction.storage import read, read_parts
from mcdrop.prediction.uneven import Uneven

_RECORDS = (CategoricalPrediction, BinaryPrediction, RegressionPrediction, RawPrediction, RecalibratedPrediction)
_LIKELIHOODS = (Categorical, Binary, Gaussian, HeteroscedasticGaussian, Poisson, Identity)
_PARTS = (Provenance, Moments, Recomputed, Uneven, Spread, Groups, Stretch, CdfMap)
_CLASSES = {cls.__name__: cls for cls in (*_RECORDS, *_LIKELIHOODS, *_PARTS)}


def load(path: str | os.PathLike) -> Prediction:
    """The prediction that `prediction.save(path)` wrote, bit by bit, on the CPU.

    Raises:
        InputError: If the file is incomplete, not a prediction of mcdrop, or of a newer format version.
        FileNotFoundError: If there is none.

    Example:
        >>> import tempfile, torch
        >>> from mcdrop.prediction import Binary, from_draws
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     from_draws(torch.zeros(3, 2), Binary()).save(f"{folder}/prediction")
        ...     load(f"{folder}/prediction").probs
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    record = read(path, _CLASSES)
    if not isinstance(record, Prediction):
        raise InputError(f"{path} holds a {type(record).__name__} and not a prediction.")
    return record


def load_parts(path: str | os.PathLike, *classes: type) -> dict[str, Any]:
    """What a file holds beside its prediction, by name: of `mcdrop predict` the weight-scaled prediction, say.

    Args:
        path: The file.
        classes: Dataclasses that may occur, besides those of predictions; others come back as dictionaries.

    Raises:
        InputError: As `load`.
        FileNotFoundError: If there is none.

    Example:
        >>> import tempfile, torch
        >>> from mcdrop.prediction import Binary, from_draws
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     from_draws(torch.zeros(3, 2), Binary()).save(f"{folder}/prediction")
        ...     load_parts(f"{folder}/prediction")
        {}
    """
    return read_parts(path, _CLASSES | {cls.__name__: cls for cls in classes})
