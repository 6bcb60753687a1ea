import pytest
import torch
from baked import checked, keeping, prepared
from torch import nn

from mcdrop.errors import InputError


def _net(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return prepared(nn.Sequential(*layers))


def test_statistics_and_parameters_of_dropped_units_are_cut_out() -> None:
    x = torch.randn(5, 4, dtype=torch.float64)
    norm = nn.BatchNorm1d(3, eps=0.1, momentum=0.3)
    model = _net(nn.Linear(4, 3), norm, nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    small = checked(model, keeping(model, x, [0, 2]), x).get_submodule("1")
    for name in ("weight", "bias", "running_mean", "running_var"):
        torch.testing.assert_close(getattr(small, name), getattr(norm, name)[[0, 2]], rtol=0, atol=0)
    assert (small.num_features, small.eps, small.momentum) == (2, 0.1, 0.3)
    assert small.training is False


def test_a_unit_dropped_before_it_is_a_constant_for_the_next_layer() -> None:
    """0 becomes b - m g / sqrt(v + eps)."""
    x = torch.randn(5, 4, dtype=torch.float64)
    norm = nn.BatchNorm1d(3)
    model = _net(nn.Linear(4, 3), nn.Dropout(0.5), norm, nn.Linear(3, 2))
    last = checked(model, keeping(model, x, [0, 2]), x).get_submodule("3")
    constant = norm.bias[1] - norm.running_mean[1] * norm.weight[1] / (norm.running_var[1] + norm.eps).sqrt()
    torch.testing.assert_close(last.bias, model[3].bias + constant * model[3].weight[:, 1])


@pytest.mark.parametrize("affine", [True, False])
def test_channels(affine: bool) -> None:
    x = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    model = _net(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, affine=affine), nn.Dropout2d(0.5), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1)
    )
    small = checked(model, keeping(model, x, [0, 2]), x)
    assert [small.get_submodule(name).num_features for name in "13"] == [2, 2]


def test_the_scale_stands_before_it_so_that_statistics_of_a_batch_see_it() -> None:
    x = torch.randn(50, 4, dtype=torch.float64)
    model = _net(nn.Linear(4, 3), nn.Dropout(0.75), nn.BatchNorm1d(3), nn.Linear(3, 2))
    small = checked(model, keeping(model, x, [0, 2]), x).train()
    small(x)
    reference = nn.BatchNorm1d(2).double()
    reference.running_mean.copy_(model[2].running_mean[[0, 2]])
    reference(4 * model[0](x)[:, [0, 2]])
    torch.testing.assert_close(small.get_submodule("2").running_mean, reference.running_mean)


def test_a_norm_over_units_is_refused_by_name() -> None:
    x = torch.randn(5, 4, dtype=torch.float64)
    for norm in (nn.LayerNorm(4), nn.GroupNorm(2, 4)):
        model = _net(nn.Linear(4, 4), nn.Dropout(0.5), norm, nn.Linear(4, 2))
        with pytest.raises(InputError, match=rf"{type(norm).__name__} `2`: it takes units that the mask drops"):
            checked(model, keeping(model, x, [0, 2]), x)
