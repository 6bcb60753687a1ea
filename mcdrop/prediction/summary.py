"""Draws that arrive in chunks, summed up into a prediction."""

from dataclasses import dataclass, field, replace
from typing import Generic

import torch

from mcdrop.errors import InputError
from mcdrop.prediction.likelihood import Likelihood
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import structure as structure_of
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.result import AnyPrediction
from mcdrop.tree import describe, map_tensors, tensors
from mcdrop.types import Tree


@dataclass(frozen=True, eq=False)
class Summary(Generic[AnyPrediction]):
    """What is kept of the chunks so far. Made by `Summary.init`, extended by `update` and `merge`, read by `result`.

    Args:
        likelihood: How outputs are read.
        block_size: Draws per block of the design.
        keep_samples: Whether every draw is kept.
        moments: Of the likelihood's statistics, by name.
        samples: The chunks of draws, if kept.
        structure: One draw without its numbers, from the first chunk.
    """

    likelihood: Likelihood[AnyPrediction]
    block_size: int
    keep_samples: bool
    moments: dict[str, Moments] = field(default_factory=dict)
    samples: tuple[Tree, ...] = ()
    structure: Tree = None

    @property
    def count(self) -> int:
        """Draws so far."""
        return next((moments.count for moments in self.moments.values()), 0)

    @classmethod
    def init(
        cls, likelihood: Likelihood[AnyPrediction], block_size: int = 1, keep_samples: bool | None = None
    ) -> "Summary[AnyPrediction]":
        """A summary of no draws yet.

        Args:
            likelihood: How outputs are read.
            block_size: Draws per block of the design, at least 1.
            keep_samples: None is the likelihood's default: no for Categorical and Binary, yes for the others, whose
                mixture needs every draw (memory T * N * D).
        """
        Moments.init(block_size)  # for its check
        return cls(likelihood, block_size, likelihood.keeps_samples if keep_samples is None else keep_samples)

    def update(self, outputs: Tree) -> "Summary[AnyPrediction]":
        """The summary after one more chunk of draws.

        Args:
            outputs: The model's outputs for n more draws of the same N rows, tensors (n, N, *out); a chunk
                may cut a block.

        Raises:
            OutputError: If the likelihood cannot read them.
            NonFiniteError: If they hold NaN or infinities.
            InputError: If their shapes are not those of the chunks before.

        Example:
            >>> import torch
            >>> from mcdrop.prediction import Binary, Provenance
            >>> summary = Summary.init(Binary()).update(torch.zeros(4, 2)).update(torch.ones(6, 2))
            >>> summary.result(Provenance(num_samples=10)).probs
            tensor([0.6386, 0.6386], dtype=torch.float64)
        """
        self.likelihood.check(outputs)
        structure = structure_of(outputs)
        if self.moments and describe(structure) != describe(self.structure):
            raise InputError(
                f"A chunk of draws of {describe(structure)} given after {describe(self.structure)}: all draws of one "
                "prediction are of the same rows and have the same shapes."
            )
        precise = any(tensor.dtype == torch.float64 for tensor in tensors(outputs))
        fresh = Moments.init(self.block_size, torch.float64 if precise else torch.float32)
        moments = {
            name: self.moments.get(name, fresh).update(draws)
            for name, draws in self.likelihood.statistics(outputs).items()
        }
        samples = (*self.samples, map_tensors(_kept, outputs)) if self.keep_samples else ()
        return replace(self, moments=moments, samples=samples, structure=structure)

    def merge(self, other: "Summary[AnyPrediction]") -> "Summary[AnyPrediction]":
        """The summary of these draws followed by those of another, for the same rows.

        Raises:
            InputError: If they differ in likelihood, blocks or samples, or this one ends within a block.

        Example:
            >>> import torch
            >>> from mcdrop.prediction import Binary
            >>> one = Summary.init(Binary()).update(torch.zeros(4, 2))
            >>> one.merge(one).count
            8
        """
        for name in ("likelihood", "block_size", "keep_samples"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"Summaries of {name}={getattr(self, name)} and {getattr(other, name)} given: merge needs the same."
                )
        if not (self.moments and other.moments):
            return self if self.moments else other
        moments = {name: self.moments[name].merge(other.moments[name]) for name in self.moments}
        return replace(self, moments=moments, samples=self.samples + other.samples)

    def result(self, provenance: Provenance) -> AnyPrediction:
        """The prediction that the draws so far make.

        Args:
            provenance: What was run; must agree with the draws in their number and block size.

        Raises:
            InputError: If there are no draws, or other than `provenance` says.
        """
        if self.count == 0:
            raise InputError("0 draws given, a prediction needs at least 1: num_samples>=1.")
        if (provenance.num_samples, provenance.block_size) != (self.count, self.block_size):
            raise InputError(
                f"{self.count} draws in blocks of {self.block_size} given, and the provenance says "
                f"num_samples={provenance.num_samples}, block_size={provenance.block_size}: they must agree."
            )
        samples = None
        if self.keep_samples:
            samples = map_tensors(lambda *chunks: torch.cat(chunks), self.samples[0], *self.samples[1:])
        return self.likelihood.predict(self.moments, samples, provenance, self.structure)


def from_draws(
    draws: Tree,
    likelihood: Likelihood[AnyPrediction],
    *,
    block_size: int = 1,
    keep_samples: bool | None = None,
    provenance: Provenance | None = None,
) -> AnyPrediction:
    """The prediction of draws that somebody already has.

    Args:
        draws: Outputs of T draws of N rows, tensors (T, N, *out).
        likelihood: How they are read.
        block_size: Draws per block, 1 for independent draws.
        keep_samples: None is the likelihood's default.
        provenance: What was run; None says no more than T and the block size.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Categorical
        >>> from_draws(torch.zeros(10, 5, 4), Categorical()).predictive_entropy[0]  # log 4
        tensor(1.3863, dtype=torch.float64)
    """
    summary = Summary.init(likelihood, block_size, keep_samples).update(draws)
    return summary.result(provenance or Provenance(num_samples=summary.count, block_size=block_size))


def _kept(draws: torch.Tensor) -> torch.Tensor:
    return draws.float() if draws.dtype in (torch.float16, torch.bfloat16) else draws
