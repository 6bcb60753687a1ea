"""The frame of an experiment: parts are measured once, kept when interrupted, and stored as they were measured."""

import json
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from examples.experiments.experiment import Experiment, numbers_of
from examples.experiments.page import table


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def experiment(ran) -> Experiment:
    def part(name: str, quick: bool):
        def measure() -> dict[str, float]:
            if name in ran and name == "fails once":
                return {"value": 2.0}
            ran.append(name)
            if name == "fails once":
                raise KeyboardInterrupt
            return {"value": 0.5 if quick else 1.0}

        return measure

    def pictures(numbers):
        figure, ax = plt.subplots()
        ax.plot([part["value"] for part in numbers.values()])
        plt.close(figure)
        return {"curve": ("Values by part", figure)}

    return Experiment(
        "trial", "A trial.", lambda quick: {name: part(name, quick) for name in ("seed 0", "fails once")},
        lambda numbers: {"values": table(["part", "value"], [[n, str(v["value"])] for n, v in numbers.items()])},
        pictures,
    )  # fmt: skip


def test_an_interrupted_run_goes_on_where_it_stood(experiment, ran, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        experiment.measure(tmp_path, quick=False)
    measured = experiment.measure(tmp_path, quick=False)
    assert ran == ["seed 0", "fails once"]
    assert numbers_of(measured) == {"seed 0": {"value": 1.0}, "fails once": {"value": 2.0}}


def test_quick_and_full_parts_are_kept_apart(experiment, tmp_path) -> None:
    assert numbers_of(experiment.measure(tmp_path, quick=True, only="seed"))["seed 0"]["value"] == 0.5
    assert numbers_of(experiment.measure(tmp_path, quick=False, only="seed"))["seed 0"]["value"] == 1.0


def test_the_page_shows_what_is_stored_and_parts_are_gone(experiment, ran, tmp_path) -> None:
    ran.append("fails once")
    out, page = tmp_path / "experiments", tmp_path / "experiments.md"
    markers = ("values", "machine", "curve")
    page.write_text("\n".join(f"<!-- trial {name} -->\n<!-- /trial {name} -->" for name in markers))
    measured = experiment.measure(out, quick=False)
    experiment.store(measured, out)
    assert sorted(path.name for path in out.iterdir()) == ["trial.json", "trial_curve.png"]
    assert "| seed 0 | 1.0 |" in page.read_text()
    assert "![Values by part](experiments/trial_curve.png)" in page.read_text()
    assert "minutes of CPU" in page.read_text()
    assert json.loads((out / "trial.json").read_text()) == measured


def test_a_quick_run_leaves_the_page_alone(experiment, ran, tmp_path) -> None:
    ran.append("fails once")
    (tmp_path / "experiments.md").write_text("page")
    experiment.store(experiment.measure(tmp_path / "experiments", quick=True), tmp_path / "experiments")
    assert (tmp_path / "experiments.md").read_text() == "page"


def test_only_measures_and_stores_nothing(experiment, ran, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["trial", "--only", "seed", "--out", str(tmp_path)])
    experiment.main()
    assert ran == ["seed 0"]
    assert [path.name for path in tmp_path.iterdir()] == ["trial.full.seed_0.part"]


def test_a_part_that_does_not_exist_is_named(experiment, tmp_path) -> None:
    with pytest.raises(SystemExit, match="--only mars: no part of trial is called so; there are seed 0, fails once"):
        experiment.measure(tmp_path, quick=True, only="mars")


def test_a_table_and_a_picture_of_one_name_are_told_apart(experiment, ran, tmp_path) -> None:
    ran.append("fails once")
    measured = experiment.measure(tmp_path, quick=True)
    same = replace(experiment, tables=lambda numbers: {"curve": "table"})
    with pytest.raises(ValueError, match="curve: the name of a table and of a picture of trial"):
        same.texts(measured, "pictures")
