"""What was run: the record that lets a prediction be repeated."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from mcdrop.errors import InputError


def _mcdrop_version() -> str:
    try:
        return version("mcdrop")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


@dataclass(frozen=True)
class Provenance:
    """What was run.

    Args:
        num_samples: `T`, the number of draws.
        seed: Of the masks; None where the draws were not made from a seed.
        design: How the draws depend on each other, such as "Independent()".
        block_size: Draws per block of the design.
        shared_masks: Whether all rows see the same draw.
        until: What ended the drawing, such as "Until(mc_error=0.01, max_samples=1000)"; "" where T was given.
        members: Whether the draws are the members of an ensemble and so all there is: without Monte Carlo error.
        execution: How the passes ran, such as "vectorised" or "loop: <reason>".
        recalibrated: What was fitted to targets and applied to the prediction since, in order; "" for none.
        mcdrop_version: Of this library.
        torch_version: Of PyTorch.

    Example:
        >>> Provenance(num_samples=100, seed=0, design="Independent()").seed
        0
    """

    num_samples: int
    seed: int | None = None
    design: str = ""
    block_size: int = 1
    shared_masks: bool = True
    until: str = ""
    members: bool = False
    execution: str = ""
    recalibrated: str = ""
    mcdrop_version: str = field(default_factory=_mcdrop_version)
    torch_version: str = field(default_factory=lambda: str(torch.__version__))

    def to_dict(self) -> dict[str, Any]:
        """The fields as numbers and strings, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Provenance":
        """The record that `to_dict` gave.

        Raises:
            InputError: If a field is missing or unknown.

        Example:
            >>> provenance = Provenance(num_samples=10, seed=3)
            >>> Provenance.from_dict(provenance.to_dict()) == provenance
            True
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise InputError(f"Not the fields of a Provenance: {sorted(fields)} given ({error}).") from error
