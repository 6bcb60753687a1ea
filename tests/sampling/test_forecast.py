"""What the plan of the passes says, and that it does what it says."""

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import UnavailableError
from mcdrop.sampling.known import Known
from mcdrop.sampling.plan import NEAR
from mcdrop.sites import discover


class Own(nn.Module):
    """A forward of its own: no chain."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 4)).eval()


def forecast(model: nn.Module, rows: int = 5, **options) -> mcdrop.sampling.Forecast:
    return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0, **options).plan(
        torch.randn(rows, 6)
    )


@pytest.mark.parametrize(("model", "kind"), [(mlp(), "chain"), (Own(mlp()), "vectorised")])
def test_what_is_shared_is_counted_once(model, kind) -> None:
    found = forecast(model)
    assert found.execution.split(":")[0] == found.plan.execution == kind
    assert found.chunk == 20
    assert found.in_a_loop == 20 * 5 * (6 * 10 + 10 * 4)
    assert found.multiply_adds == 5 * 6 * 10 + 20 * 5 * 10 * 4  # by hand: the first layer once
    assert found.saved == found.in_a_loop / found.multiply_adds


def test_chunks_of_vectorised_passes_share_within_each() -> None:
    found = forecast(Own(mlp()), plan=mcdrop.Plan(chunk=8))  # 8, 8 and 4
    assert found.multiply_adds == 3 * 5 * 6 * 10 + 20 * 5 * 10 * 4


def test_where_memory_decides_chunks_are_equal() -> None:
    discovery = discover(Own(mlp()), (torch.randn(5, 6),), {}, batch_dim=0)
    plan = mcdrop.Plan(memory=8 * (discovery.masked.largest + discovery.masked.total // 4))
    assert plan.at_once(discovery.masked) == 8
    found = forecast(Own(mlp()), plan=plan)  # 7, 7 and 6
    assert found.chunk == 7
    assert found.multiply_adds == 3 * 5 * 6 * 10 + 20 * 5 * 10 * 4


class Head(nn.Module):
    """Large maps, and a mask behind them."""

    def __init__(self, *, p: float = 0.5) -> None:
        super().__init__()
        self.wide, self.drop, self.last = nn.Linear(6, 100_000), nn.Dropout(p), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(self.wide(x).unflatten(1, (10, -1)).mean(dim=2)))


@pytest.mark.parametrize("options", [{}, {"shared_masks": False}, {"sites": mcdrop.Sites(p=0.3)}], ids=str)
def test_what_lies_before_the_first_mask_makes_no_chunks(options) -> None:
    model = Head(p=0.0 if "sites" in options else 0.5)
    found = forecast(model, rows=20, **options)
    assert found.chunk == 20
    assert found.multiply_adds == 20 * 6 * 100_000 + 20 * 20 * 10 * 4


def test_what_is_run_again_for_each_chunk_makes_chunks_large() -> None:
    plan, rows = mcdrop.Plan(), 200
    chunks = []
    for model in (Head(), nn.Sequential(nn.Dropout(), nn.Linear(6, 100_000))):
        discovery = discover(model, (torch.randn(3, 6),), {}, batch_dim=0)
        masked = discovery.masked.for_rows(rows, 3)
        chunks.append(Known(discovery, rows=3).at_once(plan, rows))
        limits = [plan.at_once(masked, near=near) for near in (None, NEAR)]
        assert limits[0] > limits[1]
        assert chunks[-1] == limits[len(chunks) - 1]  # memory; the caches


def test_where_inputs_are_repeated_it_does() -> None:
    discovery = discover(Head(), (torch.randn(5, 6),), {}, batch_dim=0)
    known, plan = Known(discovery, rows=5), mcdrop.Plan()
    assert discovery.made.largest == 5 * 100_000 * 4 > 1000 * discovery.masked.largest
    assert known.at_once(plan, 5, repeated=True) == plan.at_once(discovery.made) == 3
    assert known.at_once(plan, 5) == plan.at_once(discovery.masked, near=None) > 1000


def test_thinned_draws_multiply_less() -> None:
    model = nn.Sequential(
        nn.Linear(6, 1024), nn.ReLU(), nn.Dropout(), nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(), nn.Linear(1024, 2)
    ).eval()
    found = forecast(model, rows=256)
    assert "thinned" in found.execution
    assert "leaving out" in found.why
    dense = 256 * (6 * 1024 + 20 * (1024 * 1024 + 1024 * 2))
    # half the rows of half the columns; the second draw, on which the count rests, keeps 512 +- 16 of each
    assert found.multiply_adds == pytest.approx(dense / 4, rel=4 * 2**0.5 * 16 / 512)


def test_a_loop_says_why() -> None:
    found = forecast(mlp(), plan=mcdrop.Plan(execution="loop"))
    assert (found.execution, found.chunk, found.saved) == ("loop: as the plan says", 1, 1.0)
    assert found.plan == mcdrop.Plan(execution="loop")


@pytest.mark.parametrize("model", [mlp(), Own(mlp())])
def test_the_plan_can_be_passed_back(model) -> None:
    x = torch.randn(5, 6)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0)
    again = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0, plan=mc.plan(x).plan)
    assert torch.equal(again.sample(x), mc.sample(x))
    assert again(x).provenance.execution == mc(x).provenance.execution


def test_the_text_names_how_many_how_why_and_cost() -> None:
    text = str(forecast(mlp()))
    assert text.startswith("20 passes, 20 at once\n  chain: all draws at once\n  why: small products")
    assert "cost: 4.3e+03 multiplications with additions, 1e+04 in a loop" in text


def test_an_ensemble_has_no_plan_of_its_own() -> None:
    with pytest.raises(UnavailableError, match="Ask one member"):
        forecast(mcdrop.Ensemble([mlp(), mlp()], dropout=True))
