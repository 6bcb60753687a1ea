import json

import pytest

from mcdrop.cli.demo.regression import drawn, measurements, networks, words


@pytest.fixture(scope="module")
def points():
    return networks.draw(0)


@pytest.fixture(scope="module")
def found(points):
    return measurements.measure(networks.train(points, epochs=20, seed=0), num_samples=10, seed=0)


@pytest.fixture(scope="module")
def record(points, found, tmp_path_factory):
    page = tmp_path_factory.mktemp("page") / "page.html"
    drawn.write(page, points, found, seed=0, epochs=20)
    return json.loads(page.with_suffix(".json").read_text())


def test_the_verdict_is_what_the_command_prints(record, found):
    assert [sentence["answer"] for sentence in record["verdict"]] == [
        words.say_whether_it_opens(found),
        words.say_whether_it_is_enough(found),
        words.say_what_networks_trained_apart_do(found),
    ]


def test_the_bands_are_the_intervals_of_both_predictions(record, found):
    pictures = {picture["name"]: picture for section in record["sections"] for picture in section["pictures"]}
    for name, band in (("forest_band", found.forest), ("members_band", found.members)):
        series = pictures[name]["series"]
        low, high = band.prediction.interval(0.95)
        assert series["x"] == pytest.approx(found.x[:, 0].tolist(), abs=1e-5)
        assert series["mean"] == pytest.approx(band.prediction.mean[:, 0].tolist(), rel=1e-4)
        assert series["2.5 %"] == pytest.approx(low[:, 0].tolist(), rel=1e-4, abs=1e-6)
        assert series["97.5 %"] == pytest.approx(high[:, 0].tolist(), rel=1e-4, abs=1e-6)
    first = pictures["forest_functions"]["series"]["first draw"]
    assert first == pytest.approx(found.forest.prediction.samples[0, :, 0].tolist(), rel=1e-4, abs=1e-6)


def test_the_table_holds_the_six_regions(record, found):
    (table,) = record["sections"][-1]["tables"]
    assert len(table["rows"]) == 6
    assert table["rows"][1] == [
        "MC dropout, T = 10",
        "in the gap",
        f"{found.forest.in_gap.std:.3f}",
        f"{100 * found.forest.in_gap.held.value:.0f} %",
    ]
