"""What a mask fixes of one tensor, and which part of that tensor a smaller network still computes."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a tensor (rows, ...) for every input: units that are one number in all rows and places.

    Args:
        axis: The axis that its units lie on; -1 for what has none (a number, a tuple) and counts as one.
        fixed: Which units are such numbers.
        value: These numbers; 0 at the others.
    """

    axis: int
    fixed: Bool[Tensor, " units"]
    value: Float[Tensor, " units"]

    @classmethod
    def nothing(cls, axis: int, size: int) -> "Known":
        """All units vary."""
        return cls(axis, torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=torch.float64))

    @classmethod
    def of(cls, axis: int, fixed: Bool[Tensor, " units"], value: Float[Tensor, " units"]) -> "Known":
        """These units are fixed at these values."""
        return cls(axis, fixed, value.double().where(fixed, 0.0))

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.fixed)

    @property
    def all_units(self) -> Bool[Tensor, " units"]:
        """True for each."""
        return torch.ones(self.size, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Part:
    """What the smaller network has of a tensor: the units `carried` of it are `scale` times what `node` computes.

    Args:
        node: The `fx.Node` of the smaller network's graph; None where no unit is carried.
        carried: Indices of the units, ascending.
        scale: 1 / (1 - p), say, until the weights of the next layer take it in.
    """

    node: Any
    carried: Int[Tensor, " carried"]
    scale: float = 1.0
