"""What every law must keep: its closed forms hold for a million draws, and its values are independent in pairs."""

import math

import numpy as np
import torch
from scipy import stats
from torch import nn

from mcdrop.noise import Law

N = 10**6


def draws(law: Law, count: int = 2, seed: int = 0) -> torch.Tensor:
    """A million draws of `count` values, in float64."""
    generator = torch.Generator().manual_seed(seed)
    sample = law.sample((N, count, 3), generator, torch.float64)
    return sample.expand(N, count, 3)[..., 0]


def check_moments(law: Law) -> None:
    """Mean and variance within four standard errors; log-probabilities average to minus the entropy."""
    z = draws(law)
    assert ((z.mean(0) - law.mean).abs() <= 4 * z.std(0) / math.sqrt(N)).all()
    squares = (z - law.mean).square()
    assert ((squares.mean(0) - law.variance).abs() <= 4 * squares.std(0) / math.sqrt(N)).all()
    log_prob = law.log_prob(z)
    assert ((log_prob.mean(0) + law.entropy).abs() <= 4 * log_prob.std(0) / math.sqrt(N) + 1e-12).all()


def check_independent_pairs(first: torch.Tensor, second: torch.Tensor, cells: int = 8) -> None:
    """Chi-square of a table of two values against the product of its margins."""

    def binned(z: torch.Tensor) -> np.ndarray:
        values = z.unique()
        edges = z.quantile(torch.linspace(0, 1, cells + 1, dtype=z.dtype)[1:-1]) if len(values) > 2 else values[1:]
        return torch.bucketize(z.contiguous(), edges, right=True).numpy()

    table = np.histogram2d(binned(first), binned(second), bins=cells if len(first.unique()) > 2 else 2)[0]
    assert stats.chi2_contingency(table, correction=False).pvalue > 1e-4


def check_layer_draws_its_law(layer: nn.Module, shape: tuple[int, ...], summand: bool = False) -> None:
    """What the layer does to ones (or zeros) has the law's mean and variance; in evaluation it is the identity."""
    x = torch.zeros(shape, dtype=torch.float64) if summand else torch.ones(shape, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        z = layer(x)
    law = layer.law
    distinct = z[tuple(slice(None) if m > 1 else 0 for m in law.mask_shape(shape))].flatten()
    assert torch.equal(distinct.unique(), z.unique())
    n = len(distinct)
    assert abs(distinct.mean().item() - law.mean) <= 4 * math.sqrt(law.variance / n)
    squares = (distinct - law.mean).square()
    assert abs(squares.mean().item() - law.variance) <= 4 * squares.std().item() / math.sqrt(n)
    layer.eval()
    assert layer(x) is x
