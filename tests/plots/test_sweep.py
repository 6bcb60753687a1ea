from functools import partial

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.plots.sweep import loss_against_rate
from mcdrop.training import Sweep, sweep

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(30, 4, generator=G), torch.randint(3, (30,), generator=G)


@pytest.fixture(scope="module")
def found() -> Sweep:
    def build(p: float) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 3))

    sgd = partial(torch.optim.SGD, lr=0.1)
    return sweep(build, [0.5, 0.0], (X[:20], Y[:20]), mcdrop.Categorical(), test=(X[20:], Y[20:]), optimizer=sgd,
                 epochs=2, batch_size=10, num_samples=10)  # fmt: skip


@pytest.fixture
def ax():
    figure = plt.figure()
    yield figure.subplots()
    plt.close(figure)


@pytest.mark.parametrize("quantity", ["loss", "error"])
def test_what_is_drawn_are_the_numbers_of_the_sweep_in_the_order_of_rates(found, ax, quantity) -> None:
    assert loss_against_rate(found, ax, quantity=quantity) is ax
    names = ("one tree", "weight-scaled net", "forest")
    lines = iter([container[0] for container in ax.containers])
    for part in ("test", "train"):
        for name in names:
            line = next(lines)
            assert line.get_linestyle() == {"test": "-", "train": "--"}[part]
            expected = [getattr(found.points[place], f"{part}_{quantity}")[name].value for place in (1, 0)]
            assert line.get_xdata().tolist() == [0.0, 0.5]
            assert line.get_ydata().tolist() == pytest.approx(expected)
    labels = ax.get_legend_handles_labels()[1]
    assert sorted(labels) == sorted([*(f"{name}, test" for name in names), "dashed: training", "lowest"])
    assert ax.get_ylabel() == {"loss": "-log p(y), nats", "error": "error rate"}[quantity]


def test_another_quantity_is_refused(found, ax, without_type_checks) -> None:
    with pytest.raises(InputError, match="quantity='nll' was given; expected 'loss' or 'error'"):
        loss_against_rate(found, ax, quantity="nll")
