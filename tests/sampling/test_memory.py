"""When memory runs out, fewer passes run at once, and nothing else changes."""

import warnings

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.sampling import drawing
from mcdrop.sampling.chained import Chained
from mcdrop.sampling.memory import is_out_of_memory


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)).eval()


def cramped(run, most: int, sizes: list[int]):
    """The run, which has memory for so many passes."""

    def run_cramped(self, start: int, stop: int, *args):
        if stop - start > most:
            raise torch.OutOfMemoryError("injected")
        sizes.append(stop - start)
        return run(self, start, stop, *args)

    return run_cramped


@pytest.mark.parametrize("execution", ["vectorised", "chain"])
def test_the_chunk_is_halved_and_the_work_goes_on(model, execution, monkeypatch) -> None:
    x = torch.randn(5, 4)
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Identity(), num_samples=40, seed=0,
        plan=mcdrop.Plan(execution=execution, on_error="raise"),
    )  # fmt: skip
    expected, sizes = mc.sample(x), []
    owner, name = (drawing, "run_vectorised") if execution == "vectorised" else (Chained, "run")
    monkeypatch.setattr(owner, name, cramped(getattr(owner, name), 6, sizes))
    with pytest.warns(UserWarning, match="Memory ran out with 40 passes at once") as caught:
        found = mc.sample(x)
    assert len(caught) == 1
    torch.testing.assert_close(found, expected)
    assert sizes == [5] * 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what was found is remembered
        torch.testing.assert_close(mc.sample(x), expected)


def test_fewer_rows_run_more_passes_again(model, monkeypatch) -> None:
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=40, seed=0)
    mc.sample(torch.randn(50, 4))
    run, sizes = Chained.run, []
    monkeypatch.setattr(Chained, "run", cramped(run, 6, sizes))
    with pytest.warns(UserWarning, match="Memory ran out"):
        mc.sample(torch.randn(50, 4))
    monkeypatch.setattr(Chained, "run", cramped(run, 40, sizes))
    sizes.clear()
    mc.sample(torch.randn(5, 4))  # 250 rows of passes were found to fit
    assert sizes == [40]


def test_what_dropout_makes_is_counted() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.head = nn.Dropout(0.2), nn.Linear(50_000, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.drop(x)) * 1.0

    mc = mcdrop.MCDropout(
        Wide(), likelihood=mcdrop.Identity(), num_samples=1000, seed=0, plan=mcdrop.Plan(memory=16 << 20)
    )
    assert mc.plan(torch.randn(1, 50_000)).chunk <= (16 << 20) // (50_000 * 4)


def test_a_single_pass_that_does_not_fit_is_an_error(model, monkeypatch) -> None:
    monkeypatch.setattr(Chained, "run", cramped(Chained.run, 0, []))
    monkeypatch.setattr(drawing, "run_loop", cramped(drawing.run_loop, 0, []))
    monkeypatch.setattr(drawing, "run_vectorised", cramped(drawing.run_vectorised, 0, []))
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=4, seed=0)
    with pytest.warns(UserWarning, match="Memory ran out"), pytest.raises(torch.OutOfMemoryError, match="injected"):
        mc.sample(torch.randn(5, 4))


def test_torchs_own_words_are_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**62, dtype=torch.int8)
    assert is_out_of_memory(raised.value)
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(2) @ torch.zeros(3)
    assert not is_out_of_memory(raised.value)
