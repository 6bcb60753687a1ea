"""Code that reads `training`, and then waits for a value before it drops anything."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mcdrop
from mcdrop.sites import discover
from mcdrop.sites.waiting import wakes


class Waits(nn.Module):
    """Drops more where the batch holds a large value."""

    def __init__(self, by_hand: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)
        self.by_hand = by_hand

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.first(x).relu())
        if self.training and x.max() > 2:
            hidden = hidden * (torch.rand_like(hidden) > 0.3) / 0.7 if self.by_hand else F.dropout(hidden, 0.3, True)
        return self.last(hidden)


@pytest.fixture
def quiet() -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).clamp(max=1)


@pytest.fixture
def loud(quiet: Tensor) -> Tensor:
    """A large value in the last row alone, which the search for sites does not look at."""
    x = quiet.clone()
    x[-1, 0] = 3
    return x


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_waits_is_noted_and_found_awake_where_its_value_is(by_hand, quiet, loud) -> None:
    model = Waits(by_hand)
    discovery = discover(model, (quiet,), {}, batch_dim=0)
    assert len(discovery.waiting) == 1
    assert not wakes(model, (quiet,), {}, discovery)
    assert wakes(model, (loud,), {}, discovery)
    assert not discover(model, (loud,), {}, batch_dim=0).waiting
    assert not discover(model.drop, (loud,), {}, batch_dim=0).waiting


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("execution", ["auto", "loop"])
def test_a_predictor_draws_in_each_batch_what_a_new_one_draws(by_hand, execution, quiet, loud) -> None:
    model, plan = Waits(by_hand).eval(), mcdrop.Plan(execution=execution)

    def new() -> mcdrop.MCDropout:
        return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0, plan=plan)

    mc = new()
    for x in (quiet, loud, quiet, loud):
        torch.testing.assert_close(mc.sample(x), new().sample(x))


@pytest.mark.parametrize("by_hand", [True, False])
def test_the_variance_is_that_of_both_masks(by_hand, quiet, loud) -> None:
    """E[k^2] = 1 / (1 - p) of each factor k, and the factors are independent."""
    model, num_samples = Waits(by_hand).eval(), 2000
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=num_samples, seed=0)
    for x, kept in ((quiet, 0.5), (loud, 0.5 * 0.7)):
        with torch.no_grad():
            variance = (model.first(x).relu() ** 2 * (1 / kept - 1)) @ (model.last.weight**2).T
        bound = 4 * (2 / num_samples) ** 0.5  # errors of one variance; their mean over rows has less
        torch.testing.assert_close(mc.sample(x).var(dim=0).mean(), variance.mean(), rtol=bound, atol=0)


def test_what_waits_and_never_wakes_changes_nothing(quiet) -> None:
    with_it = mcdrop.MCDropout(Waits(), likelihood=mcdrop.Identity(), num_samples=5, seed=0)
    without = mcdrop.MCDropout(Waits().eval(), likelihood=mcdrop.Identity(), num_samples=5, seed=0)
    state = torch.get_rng_state()
    assert torch.equal(with_it.sample(quiet), without.sample(quiet))
    assert torch.equal(torch.get_rng_state(), state)
