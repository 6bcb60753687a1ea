import json
from pathlib import Path

import pytest

from examples.experiments.page import fill
from tests.benchmarks import passes
from tests.benchmarks.machine import Prices
from tests.benchmarks.memory import Growth, Held
from tests.benchmarks.passes import Measured
from tests.benchmarks.precision import AT, NAIVE, Point, Precision
from tests.benchmarks.scaling import SWEEPS, Cost, sizes
from tests.benchmarks.speed import Race, Timing

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@pytest.fixture
def measured() -> Measured:
    """Something in every part."""
    ours, other = Timing("mcdrop", [0.01], 0.5, "right"), Timing("naive loop", [0.1], 0.5, "right")
    costs = {sweep: [Cost(size, 1.0, 0.1, 0.01, 0.001, "chain") for size in sizes(sweep)] for sweep in SWEEPS}
    curves = {who: [Point(AT, [0.1], 0.01), Point(200, [0.2], 0.005)] for who in (NAIVE, "Independent()")}
    return Measured(
        "a machine", 1, Prices(1e-11, 1e-10), [Race("work", 100, 2.0, ours, [other])],
        [Precision("problem", 7, 20.0, curves)], [Growth("mcdrop", "work", Held(1, 2), Held(1, 3))], costs,
    )  # fmt: skip


def test_the_page_has_a_place_for_every_table(measured) -> None:
    filled = fill(PAGE.read_text(), measured.tables())
    for table in measured.tables().values():
        assert filled.count(table) == 1


def test_tables_pictures_and_figures_are_stored(measured, tmp_path) -> None:
    (tmp_path / "benchmarks.md").write_text(PAGE.read_text())
    passes.store(measured, tmp_path / "benchmarks")
    page = (tmp_path / "benchmarks.md").read_text()
    stored = json.loads((tmp_path / "benchmarks" / "passes.json").read_text())
    assert stored["speed"][0]["ratios"] == [10.0]
    assert stored["memory"][0]["ratio"] == 1.5
    assert stored["precision"][0]["rows"] == 7
    assert len(stored["scaling"]["depth"]) == len(SWEEPS["depth"])
    for name in measured.pictures():
        assert (tmp_path / "benchmarks" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert page.count(f"](benchmarks/{name}.png)") == 1
    assert page.count("| 2x | 10.0 (10.0, 10.0) | yes |") == 1


def test_what_was_not_measured_has_no_table(measured) -> None:
    assert set(Measured("a machine", 1, Prices(1.0, 1.0), growths=measured.growths).tables()) == {"memory"}
