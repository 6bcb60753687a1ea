import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError, NoSiteError
from mcdrop.scratch.layer import HandDropout
from mcdrop.training.tried_rates import checked_rates, is_random

X = torch.randn(5, 3)


def network(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), layer, nn.Linear(8, 1))


@pytest.mark.parametrize(
    ("layer", "rate", "random"),
    [
        (nn.Dropout(0.5), 0.5, True),
        (HandDropout(0.5), 0.5, True),
        (nn.Dropout(0.0), 0.0, False),
        (HandDropout(0.0), 0.0, False),
        (nn.Identity(), 0.0, False),
        (nn.Dropout(0.5), 0.0, True),  # a rate that is not of all layers
    ],
)
def test_at_p_0_a_network_may_have_no_dropout(layer, rate, random) -> None:
    assert is_random(network(layer), rate, mcdrop.Gaussian(1.0), 20, None, X) is random


def test_at_other_rates_it_must() -> None:
    with pytest.raises(NoSiteError) as caught:
        is_random(network(nn.Identity()), 0.5, mcdrop.Gaussian(1.0), 20, None, X)
    assert caught.value.__notes__ == ["This is the network that build(0.5) returned: does it use the rate?"]


@pytest.mark.parametrize("rates", [(), (0.1, 0.1), (0.5, 1.0)])
def test_rates_are_different_numbers_below_1(rates) -> None:
    with pytest.raises(InputError, match=r"expected different numbers in \[0, 1\), at least one"):
        checked_rates(rates)


def test_rates_are_probabilities(without_type_checks) -> None:
    for wrong in (-0.1, float("nan"), "half"):
        with pytest.raises(InputError, match="expected a probability of zeroing"):
            checked_rates([wrong])
    assert checked_rates(iter([0, 0.5])) == (0, 0.5)
