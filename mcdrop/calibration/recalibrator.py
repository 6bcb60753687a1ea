"""What is fitted to held-out targets and then applied to predictions of the same kind: the abstract recalibrator."""

import dataclasses
import hashlib
import json
import os
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.errors import InputError
from mcdrop.prediction import Prediction, Provenance

FORMAT, VERSION = "mcdrop.recalibrator", 1

Result = TypeVar("Result", covariant=True)
"""What it makes of a prediction."""


@dataclass(frozen=True, kw_only=True)
class Recalibrator(ABC, Generic[Result]):
    """Fitted numbers and the kind of predictions that they are for. Subclasses are final, made by their `fit`.

    Call it on predictions of other rows; they must come from the same predictive (see `PredictiveKind`). The numbers
    fitted are taken as given: errors of scores after recalibration do not contain the choice of the held-out rows.

    Args:
        kind: Of the prediction that it was fitted on.

    Example:
        >>> import torch
        >>> from mcdrop.calibration import Temperature, brier_score
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> logits = torch.tensor([[4.0, 0.0]]).expand(10, 4, 2)  # 98 % sure, and right three times of four
        >>> prediction, labels = from_draws(logits, Categorical()), torch.tensor([0, 0, 0, 1])
        >>> recalibrator = Temperature.fit(prediction, labels)
        >>> before, after = (brier_score(p, labels) for p in (prediction, recalibrator(prediction)))
        >>> print(f"{before.value:.3f} {after.value:.3f} {(after - before).value:.3f}")
        0.483 0.375 -0.108
    """

    kind: PredictiveKind

    def __call__(self, prediction: Prediction) -> Result:
        """The same as `transform`."""
        return self.transform(prediction)

    def transform(self, prediction: Prediction) -> Result:
        """What the prediction becomes.

        Args:
            prediction: Of any rows, of the kind that this was fitted on.

        Raises:
            InputError: If it is of another kind; says in what.
        """
        self.kind.check(prediction, type(self).__name__)
        return self._transformed(prediction)

    def to_dict(self) -> dict[str, Any]:
        """The fields as numbers, strings, lists and dicts, ready for JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The recalibrator that `to_dict` gave.

        Raises:
            InputError: If a field is missing or unknown.
        """
        try:
            values = _as_tuples(fields)
            return cls(**{**values, "kind": PredictiveKind(**values["kind"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise InputError(f"Not the fields of a {cls.__name__}: {sorted(fields)} given ({error}).") from error

    def save(self, path: str | os.PathLike) -> None:
        """Writes it to a file of exactly this name, as JSON; the file appears complete or not at all."""
        content = {"format": FORMAT, "version": VERSION, "class": type(self).__name__, "fields": self.to_dict()}
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """The recalibrator that `save` wrote, number by number; `Recalibrator.load` reads any.

        Raises:
            InputError: If the file is damaged, of a newer version, or holds no such recalibrator.
            FileNotFoundError: If there is none.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}")
            version, name, fields = int(content["version"]), content["class"], dict(content["fields"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} holds no recalibrator of mcdrop ({error}): give a file that `save` wrote."
            ) from error
        if version > VERSION:
            raise InputError(
                f"{path} has format version {version}, this mcdrop reads up to {VERSION}: install a newer mcdrop."
            )
        found = next((known for known in Recalibrator.__subclasses__() if known.__name__ == name), None)
        if found is None or not issubclass(found, cls):
            raise InputError(f"{path} holds a {name}, and a {cls.__name__} was asked for: use {name}.load(path).")
        return found.from_dict(fields)

    @abstractmethod
    def _transformed(self, prediction: Prediction) -> Result:
        """What a prediction of the right kind becomes."""

    def _provenance(self, prediction: Prediction) -> Provenance:
        """Of the prediction once this was applied to it: it says by what, so that no one takes it for another."""
        numbers = hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]
        steps = (prediction.provenance.recalibrated, f"{type(self).__name__} {numbers}")
        return dataclasses.replace(prediction.provenance, recalibrated="; ".join(filter(None, steps)))


def _as_tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {name: _as_tuples(item) for name, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value
