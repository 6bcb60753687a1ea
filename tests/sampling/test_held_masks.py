"""Masks that rows share are drawn once for a predictor, whatever the rows; nothing that is predicted changes by it."""

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.posterior import Dropout, Ensemble
from mcdrop.sampling.held_masks import HeldMasks


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """For which site and draws words were made."""
    calls, keep = [], Dropout.keep

    def counted(self, site, shape, p, start, stop) -> Tensor:
        calls.append((site, start, stop))
        return keep(self, site, shape, p, start, stop)

    monkeypatch.setattr(Dropout, "keep", counted)
    return calls


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Linear(4, 16), nn.Dropout(0.3), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x).relu()))


def predictor(model: nn.Module, **options) -> mcdrop.MCDropout:
    return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), **{"num_samples": 20, "seed": 0} | options)


@pytest.mark.parametrize("execution", ["loop", "vectorised", "chain"])
@pytest.mark.parametrize("batches", [(5, 5), (5, 9)])
def test_the_second_batch_draws_no_masks_and_is_what_a_new_predictor_says(execution, batches, asked) -> None:
    net = Net()
    model = nn.Sequential(net.first, nn.ReLU(), net.drop, net.last) if execution == "chain" else net
    plan = mcdrop.Plan(execution, on_error="raise")
    first, second = (torch.randn(rows, 4) for rows in batches)
    mc = predictor(model, plan=plan)
    mc.sample(first)
    asked.clear()
    draws = mc.sample(second)
    assert not asked
    assert torch.equal(draws, predictor(model, plan=plan).sample(second))


def test_rows_with_masks_of_their_own_have_new_ones(asked) -> None:
    net, x = Net(), torch.ones(5, 4)
    batches = predictor(net, shared_masks=False).predict([x, x]).mean.split(5)
    assert not torch.equal(*batches)
    assert {site for site, _, _ in asked} == {"drop:dropout"}


def test_members_that_are_one_network_have_masks_of_their_own_seeds() -> None:
    net, x = Net(), torch.randn(5, 4)
    draws = predictor(Ensemble([net, net], dropout=True)).sample(x)
    assert not torch.equal(draws[:10], draws[10:])


def test_another_rate_or_seed_has_other_masks() -> None:
    net, x = Net(), torch.randn(5, 4)
    mc = predictor(net)
    before = mc.sample(x)
    net.drop.p = 0.6
    assert torch.equal(mc.sample(x), predictor(net).sample(x))
    assert not torch.equal(mc.sample(x), before)


def test_no_more_is_held_than_the_limit() -> None:
    held, drawn = HeldMasks(limit=10), []

    def draw(size: int) -> Tensor:
        drawn.append(size)
        return torch.ones(size, dtype=torch.bool)

    for size in (6, 5, 4, 6, 5, 4):
        assert len(held.get(size, lambda size=size: draw(size))) == size
    assert drawn == [6, 5, 4, 5]


def test_to_clear_is_to_forget_the_masks(asked) -> None:
    net, x = Net(), torch.randn(5, 4)
    mc = predictor(net)
    mc.sample(x)
    mc.clear()
    asked.clear()
    mc.sample(x)
    assert ("drop:dropout", 0, 20) in asked


def test_a_model_that_writes_to_what_dropout_returns_leaves_the_masks() -> None:
    class Writes(Net):
        def forward(self, x: Tensor) -> Tensor:
            h = self.drop(self.first(x))
            h.mul_(2).add_(1)
            return self.last(h)

    model, x = Writes(), torch.randn(5, 4)
    mc = predictor(model)
    assert torch.equal(mc.sample(x), mc.sample(x))


@pytest.mark.slow
def test_held_masks_of_a_large_site_stay_below_the_limit() -> None:
    mc = predictor(nn.Sequential(nn.Dropout(), nn.Linear(200_000, 1)), num_samples=200)
    mc.sample(torch.randn(2, 200_000))
    assert sum(mask.nbytes for mask in mc._held._masks.values()) <= 16 * 2**20
