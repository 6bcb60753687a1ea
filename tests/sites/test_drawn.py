"""Random calls read as records: shapes and types as PyTorch's, and values of the law they name."""

import pytest
import torch
from scipy import stats

from mcdrop.sites.drawn import read_random

DOUBLE = torch.float64
CASES = {
    "rand": (torch.rand, (4, 3), {}, stats.uniform()),
    "rand of a tuple": (torch.rand, ((4, 3),), {"dtype": DOUBLE}, stats.uniform()),
    "rand by keyword": (torch.rand, (), {"size": (4, 3), "generator": torch.Generator()}, stats.uniform()),
    "randn": (torch.randn, (4, 3), {}, stats.norm()),
    "rand_like": (torch.rand_like, (torch.ones(4, 3, dtype=DOUBLE),), {}, stats.uniform()),
    "randn_like": (torch.randn_like, (torch.ones(4, 3, dtype=torch.half),), {"dtype": torch.float32}, stats.norm()),
    "bernoulli": (torch.bernoulli, (torch.full((4, 3), 0.3),), {}, stats.bernoulli(0.3)),
    "bernoulli of p": (torch.Tensor.bernoulli, (torch.ones(4, 3), 0.3), {}, stats.bernoulli(0.3)),
    "bernoulli_": (torch.Tensor.bernoulli_, (torch.ones(4, 3), 0.3), {}, stats.bernoulli(0.3)),
    "bernoulli_ by default": (torch.Tensor.bernoulli_, (torch.ones(4, 3, dtype=torch.bool),), {}, stats.bernoulli(0.5)),
    "uniform_": (torch.Tensor.uniform_, (torch.ones(4, 3), -1.0, 3.0), {}, stats.uniform(-1, 4)),
    "uniform_ by keyword": (torch.Tensor.uniform_, (torch.ones(4, 3),), {"to": 2.0}, stats.uniform(0, 2)),
    "normal_": (torch.Tensor.normal_, (torch.ones(4, 3), 2.0), {"std": 0.5}, stats.norm(2, 0.5)),
    "normal of numbers": (torch.normal, (2.0, 0.5, (4, 3)), {}, stats.norm(2, 0.5)),
    "normal of tensors": (torch.normal, (torch.full((4, 1), 2.0), torch.full((1, 3), 0.5)), {}, stats.norm(2, 0.5)),
}


@pytest.mark.parametrize("name", CASES)
def test_shape_type_and_law(name) -> None:
    function, args, kwargs, law = CASES[name]
    call = read_random(function, args, kwargs)
    theirs = function(*args, **kwargs)
    assert call.shape == tuple(theirs.shape)
    assert call.dtype == theirs.dtype
    assert call.device == theirs.device
    grid = torch.linspace(0.01, 0.99, 12, dtype=DOUBLE)
    values = call.value(grid.view(4, 3))
    assert values.dtype == theirs.dtype
    if isinstance(law.dist, stats.rv_continuous):
        expected = torch.from_numpy(law.ppf(grid.numpy()))
        torch.testing.assert_close(values.double().flatten(), expected, rtol=1e-6, atol=1e-6)
    else:
        assert (values.flatten() == (grid < law.args[0])).all()
    if theirs.dtype != torch.bool:
        torch.testing.assert_close(call.mean().double(), torch.full((4, 3), float(law.mean()), dtype=DOUBLE))


def test_what_is_no_random_call_is_left_alone() -> None:
    assert read_random(torch.ones, (3,), {}) is None


def test_what_no_mask_is_made_of_cannot_be_controlled() -> None:
    assert not read_random(torch.randperm, (3,), {}).controllable
    assert not read_random(torch.rand, (3,), {"out": torch.ones(3)}).controllable
