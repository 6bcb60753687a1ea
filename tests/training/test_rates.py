import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout, SpatialDropout
from mcdrop.training import dropout_rates
from mcdrop.training.rates import check_rates


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        x = F.dropout(F.relu(self.first(F.dropout(x, 0.1))), p=0.3, training=self.training)
        return self.second(x) + self.third(F.dropout(x, 0.4, training=False).clone())


class Convolutional(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(2, 2, 3, bias=False),
            BernoulliDropout(0.6), nn.Flatten(), nn.ReLU(), nn.Linear(2 * 4 * 4, 8), SpatialDropout(0.7),
            nn.Linear(8, 1),
        )  # fmt: skip


def test_each_weight_has_the_rate_of_its_input_and_biases_none() -> None:
    assert dropout_rates(Functional().eval(), torch.ones(2, 4)) == {
        "first.weight": 0.1, "first.bias": 0.0, "second.weight": 0.3, "second.bias": 0.0,
        "third.weight": 0.0, "third.bias": 0.0,
    }  # fmt: skip


def test_convolutions_and_our_own_layers_too_but_no_gains() -> None:
    assert dropout_rates(Convolutional(), torch.ones(2, 1, 8, 8)) == {
        "0.weight": 0.0, "0.bias": 0.0, "4.weight": 0.2, "8.weight": 0.6, "8.bias": 0.0, "10.weight": 0.7,
        "10.bias": 0.0,
    }  # fmt: skip


def test_dropout_whose_output_is_changed_before_the_layer_is_no_dropout_on_its_input() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sigmoid(), nn.Linear(2, 2))
    assert dropout_rates(model, torch.ones(1, 2))["2.weight"] == 0.0


def test_the_model_and_the_generators_are_left_alone() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), BernoulliDropout(0.1), nn.Linear(4, 1)).eval()
    state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    dropout_rates(model, torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert not model[1].training
    assert "forward" not in vars(model[2])


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x * (torch.rand_like(x) > 0.5))


class Twice(nn.Linear):
    def forward(self, x):
        return super().forward(x) + super().forward(F.dropout(x, 0.5, self.training))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Noisy(4, 4), r"Noisy draws random numbers outside of dropout layers.*rates=\{'fc.weight': 0.5"),
        (Twice(4, 4), "weight is used with the rates 0.0 and 0.5: give its rate by name"),
        (nn.Bilinear(4, 4, 2), "weight: used by no linear or convolutional layer"),
    ],
)
def test_says_where_it_cannot_tell(model: nn.Module, message: str) -> None:
    x = torch.ones(2, 4)
    with pytest.raises(InputError, match=message):
        dropout_rates(model, *([x, x] if isinstance(model, nn.Bilinear) else [x]))


def test_rates_by_name_are_checked() -> None:
    with pytest.raises(InputError, match="rates of fc were given; Linear has weight, bias"):
        check_rates(nn.Linear(2, 2), {"fc": 0.5})
    with pytest.raises(InputError, match="The rate 1 of weight was given"):
        check_rates(nn.Linear(2, 2), {"weight": 1.0})
    with pytest.raises(InputError, match="expected a probability of zeroing"):
        check_rates(nn.Linear(2, 2), {"weight": -0.5})
