"""Networks trained at once or one by one: the same networks."""

from functools import partial

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.scratch.layer import HandDropout
from mcdrop.training import fit, initialise
from mcdrop.training.each import train_each

G = torch.Generator().manual_seed(0)
X = torch.randn(20, 3, generator=G)
DATA = (X, X[:, 0].square())
SETTINGS = {"optimizer": partial(torch.optim.Adam, lr=1e-2), "epochs": 3, "batch_size": 6}


def build(layer=nn.Dropout) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), layer(0.3), nn.Linear(16, 1))


@pytest.mark.parametrize("layer", [nn.Dropout, HandDropout])
@pytest.mark.parametrize("parts", [[DATA], [DATA, (X[:, [1, 2, 0]], DATA[1])]], ids=["one part", "own parts"])
def test_each_is_the_network_that_fit_trains(layer, parts) -> None:
    models, histories = train_each(partial(build, layer), parts, mcdrop.Gaussian(4.0), seeds=(3, 8), **SETTINGS)
    for number, seed in enumerate((3, 8)):
        alone = initialise(partial(build, layer), seed)
        history = fit(alone, parts[number % len(parts)], mcdrop.Gaussian(4.0), seed=seed, **SETTINGS)
        assert histories[number].train_loss == pytest.approx(history.train_loss, rel=1e-4)
        for one, other in zip(models[number].parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert not any(module.training for model in models for module in model.modules())


def test_a_loader_serves_all_of_them() -> None:
    loader = [(x, y) for x, y in zip(DATA[0].split(6), DATA[1].split(6), strict=True)]
    settings = {**SETTINGS, "batch_size": None}
    models, _ = train_each(build, [loader], mcdrop.Gaussian(4.0), seeds=(3, 8), **settings)
    alone = initialise(build, 8)
    fit(alone, loader, mcdrop.Gaussian(4.0), seed=8, **settings)
    assert torch.equal(models[1][0].weight, alone[0].weight)


def test_what_does_not_fit_is_refused_and_not_tried_again() -> None:
    with pytest.raises(InputError, match="epochs=0 was given"):
        train_each(build, [DATA], mcdrop.Gaussian(4.0), seeds=(3, 8), **{**SETTINGS, "epochs": 0})
