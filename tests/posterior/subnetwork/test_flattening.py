from collections.abc import Callable

import pytest
import torch
from baked import checked, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError

X = torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Flattened(nn.Module):
    """Channels dropped, flattened, and perhaps dropped again one by one."""

    def __init__(self, flatten: Callable[[Tensor], Tensor], p: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.flatten = nn.Conv2d(2, 3, 3), nn.Dropout2d(0.5), flatten
        self.again, self.last = nn.Dropout(p), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again(self.flatten(self.drop(self.first(x)))))


@pytest.mark.parametrize(
    "flatten",
    [
        nn.Flatten(),
        lambda x: torch.flatten(x, 1),
        lambda x: x.flatten(1),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.reshape(x.shape[0], x.shape[1] * 4),
        lambda x: torch.reshape(x, (-1, 12)),
    ],
)
def test_a_channel_is_a_block_of_columns(flatten: Callable[[Tensor], Tensor]) -> None:
    model = prepared(Flattened(flatten))
    last = checked(model, keeping(model, X, [0, 2]), X).get_submodule("last")
    torch.testing.assert_close(last.weight, 2 * model.last.weight[:, [0, 1, 2, 3, 8, 9, 10, 11]], rtol=0, atol=0)


def test_single_units_dropped_behind_it_are_removed_too() -> None:
    model = prepared(Flattened(nn.Flatten(), 0.75))
    small = checked(model, keeping(model, X, [0, 1], [1, 2, 9]), X)
    torch.testing.assert_close(small.get_submodule("last").weight, 8 * model.last.weight[:, [1, 2]], rtol=0, atol=0)
    assert small.get_submodule("first").out_channels == 1  # of the second channel nothing is read


def test_units_on_the_last_of_three_axes() -> None:
    """Of two steps with three units each, the first two units of the first step are kept."""
    x = torch.randn(5, 2, 4, dtype=torch.float64)
    model = prepared(nn.Sequential(nn.Linear(4, 3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 2)))
    small = checked(model, keeping(model, x, [0, 1]), x)
    assert (small.get_submodule("0").out_features, small.get_submodule("3").in_features) == (2, 2)


def test_another_change_of_shape_is_refused_by_name() -> None:
    model = prepared(Flattened(lambda x: x.view(-1, 6, 2).flatten(1)))
    with pytest.raises(InputError, match=r"view at \S+:\d+: it takes units that the mask drops"):
        checked(model, keeping(model, X, [0, 2]), X)
