import pytest
import torch
from baked import checked, keeping, prepared
from torch import nn

from mcdrop.errors import InputError

X = torch.randn(3, 2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _net(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return prepared(nn.Sequential(*layers))


def test_channels_are_cut_out_of_both_convolutions() -> None:
    model = _net(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.75), nn.Conv2d(4, 3, 3))
    small = checked(model, keeping(model, X, [0, 3]), X)
    first, last = small.get_submodule("0"), small.get_submodule("3")
    torch.testing.assert_close(first.weight, model[0].weight[[0, 3]], rtol=0, atol=0)
    torch.testing.assert_close(first.bias, model[0].bias[[0, 3]], rtol=0, atol=0)
    torch.testing.assert_close(last.weight, 4 * model[3].weight[:, [0, 3]], rtol=0, atol=0)
    torch.testing.assert_close(last.bias, model[3].bias, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": (1, 2)},
        {"dilation": 2},
        {"padding": "same"},
        {"padding": "valid", "bias": False},
        {"padding": 1, "padding_mode": "reflect"},
        {"kernel_size": (1, 5), "padding": (0, 2), "padding_mode": "circular"},
    ],
)
def test_every_option_is_kept(options: dict) -> None:
    convolution = nn.Conv2d(4, 3, **{"kernel_size": 3} | options)
    model = _net(nn.Conv2d(2, 4, 1), nn.SiLU(), nn.Dropout2d(0.5), convolution)
    assert checked(model, keeping(model, X, [1, 2]), X).get_submodule("3").in_channels == 2


def test_a_constant_channel_moves_into_the_bias_unless_zeros_are_padded_around_it() -> None:
    """Dropped before a sigmoid a channel is 1/2 everywhere; zeros padded around it show at the border."""
    model = _net(nn.Conv2d(2, 4, 1), nn.Dropout2d(0.5), nn.Sigmoid(), nn.Conv2d(4, 3, 3))
    last = checked(model, keeping(model, X, [1, 2]), X).get_submodule("3")
    torch.testing.assert_close(last.bias, model[3].bias + 0.5 * model[3].weight[:, [0, 3]].sum((1, 2, 3)))
    assert last.in_channels == 2
    model = _net(nn.Conv2d(2, 4, 1), nn.Dropout2d(0.5), nn.Sigmoid(), nn.Conv2d(4, 3, 3, padding=1))
    small = checked(model, keeping(model, X, [1, 2]), X)
    assert (small.get_submodule("0").out_channels, small.get_submodule("3").in_channels) == (2, 4)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("f", [nn.ReLU(), nn.Sigmoid()])
def test_a_layer_with_no_channel_left(padding: int, f: nn.Module) -> None:
    model = _net(nn.Conv2d(2, 4, 1), nn.Dropout2d(0.9), f, nn.Conv2d(4, 3, 3, padding=padding))
    small = checked(model, keeping(model, X, []), X)
    assert "0" not in dict(small.named_modules())


def test_one_dimension() -> None:
    x = torch.randn(3, 2, 9, dtype=torch.float64)
    model = _net(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Dropout1d(0.5), nn.Conv1d(4, 3, 3, padding=1))
    assert checked(model, keeping(model, x, [0, 1]), x).get_submodule("3").in_channels == 2


def test_groups_are_refused_by_name_where_channels_are_dropped_and_kept_elsewhere() -> None:
    groups = nn.Conv2d(4, 4, 3, groups=2)
    model = _net(nn.Conv2d(2, 4, 1), nn.Dropout2d(0.5), groups)
    with pytest.raises(InputError, match=r"Conv2d `2`: it takes units that the mask drops.*SubNetwork\(model, mask\)"):
        checked(model, keeping(model, X, [0, 1]), X)
    model = _net(nn.Conv2d(2, 4, 1), groups, nn.Dropout2d(0.5), nn.Conv2d(4, 1, 1))
    assert checked(model, keeping(model, X, [0, 1]), X).get_submodule("1").groups == 2
