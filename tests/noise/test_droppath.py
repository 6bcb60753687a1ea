import math

import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.noise import DropPath, DropPathLaw
from tests.noise.laws import N, check_independent_pairs, check_layer_draws_its_law

P = [0.02, 0.5, 0.9]


@pytest.mark.parametrize("p", P)
def test_moments_and_pairs(p: float) -> None:
    law = DropPathLaw(p)
    z = law.sample((N, 3, 2), torch.Generator().manual_seed(0), torch.float64)
    assert z.shape == (N, 1, 1)
    assert abs(z.mean().item() - law.mean) <= 4 * math.sqrt(law.variance / N)
    squares = (z - law.mean).square()
    assert abs(squares.mean().item() - law.variance) <= 4 * squares.std().item() / math.sqrt(N)
    check_independent_pairs(z[0::2].flatten(), z[1::2].flatten())


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_layer_by_hand(p: float) -> None:
    x = torch.randn(50, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        output = DropPath(p)(x)
    for row, dropped in zip(output, x, strict=True):
        kept = dropped / (1 - p) if p < 1 else torch.full_like(dropped, torch.nan)
        assert torch.equal(row, torch.zeros_like(row)) or torch.equal(row, kept)


def test_the_layer_draws_its_law() -> None:
    check_layer_draws_its_law(DropPath(0.3), (100_000, 2, 3))


def test_refuses_a_single_number() -> None:
    with pytest.raises(InputError, match="expected one with a row axis"):
        DropPath(0.5)(torch.tensor(1.0))


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("make", [DropPath, DropPathLaw])
def test_refuses_what_is_no_probability(make, p: float) -> None:
    with pytest.raises(InputError, match=r"expected a probability of zeroing in \[0, 1\]"):
        make(p)
