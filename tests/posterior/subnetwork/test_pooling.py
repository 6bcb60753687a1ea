from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from baked import checked, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError

X = torch.randn(3, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Pooled(nn.Module):
    """Dropped channels, constant or zero, through a pooling."""

    def __init__(self, pool: Callable[[Tensor], Tensor], dims: int, constant: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv, self.drop = (nn.Conv1d, nn.Dropout1d(0.5)) if dims == 1 else (nn.Conv2d, nn.Dropout2d(0.5))
        self.first, self.pool, self.constant = conv(2, 4, 1), pool, constant
        self.last = conv(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.first(x))
        return self.last(self.pool(x.sigmoid() if self.constant else x))


POOLS = [
    nn.MaxPool2d(2), nn.MaxPool2d(3, 2, padding=1, dilation=1, ceil_mode=True), nn.AvgPool2d(2),
    nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), nn.AvgPool2d(4, 2, ceil_mode=True),
    nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d((3, 1)),
    lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.adaptive_max_pool2d(x, 2), lambda x: torch.max_pool2d(x, 3),
    lambda x: x.mean((2, 3), keepdim=True), lambda x: torch.mean(x, dim=[-1], keepdim=True),
]  # fmt: skip
LINES = [
    nn.MaxPool1d(2), nn.AvgPool1d(3), nn.AdaptiveAvgPool1d(2), nn.AdaptiveMaxPool1d(2), lambda x: F.max_pool1d(x, 2),
    lambda x: F.avg_pool1d(x, 2), lambda x: F.adaptive_avg_pool1d(x, 2), lambda x: F.adaptive_max_pool1d(x, 2),
    lambda x: torch.avg_pool1d(x, 2), lambda x: x.mean(-1, keepdim=True),
]  # fmt: skip


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize(("pool", "dims"), [(pool, 2) for pool in POOLS] + [(pool, 1) for pool in LINES])
def test_dropped_channels_do_not_reach_the_layer_behind(pool: Callable, dims: int, constant: bool) -> None:
    x = X if dims == 2 else X[..., 0]
    model = prepared(Pooled(pool, dims, constant))
    small = checked(model, keeping(model, x, [0, 2]), x)
    assert (small.get_submodule("first").out_channels, small.get_submodule("last").in_channels) == (2, 2)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(3, padding=1), nn.AvgPool2d(2, divisor_override=3)])
def test_an_average_that_changes_constants_keeps_such_channels(pool: nn.Module) -> None:
    for constant, channels in ((False, 2), (True, 4)):
        model = prepared(Pooled(pool, 2, constant))
        small = checked(model, keeping(model, X, [0, 2]), X)
        assert (small.get_submodule("first").out_channels, small.get_submodule("last").in_channels) == (2, channels)


def test_a_mean_over_positions_may_drop_their_axes() -> None:
    class Averaged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.drop, self.last = nn.Conv2d(2, 4, 1), nn.Dropout2d(0.5), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.drop(self.first(x)).mean(dim=(2, 3)))

    model = prepared(Averaged())
    assert checked(model, keeping(model, X, [1]), X).get_submodule("last").in_features == 1


def test_a_mean_over_channels_is_refused() -> None:
    model = prepared(Pooled(lambda x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1), 2, True))
    with pytest.raises(InputError, match=r"mean at \S+:\d+: it takes units that the mask drops"):
        checked(model, keeping(model, X, [0, 2]), X)


def test_pooling_with_indices_is_refused() -> None:
    class Indexed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MaxPool2d(2, return_indices=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)[0]

    model = prepared(Pooled(Indexed(), 2, False))
    with pytest.raises(InputError, match=r"MaxPool2d `pool.inner`: it takes units that the mask drops"):
        checked(model, keeping(model, X, [0, 2]), X)
