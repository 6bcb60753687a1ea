import pytest
import torch
from torch import nn

from tests.benchmarks import speed
from tests.benchmarks.machine import Prices
from tests.benchmarks.passes_tables import everybody, floors
from tests.benchmarks.speed import Race, Timing, race
from tests.benchmarks.speed_contenders import OTHERS, Contender, naive_loop, repeated_batch
from tests.benchmarks.speed_work import WORK, Work

SMALL = Work(
    "small", lambda: nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 2)), (8, 4), 400, floor=2
)


def dropout_off(model, x, num_samples):
    return lambda: model.eval()(x).expand(num_samples, -1, -1)


def refusing(model, x, num_samples):
    raise ValueError("no dropout module in it")


@pytest.fixture(scope="module")
def small_race() -> Race:
    patch = pytest.MonkeyPatch()
    patch.setattr(speed, "AT_LEAST", 0.001)
    others = (
        Contender("naive loop", naive_loop),
        Contender("repeated batch", repeated_batch),
        Contender("off", dropout_off),
        Contender("refuses", refusing, refusal="no dropout module"),
        Contender("absent", naive_loop, package="no-such-package"),
    )
    with torch.no_grad():
        yield race(SMALL, 2, others=others)
    patch.undo()


def test_every_way_is_told_right_wrong_or_refusing(small_race) -> None:
    assert {timing.who: timing.verdict for timing in small_race.others} == {
        "naive loop": "right",
        "repeated batch": "right",
        "off": "wrong",
        "refuses": "refuses",
    }
    assert small_race.ours.verdict == "right"


def test_a_wrong_answer_is_shown_with_its_spread_and_is_no_rival(small_race) -> None:
    off = next(timing for timing in small_race.others if timing.who == "off")
    assert off.spread == 0
    assert off.median < small_race.rival.median
    assert small_race.rival.who in ("naive loop", "repeated batch")


def test_every_round_times_every_way_that_answers(small_race) -> None:
    counts = {timing.who: len(timing.seconds) for timing in (small_race.ours, *small_race.others, *small_race.beside)}
    assert counts == {
        "mcdrop": 2, "naive loop": 2, "repeated batch": 2, "off": 2, "refuses": 0, "mcdrop, masks drawn anew": 2,
        "mcdrop, every row its own masks": 2,
    }  # fmt: skip


def test_an_error_that_is_no_refusal_is_raised() -> None:
    with pytest.raises(ValueError, match="no dropout module"):
        speed.opened_or_refused(Contender("broken", refusing, refusal="other words"), SMALL)


def test_ratios_are_those_of_the_fastest_right_answer_round_by_round() -> None:
    found = Race(
        "work", 10, 3.0, Timing("mcdrop", [1.0, 2.0, 1.0], 1.0, "right"),
        [
            Timing("slow", [9.0, 9.0, 9.0], 1.0, "right"),
            Timing("fast", [4.0, 6.0, 5.0], 1.0, "right"),
            Timing("faster and wrong", [1.0, 1.0, 1.0], 0.0, "wrong"),
        ],
        multiply_adds=5 * 10**9, saved=3.0, execution="loop",
    )  # fmt: skip
    assert found.rival.who == "fast"
    assert found.ratios == [4.0, 3.0, 5.0]
    assert found.holds
    row = floors([found], Prices(multiply_add=1e-10, byte=0.0)).splitlines()[-1]
    assert "| 3x | 4.0 (3.0, 5.0) | yes | fast | 1000 | loop | 3.0x | 50% |" in row
    assert "| work | faster and wrong | 1000 (1000, 1000) | 0.0000 | wrong |" in everybody([found])


@pytest.mark.parametrize("contender", [way for way in OTHERS if way.package != "torch"], ids=lambda way: way.name)
def test_the_libraries_draw_from_the_same_law(contender) -> None:
    pytest.importorskip(contender.package.replace("-", "_"))
    draws = contender.make(SMALL.model(), SMALL.x(), 400)()
    reference = naive_loop(SMALL.model(), SMALL.x(), 400)()
    assert draws.shape == reference.shape == (400, 8, 2)
    assert speed.judged(speed.spread(draws), speed.spread(reference)) == "right"


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.name)
def test_all_work_has_dropout_that_the_two_ways_of_torch_agree_on(work) -> None:
    model, x = work.model(), work.x()[:2]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loop, batch = (way(model, x, 60)() for way in (naive_loop, repeated_batch))
    assert loop.shape == batch.shape
    assert speed.judged(speed.spread(batch), speed.spread(loop)) == "right"
