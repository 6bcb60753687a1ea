"""One draw at every site: the mask that picks one sub-network, as a value that can be counted, compared and stored."""

import json
import math
import os
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import used_probability
from mcdrop.posterior.units import Units

FORMAT, VERSION = "mcdrop.mask", 1


@dataclass(frozen=True, eq=False)
class Mask:
    """A frozen map from site to values. Equal masks pick the same sub-network, bit by bit, on any machine.

    Args:
        values: By site: boolean, True where a unit is kept; or, where the model makes its mask itself, the uniform
            numbers (float64) that it makes it of.
        p: By site: the probability of zeroing that it was drawn with; None where the values are uniform numbers.

    Raises:
        InputError: The two name different sites; a p is outside [0, 1]; values are of another type.

    Example:
        >>> mask = Mask({"drop:dropout": torch.tensor([True, False, True])}, {"drop:dropout": 0.5})
        >>> mask.num_units, mask.num_kept, round(mask.log_prob, 4)
        (3, 2, -2.0794)
    """

    values: Mapping[str, Bool[Tensor, "*unit"] | Float[Tensor, "*unit"]]
    p: Mapping[str, float | None]

    def __post_init__(self) -> None:
        if list(self.values) != list(self.p):
            raise InputError(f"values given for {list(self.values)} and p for {list(self.p)}; expected the same sites.")
        for name, value in self.values.items():
            try:
                Units(tuple(value.shape), self.p[name])
            except InputError as error:
                raise InputError(f"Site {name}: {error}") from error
            expected = torch.float64 if self.p[name] is None else torch.bool
            if value.dtype != expected:
                raise InputError(f"Site {name}: {value.dtype} given; expected {expected} for p = {self.p[name]}.")
        # Copies behind a read-only view, so that a mask stays what it was.
        values = {name: value.detach().cpu().clone() for name, value in self.values.items()}
        object.__setattr__(self, "values", MappingProxyType(values))
        object.__setattr__(self, "p", MappingProxyType(dict(self.p)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Mask)
            and self.units == other.units
            and all(torch.equal(value, other.values[name]) for name, value in self.values.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        sites = (f"{name}: {int(kept.sum())} of {kept.numel()}" for name, kept in self._bernoulli.items())
        others = (f"{name}: {v.numel()} numbers" for name, v in self.values.items() if self.p[name] is None)
        return f"Mask({', '.join((*sites, *others))})"

    @property
    def units(self) -> dict[str, Units]:
        """The variables that it is a draw of."""
        return {name: Units(tuple(value.shape), self.p[name]) for name, value in self.values.items()}

    @property
    def num_units(self) -> int:
        """Units that can be dropped; those of sites that make their mask themselves are not counted."""
        return sum(kept.numel() for kept in self._bernoulli.values())

    @property
    def num_kept(self) -> int:
        """Units that are kept."""
        return sum(int(kept.sum()) for kept in self._bernoulli.values())

    @property
    def log_prob(self) -> float:
        """log P(mask) = sum over units of log(1 - p) if kept, log p if dropped; nats, with the p that draws use.

        It counts the sites with boolean values alone.
        """
        total = 0.0
        for name, kept in self._bernoulli.items():
            used = used_probability(self.p[name] or 0.0)
            for count, q in ((int(kept.sum()), 1 - used), (int((~kept).sum()), used)):
                total += count * (math.log(q) if q > 0 else -math.inf) if count else 0.0
        return total

    def overlap(self, other: "Mask") -> float:
        """Units kept by both masks over units kept by either (Jaccard 1912), in [0, 1]; 1 for equal masks.

        For independent masks of one rate it is about (1 - p) / (1 + p): a third at p = .5.

        Raises:
            InputError: The other is a mask of another model.

        Example:
            >>> one = Mask({"a": torch.tensor([True, True, False])}, {"a": 0.5})
            >>> two = Mask({"a": torch.tensor([True, False, False])}, {"a": 0.5})
            >>> one.overlap(two)
            0.5
        """
        if self.units != other.units:
            raise InputError(f"Masks of two models were given: {self!r} and {other!r}; expected one model's.")
        both = sum(int((kept & other.values[name]).sum()) for name, kept in self._bernoulli.items())
        either = sum(int((kept | other.values[name]).sum()) for name, kept in self._bernoulli.items())
        return both / either if either else 1.0

    def save(self, path: str | os.PathLike) -> None:
        """Writes the mask to a file of exactly this name (NumPy's npz, 1 bit for each unit), at once or not at all."""
        arrays = {
            f"site_{index}": np.packbits(value.numpy()) if value.dtype == torch.bool else value.numpy()
            for index, value in enumerate(self.values.values())
        }
        sites = [[name, list(value.shape), self.p[name]] for name, value in self.values.items()]
        metadata = json.dumps({"format": FORMAT, "version": VERSION, "sites": sites})
        temporary = Path(path).with_name(f".{Path(path).name}.{uuid.uuid4().hex}")
        try:
            with open(temporary, "xb") as file:
                np.savez(file, allow_pickle=False, metadata=np.array(metadata), **arrays)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Mask":
        """The mask that `save` wrote.

        Raises:
            InputError: The file is no mask, damaged, or of a newer version.
            FileNotFoundError: There is none.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                metadata = json.loads(str(archive["metadata"][()]))
                if metadata["format"] != FORMAT:
                    raise ValueError(f"its format is {metadata['format']}")
                if metadata["version"] > VERSION:
                    raise ValueError(f"its version {metadata['version']} is newer than {VERSION}")
                values, p = {}, {}
                for index, (name, shape, probability) in enumerate(metadata["sites"]):
                    p[name] = probability
                    values[name] = _read(archive[f"site_{index}"], shape, probability)
        except FileNotFoundError:
            raise
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, AttributeError) as error:
            raise InputError(f"{path} holds no mask of mcdrop ({error}): give a file of `mask.save`.") from error
        return cls(values, p)

    @property
    def _bernoulli(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.values.items() if self.p[name] is not None}


def _read(array: np.ndarray, shape: list[int], p: float | None) -> Tensor:
    if p is None:
        return torch.from_numpy(array.astype(np.float64)).reshape(shape)
    count = math.prod(shape)
    if len(array) != -(-count // 8):
        raise ValueError(f"{len(array)} bytes for {count} units")
    return torch.from_numpy(np.unpackbits(array, count=count).astype(bool)).reshape(shape)
