import pytest
import torch
import torch.nn.functional as F
from baked import checked, drawn, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout
from mcdrop.posterior import Dropout, bake
from mcdrop.sampling import SubNetwork, units_for
from mcdrop.sites import Sites, insert

X = torch.randn(5, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Encoder(nn.Module):
    """Layers that mix units stand where all units are: before dropout, or behind a residual sum."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.place = nn.Parameter(torch.randn(6, 4))
        self.register_buffer("shift", torch.randn(4))
        self.attention, self.norm = nn.MultiheadAttention(4, 2, batch_first=True), nn.LayerNorm(4)
        self.up, self.down, self.drop, self.last = nn.Linear(4, 8), nn.Linear(8, 4), nn.Dropout(0.5), last

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.place.expand(x.size(0), -1, -1) - self.shift - torch.full((4,), 0.3, dtype=torch.float64)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = x.view(x.size(0), 6, -1)
        x = x + self.drop(self.down(self.drop(F.gelu(self.up(self.norm(x))))))
        return self.last(self.drop(self.norm(x)[:, 0]))


def test_what_mixes_units_is_kept_where_all_are_there() -> None:
    model = prepared(Encoder(nn.Linear(4, 2)))
    small = checked(model, drawn(model, X, t=1), X)
    assert small.get_submodule("last").in_features < 4
    assert {"place", "norm.weight", "attention.in_proj_weight"} <= dict(small.named_parameters()).keys()
    assert "shift" in dict(small.named_buffers())
    assert small.place.requires_grad
    assert small.get_submodule("norm").weight is not model.norm.weight


@pytest.mark.parametrize(
    ("last", "name"),
    [
        (nn.LayerNorm(4), "LayerNorm `last`"),
        (nn.Softmax(-1), "Softmax `last`"),
        (nn.PReLU(4), "PReLU `last`"),
        (nn.Bilinear(4, 4, 2), "Bilinear `last`"),
    ],
)
def test_what_mixes_units_is_refused_by_name_where_some_are_dropped(last: nn.Module, name: str) -> None:
    class Fed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.last = nn.Dropout(0.5), last

        def forward(self, x: Tensor) -> Tensor:
            x = self.drop(x)
            return self.last(x, x) if isinstance(self.last, nn.Bilinear) else self.last(x)

    model, x = prepared(Fed()), X[:, 0]
    with pytest.raises(InputError, match=f"{name}: it takes units that the mask drops, and no rule says"):
        checked(model, keeping(model, x, [0, 1]), x)


def test_a_layer_whose_output_nobody_needs_is_not_refused() -> None:
    model = prepared(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4), nn.Softmax(-1), nn.Dropout(0.9), nn.Linear(4, 2)))
    assert list(checked(model, keeping(model, X[:, 0], [0, 1, 2, 3], []), X[:, 0]).parameters()) == []


def test_recurrent_layers_without_dropout() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent, self.drop, self.last = nn.LSTM(4, 5, batch_first=True), nn.Dropout(0.5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            out, (hidden, _) = self.recurrent(x)
            return self.last(self.drop(out[:, -1])) + self.last(self.drop(hidden[0]))

    model = prepared(Tagger())
    small = checked(model, keeping(model, X, [0, 1], [4]), X)
    assert [small.get_submodule(name).in_features for name in ("last", "last_2")] == [2, 1]


def test_dropout_that_is_not_chosen_stays_off_in_training() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(4, 5, 2, batch_first=True, dropout=0.5)
            self.layer = nn.TransformerEncoderLayer(5, 1, 8, 0.5, batch_first=True)
            self.drop, self.last = nn.Dropout(0.5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.drop(self.layer(self.recurrent(x)[0])[:, -1]))

    model, sites = prepared(Mixed()), Sites(only="drop")
    mask = Dropout(seed=0).draw(units_for(model, X, sites=sites), 1)
    small = bake(model, mask, X, sites=sites)
    torch.testing.assert_close(small(X), SubNetwork(model, mask, sites=sites)(X))
    torch.testing.assert_close(small.train()(X), SubNetwork(model, mask, sites=sites)(X))
    assert (model.recurrent.dropout, model.layer.dropout.p) == (0.5, 0.5)


def test_a_layer_that_holds_modules_of_other_packages_is_refused() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    model = prepared(insert(model, BernoulliDropout(0.0), before="0"))
    with pytest.raises(InputError, match="LayerNorm `0`: it holds modules of other packages"):
        checked(model, drawn(model, X[:, 0]), X[:, 0])
