import pytest
import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.noise import SpatialDropout, SpatialLaw
from tests.noise.laws import check_independent_pairs, check_layer_draws_its_law, check_moments, draws

P = [0.02, 0.5, 0.9]


@pytest.mark.parametrize("p", P)
def test_moments_and_pairs(p: float) -> None:
    check_moments(SpatialLaw(p))
    z = draws(SpatialLaw(p))
    check_independent_pairs(z[:, 0], z[:, 1])


@pytest.mark.parametrize(("dims", "layer"), [(1, nn.Dropout1d), (2, nn.Dropout2d), (3, nn.Dropout3d)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_layer_is_torchs(dims: int, layer: type[nn.Module], p: float) -> None:
    x = torch.randn(5, 7, *(4,) * dims, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = []
    for one in (SpatialDropout(p), layer(p)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            outputs.append(one(x))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-15, atol=0)


def test_the_layer_draws_its_law() -> None:
    check_layer_draws_its_law(SpatialDropout(0.3), (500, 200, 3, 2))


def test_refuses_what_has_no_positions() -> None:
    with pytest.raises(InputError, match=r"\(4, 3\); expected rows, channels and at least one axis of positions"):
        SpatialDropout(0.5)(torch.ones(4, 3))
    assert SpatialDropout(0.5).eval()(torch.ones(4, 3)).shape == (4, 3)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("make", [SpatialDropout, SpatialLaw])
def test_refuses_what_is_no_probability(make, p: float) -> None:
    with pytest.raises(InputError, match=r"expected a probability of zeroing in \[0, 1\]"):
        make(p)
