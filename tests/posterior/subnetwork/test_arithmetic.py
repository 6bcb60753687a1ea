import torch
from baked import keeping
from torch import nn

from mcdrop.posterior import Savings, bake, savings


def test_counts_by_hand() -> None:
    """784-100-50-10 with 30 and 20 units kept, for 8 rows."""
    model = nn.Sequential(
        nn.Linear(784, 100),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(100, 50),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(50, 10),
    )
    x = torch.randn(8, 784)
    saved = savings(model, bake(model, keeping(model, x, list(range(30)), list(range(20))), x), x)
    assert saved == Savings(
        parameters_before=785 * 100 + 101 * 50 + 51 * 10,
        parameters_after=785 * 30 + 31 * 20 + 21 * 10,
        multiply_adds_before=8 * (784 * 100 + 100 * 50 + 50 * 10),
        multiply_adds_after=8 * (784 * 30 + 30 * 20 + 20 * 10),
    )


def test_counts_of_convolutions() -> None:
    """Channels 3-8-5 with 2 of 8 kept, kernels 3 by 3, maps of 6 by 6 and 4 by 4."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(8, 5, 3)
    )
    x = torch.randn(2, 3, 6, 6)
    saved = savings(model, bake(model, keeping(model, x, [1, 7]), x), x)
    assert (saved.parameters_before, saved.parameters_after) == (28 * 8 + 16 + 73 * 5, 28 * 2 + 4 + 19 * 5)
    before, after = 2 * 36 * 27 * 8 + 2 * 16 * 72 * 5, 2 * 36 * 27 * 2 + 2 * 16 * 18 * 5
    assert (saved.multiply_adds_before, saved.multiply_adds_after) == (before, after)
    assert saved.share_of_multiply_adds == after / before


def test_neither_network_is_changed() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    before, randomness = {k: v.clone() for k, v in model.state_dict().items()}, torch.random.get_rng_state()
    savings(model, model, torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.random.get_rng_state(), randomness)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def test_a_network_without_parameters_saves_nothing() -> None:
    nothing = savings(nn.Flatten(), nn.Flatten(), torch.zeros(2, 3))
    assert nothing == Savings(0, 0, 0, 0)
    assert (nothing.share_of_parameters, nothing.share_of_multiply_adds) == (1.0, 1.0)
