from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mcdrop
from mcdrop.errors import InputError
from mcdrop.training import fit, members

X, Y = torch.randn(9, 6, generator=torch.Generator().manual_seed(0)), torch.arange(9.0)
GAUSSIAN = mcdrop.Gaussian(1.0)
ADAM = partial(torch.optim.Adam, lr=1e-2)


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))


def convolution() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (2, 3)), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(6, 1))


class Frozen(nn.BatchNorm1d):
    def train(self, mode: bool = True):
        return super().train(False)


def frozen() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), Frozen(4), nn.Linear(4, 1))


def train(model: nn.Module, data, batch_size: int | None = None, epochs: int = 1):
    return fit(model, data, GAUSSIAN, optimizer=ADAM, epochs=epochs, batch_size=batch_size)


def loader(**options) -> DataLoader:
    return DataLoader(TensorDataset(X, Y), **options)


@pytest.mark.parametrize(
    ("data", "batch_size"),
    [((X, Y), 4), ((X, Y), 1), (loader(batch_size=4), None), (loader(batch_size=2, shuffle=True), None)],
)
def test_a_single_row_is_refused_before_the_first_step(data, batch_size) -> None:
    net = plain()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError, match=r"last batch .* has 1 row \(9 rows were given\).* in layer '1' .*drop_last=T"):
        train(net, data, batch_size)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert net.training
    assert not net[1]._forward_pre_hooks


def test_members_refuse_it_too() -> None:
    with pytest.raises(InputError, match="has 1 row"):
        members(plain, (X, Y), GAUSSIAN, seeds=(0, 1), optimizer=ADAM, epochs=1, batch_size=4)


@pytest.mark.parametrize(
    ("build", "data", "batch_size"),
    [
        (plain, (X, Y), 3),
        (plain, loader(batch_size=4, drop_last=True), None),
        (plain, loader(batch_sampler=[[0, 1, 2, 3], [4, 5, 6, 7, 8]]), None),
        (convolution, (X, Y), 4),
        (frozen, (X, Y), 4),
        (lambda: nn.Linear(6, 1), (X, Y), 4),
    ],
)
def test_what_a_single_row_does_not_hurt_is_trained(build, data, batch_size) -> None:
    assert len(train(build(), data, batch_size)) == 1
