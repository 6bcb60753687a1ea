"""The raw output, of any structure, without a model of the targets."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import OutputError, UnavailableError
from mcdrop.prediction.likelihood import Likelihood
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, floating, structure
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.raw import RawPrediction
from mcdrop.tree import describe, named_tensors
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True)
class Identity(Likelihood[RawPrediction]):
    """Mean and variance of the output as it is: a tensor, or a tree of tensors that share their rows.

    Example:
        >>> import torch
        >>> Identity().statistics({"a": torch.ones(1, 1), "b": (torch.zeros(1, 1),)})
        {'a': tensor([[1.]]), 'b.0': tensor([[0.]])}
    """

    keeps_samples: ClassVar[bool] = True

    def check(self, outputs: Tree) -> None:
        named = list(named_tensors(outputs))
        if not named or len({name for name, _ in named}) < len(named):
            raise OutputError(
                "Identity() reads tensors, each with a place of its own, and the model returned "
                f"{describe(structure(outputs))}. Choose what to read: output= takes a key, an index or a callable."
            )
        for name, tensor in named:
            floating(tensor, self, f"outputs `{name}`" if name else "outputs")
            finite(~tensor.isfinite(), self, f"values of `{name}`" if name else "outputs")
        if len({tensor.shape[:2] for _, tensor in named}) > 1:
            raise OutputError(
                f"Identity() reads tensors with the same rows, and the model returned {describe(structure(outputs))}. "
                "Choose those with one entry per row: output= takes a key, an index or a callable."
            )

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        return dict(named_tensors(outputs))

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        raise UnavailableError(
            "Identity() says nothing about targets, so there is no log probability. Choose a likelihood that does, "
            "such as Gaussian(precision) or Categorical()."
        )

    def geometric_mean(self, outputs: Tree) -> Tree:
        raise UnavailableError(
            "Identity() says nothing about targets, so its draws have no geometric mean. Choose a likelihood that "
            "does, such as Gaussian(precision) or Categorical()."
        )

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> RawPrediction:
        return RawPrediction(
            likelihood=self, provenance=provenance, moments=moments, samples=samples, structure=structure
        )
