"""Masks that rows share are drawn once for a predictor, whatever the rows; nothing that is predicted changes by it."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.posterior import Dropout, Ensemble
from mcdrop.sampling.held_masks import OBJECT, HeldMasks


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
    assert not torch.equal(draws[0::2], draws[1::2])  # the members take turns


def test_another_rate_or_seed_has_other_masks() -> None:
    net, x = Net(), torch.randn(5, 4)
    mc = predictor(net)
    before = mc.sample(x)
    net.drop.p = 0.6
    assert torch.equal(mc.sample(x), predictor(net).sample(x))
    assert not torch.equal(mc.sample(x), before)


def test_no_more_is_held_than_the_limit() -> None:
    held, drawn = HeldMasks(limit=640 + 2 * OBJECT), []

    def draw(size: int) -> Tensor:
        drawn.append(size)
        return torch.ones(size, dtype=torch.bool)

    for size in (384, 320, 250, 384, 320, 250):
        assert len(held.get(size, lambda size=size: draw(size))) == size
    assert drawn == [384, 320, 250, 320]


def test_what_is_held_is_what_was_drawn_whatever_its_type_and_size() -> None:
    held, generator = HeldMasks(), torch.Generator().manual_seed(0)
    drawn = {
        (size, dtype): torch.rand(3, size, generator=generator).gt(0.5).to(dtype)
        for size in (1, 7, 1000, 500_000)
        for dtype in (torch.bool, torch.float32, torch.float64)
    }
    for _ in range(2):
        for key, masks in drawn.items():
            assert torch.equal(held.get(key, lambda masks=masks: masks), masks)


def test_threads_do_not_hold_masks_in_one_place() -> None:
    held = HeldMasks()

    def masks(number: int) -> Tensor:
        return torch.full((1000,), number, dtype=torch.float32)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: held.get(number, lambda: masks(number)), range(500)))
    assert all(torch.equal(held.get(number, lambda: masks(-1)), masks(number)) for number in range(500))


def test_a_copied_predictor_begins_without_masks() -> None:
    net, x = Net(), torch.randn(5, 4)
    mc = predictor(net)
    draws = mc.sample(x)
    assert torch.equal(copy.deepcopy(mc).sample(x), draws)
    assert torch.equal(pickle.loads(pickle.dumps(mc)).sample(x), draws)
    assert not copy.deepcopy(mc)._held._masks


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


class Curvature(nn.Module):
    """The second derivative of a network with dropout in it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        slope = torch.func.grad(lambda x: self.inner(x).sum())
        return torch.func.grad(lambda x: slope(x).sum())(x)


def in_twice(mc: mcdrop.MCDropout, x: Tensor) -> Tensor:
    return torch.func.grad(lambda x: torch.func.grad(lambda x: mc.sample(x).sum())(x).sum())(x)


@pytest.mark.parametrize("execution", ["loop", "auto"])
def test_masks_drawn_inside_of_transforms_outlive_them(execution) -> None:
    plan, inputs = mcdrop.Plan(execution), [torch.randn(rows, 1) for rows in (5, 1, 3)]
    mc = predictor(Curvature(), plan=plan)
    for x in (*inputs, *inputs):
        torch.testing.assert_close(mc.sample(x), predictor(Curvature(), plan=mcdrop.Plan("loop")).sample(x))
    mc, x = predictor(Curvature().inner, plan=plan, grad=True), inputs[0]
    curvature = in_twice(mc, x)
    torch.testing.assert_close(in_twice(mc, x), curvature)
    assert torch.equal(mc.sample(x), predictor(Curvature().inner, plan=plan, grad=True).sample(x))


def test_masks_are_held_where_they_are_whatever_the_default_device() -> None:
    with torch.device("meta"):
        held = HeldMasks()
        masks = held.get("fc", lambda: torch.ones(3, device="cpu"))
    assert masks.tolist() == [1, 1, 1]


def test_small_masks_are_charged_what_holding_them_takes() -> None:
    held = HeldMasks(limit=100 * (OBJECT + 64))
    for number in range(200):
        held.get(number, lambda: torch.ones(1, dtype=torch.bool))
    assert len(held._masks) == 100


@pytest.mark.slow
def test_held_masks_of_a_large_site_stay_below_the_limit() -> None:
    mc = predictor(nn.Sequential(nn.Dropout(), nn.Linear(200_000, 1)), num_samples=200)
    mc.sample(torch.randn(2, 200_000))
    assert sum(mask.nbytes for mask in mc._held._masks.values()) <= 16 * 2**20
