"""Labels to an error, differences from random acquisition and their errors, tables and pictures: by hand."""

import base64
import math
import zlib

import numpy as np
import pytest

from examples.experiments import active_learning_page as page


def part(error: list[float], misread: str = "", *, first: int = 0) -> dict:
    pixels = bytes([first]) * (10 * 28 * 28)
    return {
        "labels": [20, 30, 40, 50][: len(error)],
        "error": error,
        "digits": "00112233445566778899" + "3141592653" * 3,
        "first": base64.b64encode(zlib.compress(pixels)).decode(),
        "test": 10,
        "misread": misread,
    }


@pytest.fixture
def numbers() -> dict:
    """Two seeds, ten test rows."""
    return {
        "BALD, seed 0": part([0.5, 0.14, 0.1, 0.1], "3"),
        "random, seed 0": part([0.5, 0.2, 0.2, 0.1], "4"),
        "BALD, seed 1": part([0.3, 0.1, 0.2, 0.0]),
        "random, seed 1": part([0.3, 0.3, 0.2, 0.1], "4"),
    }


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "---" not in line]


def test_the_first_count_at_or_below_the_target_counts_and_never_is_infinite() -> None:
    assert page.labels_to([20, 30, 40], [0.2, 0.1, 0.3], 0.1) == 30
    assert page.labels_to([20, 30, 40], [0.2, 0.1, 0.3], 0.2) == 20
    assert page.labels_to([20, 30, 40], [0.2, 0.1, 0.3], 0.05) == math.inf


def test_the_difference_in_the_end_has_both_errors(numbers) -> None:
    # rows 3 and 4 differ, by +1 (seed 0) and -1, -1: averaged over seeds +.5 and -1; over rows 0 and -.1
    over_rows = np.array([0.5, -1.0] + [0.0] * 8)
    expected = math.sqrt(over_rows.var(ddof=1) / 10 + 0.05**2)
    assert page.difference_in_the_end(numbers, "BALD") == pytest.approx((-0.05, expected))


def test_the_difference_on_the_way_is_paired_over_seeds(numbers) -> None:
    seeds = [np.mean([0, -0.06, -0.1, 0]), np.mean([0, -0.2, 0, -0.1])]
    assert page.difference_on_the_way(numbers, "BALD") == pytest.approx((np.mean(seeds), abs(seeds[0] - seeds[1]) / 2))


def test_labels_are_compared_where_both_got_there(numbers) -> None:
    assert page.difference_in_labels(numbers, "BALD", 0.1) == pytest.approx((-15.0, 5.0))
    assert np.isnan(page.difference_in_labels(numbers, "BALD", 0.05)).all()


def test_the_table_of_labels_tells_how_many_seeds_got_there(numbers) -> None:
    bald, random = rows(page.tables(numbers)["labels"])[1:]
    assert bald == ["BALD", "30 ± 0", "200, 160", "35 ± 5", "320, 300", "1 of 2 by 50", "500, 560"]
    assert random == ["random", "50 ± 0", "", "50 ± 0", "", "> 50", ""]


def test_the_table_of_errors_holds_the_counts_that_were_measured(numbers) -> None:
    head, bald, random = rows(page.tables(numbers)["errors"])
    assert head == ["acquisition", "50 labels", "theirs"]
    assert bald == ["BALD", "5.0 ± 5.0", "35.7, 35.9"]
    assert random == ["random", "10.0 ± 0.0", ""]


def test_the_table_of_differences_has_signs_and_leaves_out_what_was_not_reached(numbers) -> None:
    assert rows(page.tables(numbers)["differences"])[1:] == [["BALD", "-15 ± 5", "-5.00 ± 12.69", "-5.75 ± 1.75"]]
    numbers["random, seed 1"]["error"] = [0.3, 0.3, 0.2, 0.2]
    assert rows(page.tables(numbers)["differences"])[1][1] == ""


def test_one_seed_has_no_errors_over_seeds(numbers) -> None:
    one = {name: part for name, part in numbers.items() if name.endswith("seed 0")}
    tables = page.tables(one)
    assert rows(tables["labels"])[1][1:4] == ["30", "200, 160", "40"]
    assert rows(tables["differences"])[1] == ["BALD", "-10", "+0.00", "-4.00"]


def test_the_first_images_are_the_stored_ones_dark_on_light_with_their_classes(numbers) -> None:
    numbers["BALD, seed 0"]["first"] = part([0.1], first=255)["first"]
    axes = page.pictures(numbers)["first"][1].axes
    assert [ax.get_xlabel() for ax in axes] == list("3141592653") * 2
    assert [axes[0].get_images()[0].get_array().max(), axes[10].get_images()[0].get_array().min()] == [0, 1]


def test_the_curves_are_means_over_seeds_in_percent(numbers) -> None:
    lines = {line.get_label(): line for line in page.pictures(numbers)["curves"][1].axes[0].get_lines()}
    assert lines["BALD"].get_ydata() == pytest.approx([40, 12, 15, 5])
    assert list(lines["random"].get_xdata()) == [20, 30, 40, 50]
