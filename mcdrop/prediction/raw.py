"""What the draws say about raw outputs of any structure: mean and variance of each tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from mcdrop.prediction.mixture import empirical_quantile
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.regression import check_coverage
from mcdrop.prediction.result import Prediction, row_pieces
from mcdrop.prediction.spread import accumulated
from mcdrop.tree import map_tensors
from mcdrop.types import Tree


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RawPrediction(Prediction):
    """What T draws say about the output itself; each result is a tree like the model's output, tensors (N, *out).

    There is no noise model, so `variance` is the epistemic one alone.

    Args:
        structure: One output without its numbers; None stands for a tensor, or a dict by names if there are several.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Identity, from_draws
        >>> prediction = from_draws({"depth": torch.tensor([[1.0], [3.0]])}, Identity())  # two draws, one row
        >>> prediction.mean, prediction.variance
        ({'depth': tensor([2.], dtype=torch.float64)}, {'depth': tensor([2.], dtype=torch.float64)})
    """

    structure: Tree = None

    quantities: ClassVar[tuple[str, ...]] = ("mean", "variance", "mc_error")
    shown: ClassVar[tuple[str, ...]] = quantities

    @property
    def mean(self) -> Tree:
        """`1/T sum_t y_t`, in the output's unit: unbiased."""
        return self._each(lambda moments: moments.mean)

    @property
    def epistemic(self) -> Tree:
        """Variance over the draws, unit squared, unbiased (see `Moments.variance`)."""
        return self._each(lambda moments: moments.variance)

    @property
    def variance(self) -> Tree:
        """The same as `epistemic`."""
        return self.epistemic

    @property
    def std(self) -> Tree:
        """`sqrt(variance)`, in the output's unit."""
        return map_tensors(Tensor.sqrt, self.variance)

    @property
    def mc_error(self) -> Tree | None:
        """Monte Carlo standard error of `mean`, in the output's unit."""
        return None if self.provenance.members else self._each(lambda moments: moments.mc_error)

    def quantile(self, q: float) -> Tree:
        """Quantile of the draws, linear between order statistics (see `mixture.empirical_quantile`).

        Raises:
            UnavailableError: Without samples.
            InputError: If q is not between 0 and 1.
        """
        samples = self._kept_samples("quantile of the draws")

        def by_rows(tensor: Tensor) -> Tensor:
            pieces = row_pieces(len(self), tensor[:, :1].numel())
            return torch.cat([empirical_quantile(accumulated(tensor[:, rows]), q) for rows in pieces])

        return map_tensors(by_rows, samples)

    def interval(self, coverage: float) -> tuple[Tree, Tree]:
        """The central interval of the draws: of the output, not of targets, whose noise is not in it.

        Raises:
            UnavailableError: Without samples.
            InputError: If coverage is not between 0 and 1.
        """
        check_coverage(coverage)
        return self.quantile((1 - coverage) / 2), self.quantile((1 + coverage) / 2)

    def _each(self, quantity: Callable[[Moments], Tensor]) -> Tree:
        results = {name: quantity(moments) for name, moments in self.moments.items()}
        if self.structure is None:
            return results.get("", results)
        remaining = iter(results.values())  # statistics are named in the order in which map_tensors walks
        return map_tensors(lambda _: next(remaining), self.structure)
