"""What is established before the first draws: on how many rows, and that it holds for all of them."""

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import RowAxisError
from mcdrop.sampling.known import Known
from mcdrop.sites import discover
from tests.networks import trained_looking

SEEN: list[int] = []


class Counting(nn.Module):
    """Notes the number of rows of each pass; `needs` is how many it must have at least."""

    def __init__(self, needs: int = 0) -> None:
        super().__init__()
        self.needs = needs
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        SEEN.append(len(x))
        if len(x) < self.needs:
            raise ValueError(f"{len(x)} rows")
        return self.net(x)


def sample(model: nn.Module, x: Tensor, **options) -> Tensor:
    SEEN.clear()
    return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=6, seed=0, **options).sample(x)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_few_rows_stand_for_all_of_them(x) -> None:
    model = trained_looking(Counting())
    draws = sample(model, x)
    assert sorted(SEEN) == [3, 3, 4, 50]  # the sites, their rows, vmap against the loop; and the draws
    torch.testing.assert_close(draws, sample(model, x, plan=mcdrop.Plan("loop")))


def test_a_model_that_needs_more_rows_gets_all(x) -> None:
    model = trained_looking(Counting(needs=20))
    draws = sample(model, x)
    assert sorted(SEEN) == [3, 3, 50, 50, 50, 51]
    torch.testing.assert_close(draws, sample(model, x, plan=mcdrop.Plan("loop")))


def test_rows_that_are_too_alike_are_looked_at_among_all(x) -> None:
    """Rows of equal tokens do not tell how these are folded into the rows; with the others it can be told."""
    x[:4] = 0.5

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.drop = nn.Linear(2, 5), nn.Dropout(0.4)

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.unflatten(1, (3, 2)).transpose(0, 1).flatten(0, 1)
            return self.drop(self.a(tokens).tanh()).unflatten(0, (3, -1)).sum(dim=(0, 2))

    model = trained_looking(Folded())
    with pytest.raises(RowAxisError, match="too alike"):
        discover(model, (x[:3],), {}, batch_dim=0)
    draws = sample(model, x)
    assert torch.equal(draws[:, :4], draws[:, :1].expand(-1, 4))  # equal rows under one mask
    torch.testing.assert_close(draws, sample(model, x, plan=mcdrop.Plan("loop")))


def test_what_is_wrong_is_said_of_the_whole_input(x) -> None:
    class Tied(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x - x.mean(dim=0), 0.5, self.training)

    with pytest.raises(RowAxisError, match="influence each other"):
        sample(Tied(), x)
    with pytest.raises(RuntimeError, match=r"50x6 and 5x3|cannot be multiplied \(50x6"):
        sample(nn.Sequential(nn.Dropout(), nn.Linear(5, 3)).double(), x)


def test_masks_of_their_own_are_checked_on_the_same_rows(x) -> None:
    model = trained_looking(Counting())
    draws = sample(model, x, shared_masks=False)
    assert sorted(SEEN) == [3, 50, 50]  # no rows to look for
    torch.testing.assert_close(draws, sample(model, x, shared_masks=False, plan=mcdrop.Plan("loop")))


def test_memory_is_reckoned_for_the_rows_at_hand(x) -> None:
    model = trained_looking(Counting())
    few = Known(discover(model, (x[:3],), {}, batch_dim=0), rows=3)
    whole = discover(model, (x,), {}, batch_dim=0)
    held = whole.masked.largest + whole.masked.total // 4
    plan = mcdrop.Plan(memory=int(2.5 * held))
    assert few.at_once(plan, 50) == plan.at_once(whole.masked) == 2
    sample(model, x, plan=plan)
    assert SEEN.count(50) == 3  # two of the six passes at once


class Longer(nn.Module):
    """Does more to eight rows than to fewer: `way` says what."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first, self.few, self.many, self.last = (
            nn.Linear(6, 12), nn.Dropout(0.1), nn.Dropout(0.5), nn.Linear(12, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h = self.few(self.first(x))
        if len(x) < 8:
            return self.last(h)
        if self.way == "another layer":
            h = self.many(h)
        if self.way == "by hand" and self.training:
            h = h * torch.bernoulli(torch.full_like(h, 0.5)) * 2
        if self.way == "functional":
            h = nn.functional.dropout(h, 0.5, self.training)
        return self.last(h)


@pytest.mark.parametrize("way", ["another layer", "by hand", "functional"])
@pytest.mark.parametrize("plan", [mcdrop.Plan(), mcdrop.Plan("loop")])
def test_what_only_many_rows_meet_is_found(way, plan, x) -> None:
    x = x[:12]
    model = trained_looking(Longer(way))
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=100, seed=0, plan=plan)
    _ = mc.sample(x[:2])  # what is established for a few rows is remembered, and does not hold for more
    for mine in (mc, mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=100, seed=0, plan=plan)):
        draws = mine.sample(x)
        h = model.first(x)
        drop = (1 / (0.9 * 0.5) - 1) * h.square()  # the variance of h under both masks
        expected = drop @ model.last.weight.square().T
        ratio = draws.var(dim=0) / expected
        assert (ratio.mean() - 1).abs() < 0.3  # 0.09 without the second
        assert torch.equal(draws[:, 0], mine.sample(x[[0] * 9])[:, 0])  # one function, whatever the other rows


class Turned(nn.Module):
    """The mask lies with its rows on another axis for eight rows and more."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(6, 12), nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(self.drop(h) if len(x) < 8 else self.drop(h.T).T)


def test_rows_that_lie_elsewhere_for_many_rows_are_found() -> None:
    model, x = trained_looking(Turned()), torch.ones(20, 6, dtype=torch.float64)
    x[0] = 2.0
    draws = sample(model, x)
    assert torch.equal(draws[:, 1:], draws[:, 1:2].expand(-1, 19, -1))  # equal rows under one mask
    bare = draws.diff(dim=0)
    assert not torch.allclose(bare[..., 0] * bare[:1, :1, 1], bare[..., 1] * bare[:1, :1, 0])  # units of their own


class Packed(nn.Module):
    """Dropout on packed sequences: step by step, the rows that are long enough."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(2, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        packed = packed._replace(data=self.last(self.drop(packed.data)))
        return nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0].sum(dim=1)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("lengths", [[4, 4, 4, 2, 3, 1, 4, 4], [4, 4, 4, 2, 2, 2, 2, 4]])
def test_rows_are_not_told_by_a_few_of_equal_length(lengths) -> None:
    model = trained_looking(Packed())
    x = torch.randn(8, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RowAxisError, match="cannot be told"):
        mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=6, seed=0).sample(x, torch.tensor(lengths))


class Fused(nn.Module):
    """A forward of its own, whose sums round in another order when draws are mapped."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(6, 300), nn.Dropout(), nn.Linear(300, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x).relu()))


@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(6, 300), nn.Dropout(), nn.Linear(300, 1)), Fused()])
def test_an_output_that_is_read_as_float64_is_held_to_the_precision_it_was_computed_in(model, x) -> None:
    model, rows = trained_looking(model).float(), x.float()
    as_given, as_float64 = (
        mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0, output=output)
        for output in (None, lambda output: 2.5 * output.double() + 1)
    )
    expected, draws = as_given.sample(rows), as_float64.sample(rows)
    assert as_float64(rows).provenance.execution == as_given(rows).provenance.execution
    torch.testing.assert_close(draws, 2.5 * expected.double() + 1, rtol=1e-6, atol=0)
