"""The units that networks are trained in: those of the data, or standardised ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.posterior import Prior
from mcdrop.prediction import Gaussian
from mcdrop.training.objective import Objective


@runtime_checkable
class Scaling(Protocol):
    """Mean and standard deviation of columns, as `mcdrop.data.scaling.measure` returns them."""

    @property
    def std(self) -> Float[Tensor, " D"]:
        """Standard deviation of each column."""

    def standardise(self, raw: Tensor) -> Tensor:
        """From the units of the data."""

    def restore(self, standardised: Tensor) -> Tensor:
        """Back to them."""


MakeScaling: TypeAlias = Callable[[Tensor], Scaling]
"""Measures the scaling of rows."""


@dataclass(frozen=True, eq=False)
class Units:
    """How rows become what a network takes, and its outputs what the targets are.

    Args:
        dtype: Of what a standardised network takes.
        of_inputs: Scaling of the inputs; None leaves them as they are.
        of_targets: Scaling of the targets; None where `of_inputs` is None.
    """

    dtype: torch.dtype
    of_inputs: Scaling | None = None
    of_targets: Scaling | None = None

    @classmethod
    def measured(cls, measure: MakeScaling | None, inputs: Tensor, targets: Tensor, dtype: torch.dtype) -> "Units":
        """The units of some training rows; raises what `measure` raises."""
        if measure is None:
            return cls(dtype)
        return cls(dtype, measure(inputs), measure(targets))

    def inputs(self, raw: Tensor) -> Tensor:
        """What the network takes."""
        return raw if self.of_inputs is None else self.of_inputs.standardise(raw).to(self.dtype)

    def targets(self, raw: Tensor) -> Tensor:
        """What the network is trained towards."""
        return raw if self.of_targets is None else self.of_targets.standardise(raw).to(self.dtype)

    @property
    def restore(self) -> Callable[[Tensor], Tensor] | None:
        """What brings the network's output back to the units of the data; None where it has them."""
        return None if self.of_targets is None else self.of_targets.restore

    def objective(self, precision: float, prior: Prior | None, protocol: Literal["elbo", "gal2016"]) -> Objective:
        """The objective for a precision tau in the units of the data.

        In units of sd(y) it is tau sd(y)^2; "gal2016" takes tau as it is, which is what its authors did.
        """
        if self.of_targets is None or protocol == "gal2016":
            return Objective(Gaussian(precision), prior, protocol=protocol)
        values = (precision * self.of_targets.std.square()).tolist()
        return Objective(Gaussian(values[0] if len(values) == 1 else values), prior, protocol=protocol)
