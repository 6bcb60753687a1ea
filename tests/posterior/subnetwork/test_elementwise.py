import operator
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from baked import checked, keeping, prepared
from torch import Tensor, nn

from mcdrop.posterior.subnetwork.elementwise import _FUNCTIONS, _LAYERS, _METHODS

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Applied(nn.Module):
    """f between two layers, after dropout or before it."""

    def __init__(self, f: Callable[[Tensor], Tensor], after: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2)
        self.f, self.after = f, after

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(self.f(self.drop(x)) if self.after else self.drop(self.f(x)))


def _checked(f: Callable[[Tensor], Tensor], after: bool) -> None:
    model = prepared(Applied(f, after))
    small = checked(model, keeping(model, X, [0, 2]), X)
    assert (small.get_submodule("first").out_features, small.get_submodule("last").in_features) == (2, 2)


NEEDS = {nn.Threshold: (0.1, 2.0)}
TAKES_A_NUMBER = {
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, "add", "sub", "mul", "div"
}  # fmt: skip
POSITIVE = {torch.sqrt, "sqrt"}


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("layer", sorted(_LAYERS, key=lambda layer: layer.__name__))
def test_every_layer(layer: type[nn.Module], after: bool) -> None:
    _checked(layer(*NEEDS.get(layer, ())), after)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("function", sorted(_FUNCTIONS, key=str))
def test_every_function(function: Callable, after: bool) -> None:
    if function is F.softplus:
        _checked(lambda x: F.softplus(x, beta=2.0), after)
    elif function is torch.clamp:
        _checked(lambda x: torch.clamp(x, -0.1, 0.2), after)
    elif function in POSITIVE:
        _checked(lambda x: function(x * x), after)
    else:
        _checked((lambda x: function(x, 3)) if function in TAKES_A_NUMBER else lambda x: function(x), after)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("method", sorted(_METHODS))
def test_every_method(method: str, after: bool) -> None:
    given = {"clamp": (-0.1, 0.2)}.get(method, (3,) if method in TAKES_A_NUMBER else ())
    _checked(lambda x: getattr(x * x if method in POSITIVE else x, method)(*given), after)


@pytest.mark.parametrize(
    "f",
    [
        nn.ReLU(inplace=True),
        nn.SiLU(inplace=True),
        lambda x: F.relu(x, True),
        lambda x: F.hardtanh(x, -0.1, 0.2, inplace=True),
        torch.relu_,
        lambda x: x.relu_(),
    ],
)
def test_what_wrote_in_place_writes_no_more(f: Callable[[Tensor], Tensor]) -> None:
    """Dropout returned a new tensor; without it the function would write to what the sum reads."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.drop, self.last = nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2)
            self.f = f

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.last(self.f(self.drop(x)) + x)

    model = prepared(Both())
    checked(model, keeping(model, X, [0, 1, 2]), X)


def test_a_layer_of_the_model_is_not_changed() -> None:
    model = prepared(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(3, 2)))
    checked(model, keeping(model, X, [0, 2]), X)
    assert model[2].inplace is True
