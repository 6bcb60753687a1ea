import torch
from baked import checked, keeping
from torch import nn

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _net(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*layers).double().eval()


def test_rows_and_columns_are_cut_out_and_the_scale_is_in_the_next_weights() -> None:
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.75), nn.Linear(3, 2))
    small = checked(model, keeping(model, X, [0, 2]), X)
    first, last = small.get_submodule("0"), small.get_submodule("3")
    torch.testing.assert_close(first.weight, model[0].weight[[0, 2]], rtol=0, atol=0)
    torch.testing.assert_close(first.bias, model[0].bias[[0, 2]], rtol=0, atol=0)
    torch.testing.assert_close(last.weight, 4 * model[3].weight[:, [0, 2]], rtol=0, atol=0)
    torch.testing.assert_close(last.bias, model[3].bias, rtol=0, atol=0)
    assert (first.in_features, first.out_features, last.in_features, last.out_features) == (4, 2, 2, 2)


def test_a_layer_with_no_unit_left_leaves_the_bias_and_no_other_layer() -> None:
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.9), nn.Linear(3, 2))
    small = checked(model, keeping(model, X, []), X)
    assert list(small.parameters()) == []
    torch.testing.assert_close(small(X), model[3].bias.expand(5, 2))


def test_a_constant_unit_moves_into_the_bias() -> None:
    """A unit that is dropped before a sigmoid is 1/2 for every input."""
    model = _net(nn.Linear(4, 3), nn.Dropout(0.5), nn.Sigmoid(), nn.Linear(3, 2))
    small = checked(model, keeping(model, X, [1]), X)
    last = small.get_submodule("3")
    torch.testing.assert_close(last.bias, model[3].bias + 0.5 * model[3].weight[:, [0, 2]].sum(1))
    torch.testing.assert_close(last.weight, model[3].weight[:, [1]])  # the scale cannot pass a sigmoid


def test_a_layer_without_bias_gets_one_only_for_constants() -> None:
    model = _net(nn.Linear(4, 3), nn.Dropout(0.5), nn.ReLU(), nn.Linear(3, 2, bias=False))
    assert checked(model, keeping(model, X, [1]), X).get_submodule("3").bias is None
    model = _net(nn.Linear(4, 3), nn.Dropout(0.5), nn.Sigmoid(), nn.Linear(3, 2, bias=False))
    added = checked(model, keeping(model, X, [1]), X).get_submodule("3").bias
    torch.testing.assert_close(added, 0.5 * model[3].weight[:, [0, 2]].sum(1))
    assert added.requires_grad


def test_weights_that_do_not_train_still_do_not() -> None:
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    model[0].weight.requires_grad_(False)
    trains = {name: one.requires_grad for name, one in checked(model, keeping(model, X, [1]), X).named_parameters()}
    assert trains == {"0.weight": False, "0.bias": True, "3.weight": True, "3.bias": True}


def test_units_on_the_last_of_three_axes_are_removed() -> None:
    x = torch.randn(5, 1, 4, dtype=torch.float64)
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    assert checked(model, keeping(model, x, [0, 2]), x).get_submodule("0").out_features == 2


def test_where_single_steps_of_units_are_dropped_they_are_multiplied_by_their_mask() -> None:
    x = torch.randn(5, 2, 4, dtype=torch.float64)
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    small = checked(model, keeping(model, x, [0, 2, 3]), x)
    assert small.get_submodule("3").weight.shape == (2, 3)


def test_what_was_dropped_along_another_axis_is_filled_in_again() -> None:
    """Whole steps are dropped, and the next layer mixes features: it runs on all steps."""
    x = torch.randn(5, 4, 4, dtype=torch.float64)
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout1d(0.5), nn.Linear(3, 2))
    assert checked(model, keeping(model, x, [0, 2]), x).get_submodule("3").weight.shape == (2, 3)
