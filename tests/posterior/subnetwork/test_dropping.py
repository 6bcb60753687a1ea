import pytest
import torch
import torch.nn.functional as F
from baked import checked, drawn, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout, DropPath, GaussianDropout, OriginalDropout, SpatialDropout
from mcdrop.posterior import Dropout, bake
from mcdrop.sampling import SubNetwork, units_for
from mcdrop.sites import Sites

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(3, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _net(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return prepared(nn.Sequential(*layers))


def test_dropped_inputs_are_not_read() -> None:
    model = _net(nn.Dropout(0.75), nn.Linear(4, 3))
    small = checked(model, keeping(model, X, [1, 3]), X)
    torch.testing.assert_close(small.get_submodule("1").weight, 4 * model[1].weight[:, [1, 3]], rtol=0, atol=0)
    ignored = X.clone()
    ignored[:, [0, 2]] = float("nan")
    torch.testing.assert_close(small(ignored), small(X))


def test_all_inputs_dropped() -> None:
    model = _net(nn.Dropout(0.75), nn.Linear(4, 3))
    assert list(checked(model, keeping(model, X, []), X).parameters()) == []


def test_dropped_outputs_are_zeros() -> None:
    model = _net(nn.Linear(4, 3), nn.Dropout(0.5))
    small = checked(model, keeping(model, X, [1]), X)
    assert small.get_submodule("0").out_features == 1
    assert (small(X)[:, [0, 2]] == 0).all()
    assert (checked(model, keeping(model, X, []), X)(X) == 0).all()


def test_channels_of_which_single_pixels_are_dropped_stay() -> None:
    model = _net(nn.Conv2d(2, 3, 1), nn.Dropout(0.5), nn.Conv2d(3, 2, 3, padding=1))
    for kept in (list(range(0, 75, 2)), list(range(30, 40)), []):
        assert checked(model, keeping(model, MAPS, kept), MAPS).get_submodule("2").in_channels == 3


def test_dropped_channels_then_dropped_pixels() -> None:
    model = _net(nn.Conv2d(2, 3, 1), nn.Dropout2d(0.5), nn.SiLU(), nn.Dropout(0.5), nn.Conv2d(3, 2, 3, padding=1))
    small = checked(model, keeping(model, MAPS, [0, 2], list(range(0, 75, 2))), MAPS)
    assert small.get_submodule("4").in_channels == 2


def test_a_constant_channel_of_which_pixels_are_dropped_is_filled_in_again() -> None:
    model = _net(nn.Conv2d(2, 3, 1), nn.Dropout2d(0.5), nn.Sigmoid(), nn.Dropout(0.5), nn.Conv2d(3, 2, 3))
    small = checked(model, keeping(model, MAPS, [0, 2], list(range(0, 75, 2))), MAPS)
    assert (small.get_submodule("0").out_channels, small.get_submodule("4").in_channels) == (2, 3)


def test_two_consumers_of_which_one_needs_all() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.drop = nn.Linear(4, 3), nn.Dropout(0.5)
            self.one, self.two = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.one(self.drop(x)) + self.two(x)

    model = prepared(Both())
    small = checked(model, keeping(model, X, [0, 2]), X)
    assert [small.get_submodule(name).in_features for name in ("one", "two")] == [2, 3]


@pytest.mark.parametrize("p", [0.0, 0.2])
def test_functions_whose_flag_is_written_by_hand(p: float) -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.p = nn.Linear(4, 6), nn.Linear(6, 3), p

        def forward(self, x: Tensor) -> Tensor:
            x = F.dropout(F.relu(self.first(x)), 0.5, self.training, inplace=True)
            x = torch.dropout(x, self.p if self.training else 0.0, True)
            return self.last(F.dropout(x, 0.3, training=False))

    model = prepared(Functional())
    mask = drawn(model, X)
    kept = torch.stack(list(mask.values.values())).all(0).sum().item()
    assert checked(model, mask, X).get_submodule("last").in_features == kept


@pytest.mark.parametrize("layer", [BernoulliDropout(0.4), OriginalDropout(0.4)])
@pytest.mark.usefixtures("without_type_checks")
def test_layers_of_mcdrop(layer: nn.Module) -> None:
    model = _net(nn.Linear(4, 9), nn.ReLU(), layer, nn.Linear(9, 3))
    kept = {t: checked(model, drawn(model, X, t), X).get_submodule("3").in_features for t in range(5)}
    assert 0 < sum(kept.values()) < 45


@pytest.mark.usefixtures("without_type_checks")
def test_layers_that_are_not_chosen_do_what_they_do_in_evaluation() -> None:
    """The original scheme scales by 1 - p there."""
    model, sites = _net(nn.Linear(4, 9), OriginalDropout(0.4), nn.Dropout(0.5), nn.Linear(9, 3)), Sites(exclude="1")
    mask = Dropout(seed=0).draw(units_for(model, X, sites=sites), 0)
    small = bake(model, mask, X, sites=sites)
    torch.testing.assert_close(small(X), SubNetwork(model, mask, sites=sites)(X))


@pytest.mark.usefixtures("without_type_checks")
def test_whole_channels_of_mcdrop() -> None:
    model = _net(nn.Conv2d(2, 9, 1), SpatialDropout(0.5), nn.Conv2d(9, 3, 3, padding=1))
    assert checked(model, drawn(model, MAPS), MAPS).get_submodule("2").in_channels < 9


@pytest.mark.usefixtures("without_type_checks")
def test_a_dropped_path_is_gone_and_a_kept_one_is_scaled() -> None:
    class Path(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch, self.path, self.last = nn.Conv2d(2, 2, 3, padding=1), DropPath(0.5), nn.Conv2d(2, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x + self.path(self.branch(x)))

    model = prepared(Path())
    names = [dict(checked(model, drawn(model, MAPS, t), MAPS).named_modules()) for t in range(8)]
    assert {"branch" in found for found in names} == {True, False}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.AlphaDropout(0.5), "Site 1:alpha_dropout is alpha dropout, which replaces what it drops by a number"),
        (
            GaussianDropout(0.5),
            "Site 1:randn_like is no dropout operation of its own but drawn in the",
        ),
        (nn.TransformerEncoderLayer(4, 2, 8, 0.1, batch_first=True), "lies inside TransformerEncoderLayer `1`"),
        (nn.LSTM(4, 4, 2, dropout=0.5, batch_first=True), "lies inside LSTM `1`"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_other_noise_is_refused_by_name(layer: nn.Module, message: str) -> None:
    class Net(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            x = self[1](self[0](x)[:, None])
            return x[0] if isinstance(x, tuple) else x

    with pytest.raises(InputError, match=message):
        checked(model := prepared(Net(nn.Linear(4, 4), layer)), drawn(model, X), X)


def test_masks_written_by_hand_are_refused_by_name() -> None:
    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.linear(x)
            return x * (torch.rand_like(x) > 0.5) if self.training else x

    model = prepared(ByHand())
    with pytest.raises(
        InputError, match=r"Site \(model\):rand_like is no dropout operation of its own but drawn in the model's code"
    ):
        checked(model, drawn(model, X), X)


def test_dropped_weights_are_refused() -> None:
    class Connections(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, F.dropout(self.weight, 0.5, self.training), self.bias)

    with pytest.raises(InputError, match=r"Site \(model\):dropout drops what does not depend on the input's rows"):
        checked(model := prepared(Connections(4, 2)), drawn(model, X), X)


def test_rows_on_another_axis_are_refused() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(x.transpose(0, 1)).transpose(0, 1)

    with pytest.raises(InputError, match="The rows of site drop:dropout lie on axis 1; expected them on axis 0"):
        checked(Turned(), drawn(Turned(), X), X)
