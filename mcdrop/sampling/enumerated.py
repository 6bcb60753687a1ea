"""The whole forest of a small network: its output under every mask, and exact expectations over them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.posterior import Enumeration, units_of
from mcdrop.sampling.output import Output, selector
from mcdrop.sampling.passes import StochasticPass, run_loop, run_vectorised
from mcdrop.sampling.plan import Plan
from mcdrop.sampling.subnetwork import discovered
from mcdrop.sites import Sites, close, finest
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree


@dataclass(frozen=True, eq=False)
class Forest:
    """Every sub-network's output, and their exact law.

    Args:
        masks: The masks and their probabilities.
        outputs: Output under each of them, tensors (M, N, *out), M = 2^k.
    """

    masks: Enumeration
    outputs: Tree

    @property
    def probability(self) -> Float[Tensor, " M"]:
        """P(mask) of each sub-network, float64."""
        return self.masks.probability

    @property
    def mean(self) -> Tree:
        """E[y] = sum_m P_m y_m, float64, (N, *out) in the unit of the output: what MC dropout estimates."""
        return self.expectation(lambda outputs: outputs)

    @property
    def variance(self) -> Tree:
        """Var[y] = sum_m P_m (y_m - E[y])^2, float64, unit squared: of the whole population, so there is no divisor."""

        def spread(outputs: Tensor, mean: Tensor) -> Tensor:
            return self._average((outputs.to(mean.dtype) - mean).square())

        return map_tensors(spread, self.outputs, self.mean)

    def expectation(self, quantity: Callable[[Tensor], Tensor]) -> Tree:
        """E[g(y)] of any function of one output, `lambda y: y.softmax(-1)` say, float64.

        Args:
            quantity: Takes (M, N, *out) and returns (M, N, *any).
        """
        return map_tensors(lambda outputs: self._average(quantity(outputs)), self.outputs)

    def _average(self, values: Tensor) -> Tensor:
        weights = self.probability.to(values.device)
        return torch.tensordot(weights, values.to(weights.dtype), dims=1)


def forest(
    model: nn.Module,
    *args: Any,
    sites: Sites = Sites(),  # noqa: B008 (frozen)
    batch_dim: int | None = 0,
    output: Output = None,
    plan: Plan = Plan(),  # noqa: B008 (frozen)
    **kwargs: Any,
) -> Forest:
    """Runs all 2^k sub-networks of a model with k <= 20 units that can be dropped; the rows share each mask.

    Args:
        model: The network; it is only read.
        *args: Its positional inputs.
        sites: The choice among its dropout sites.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one row.
        output: Which part of the model's output is read: a key, an index, or a function of it.
        plan: How the passes are run.
        **kwargs: Its keyword inputs.

    Returns:
        All outputs in memory: 2^k times that of one.

    Raises:
        InputError: More than 20 units, or a site whose masks cannot be counted.
        McdropError: As `mcdrop.sites.discover`.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1, bias=False))
        >>> _ = nn.init.ones_(model[1].weight)
        >>> trees = forest(model, torch.tensor([[1.0, 3.0]]))
        >>> trees.outputs.flatten().tolist(), trees.mean.item(), trees.variance.item()
        ([0.0, 2.0, 6.0, 8.0], 4.0, 10.0)
    """
    discovery = discovered(model, args, kwargs, sites, batch_dim)
    masks = Enumeration(units_of(discovery))
    run = StochasticPass(
        model,
        args,
        kwargs,
        discovery=discovery,
        sites=sites,
        masks=masks,
        shared=True,
        select=selector(output),
    )
    with torch.no_grad():
        first = run_loop(run, 0, 1)
        at_once = plan.at_once(discovery.masked)
        computed_in = finest(list(model.parameters()), [args, kwargs])
        execute = (
            run_loop
            if at_once == 1 or not _vectorises(run, first, min(at_once, masks.count), computed_in)
            else run_vectorised
        )
        chunks = [execute(run, start, min(masks.count, start + at_once)) for start in range(0, masks.count, at_once)]
    return Forest(masks, map_tensors(lambda *parts: torch.cat(parts), chunks[0], *chunks[1:]))


def _vectorises(run: StochasticPass, first: Tree, count: int, computed_in: torch.dtype) -> bool:
    """Whether the vectorised execution gives what the loop does."""
    try:
        chunk = run_vectorised(run, 0, count)
    except Exception:
        return False
    return all(
        close(many[:1], one, computed_in=computed_in) for many, one in zip(tensors(chunk), tensors(first), strict=True)
    )
