import pytest

from tests.benchmarks import scaling
from tests.benchmarks.machine import Prices
from tests.benchmarks.scaling import Size
from tests.benchmarks.speed_work import mlp


def test_a_sweep_changes_one_size() -> None:
    assert next(scaling.sizes("rows")) == Size(rows=1)
    assert [size.depth for size in scaling.sizes("depth")] == [1, 2, 4, 8]


def test_bytes_by_hand() -> None:
    size = Size(passes=2, rows=3, width=8, depth=1)
    weights = 784 * 8 + 8 + 8 * 10 + 10
    assert scaling.bytes_at_least(mlp(8, 0.5, depth=1), size) == 4 * (weights + 3 * 784 + 2 * 3 * 10) + 2 * 8 // 8


def test_the_limit_is_the_arithmetic_left(monkeypatch) -> None:
    """Whole draws through the hidden layer of 8 units, and the first layer once."""
    monkeypatch.setattr("tests.benchmarks.speed.AT_LEAST", 1e-4)
    size = Size(passes=4, rows=2, width=8, depth=1)
    found = scaling.cost(size, Prices(multiply_add=1.0, byte=1.0), rounds=1)
    assert found.arithmetic == 2 * (784 * 8 + 4 * 8 * 10)
    assert found.traffic == scaling.bytes_at_least(mlp(8, 0.5, depth=1), size)
    assert found.execution == "chain: all draws at once"
    assert found.naive > 0 < found.ours


@pytest.mark.parametrize("sweep", scaling.SWEEPS)
def test_every_sweep_passes_through_the_middle(sweep) -> None:
    assert Size() in scaling.sizes(sweep)
