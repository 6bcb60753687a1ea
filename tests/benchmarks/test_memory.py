import sys
from pathlib import Path

import pytest

from tests.benchmarks import memory
from tests.benchmarks.memory import Growth, Held
from tests.benchmarks.speed_work import WORK


def test_ratios_of_peaks_with_and_without_what_stood_before() -> None:
    found = Growth("mcdrop", "work", few=Held(100, 120), many=Held(100, 130))
    assert found.ratio == pytest.approx(130 / 120)
    assert found.ratio_above == 1.5
    assert found.holds
    assert not Growth("mcdrop", "work", few=Held(100, 120), many=Held(100, 133)).holds


@pytest.mark.parametrize("who", memory.WAYS)
def test_all_ways_average_the_same_probabilities(who) -> None:
    line = WORK[1]
    model, x = line.model(), line.x()[:4]
    found = memory.WAYS[who](model, x, 400)()
    expected = model.eval()(x).softmax(dim=-1)
    assert found.shape == (4, 10)
    assert (found - expected).abs().max() < 0.02


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason=f"{sys.platform} keeps no such peak")
def test_the_repeated_batch_is_seen_to_grow() -> None:
    """1000 x 64 rows of 784 float32 numbers are 191 MiB, 10 x 64 are 2."""
    found = memory.growth("repeated batch", WORK[1].name, threads=1)
    assert found.many.peak - found.few.peak > 180 * 2**20
