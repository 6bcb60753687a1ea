import json
import math

import pytest

from mcdrop.calibration import Score
from mcdrop.report.record import Number, Picture, Section, Table, finite


def test_what_json_cannot_hold_is_null_and_said_in_words():
    number = Number.of_score(Score(math.inf, None, None), name="loss", label="Loss", of="it", source="f")
    written = number.to_dict()
    assert (written["value"], written["text"]) == (None, "infinite")
    table = Table("caption", ("a", "b"), ((math.nan, "word"), (None, 3)), "f")
    assert table.to_dict()["rows"] == [[None, "word"], [None, 3]]
    picture = Picture("p", print, "caption", "words", "f", {"x": (1.0, math.nan)})
    assert picture.to_dict()["series"] == {"x": [1.0, None]}
    json.dumps([written, table.to_dict(), picture.to_dict()], allow_nan=False)


def test_a_long_series_is_listed_in_part_with_its_ends():
    picture = Picture("p", print, "caption", "words", "f", {"x": tuple(map(float, range(100))), "y": (0.5,) * 100})
    assert len(picture.listed) == 25
    assert picture.listed[0] == (0.0, 0.5)
    assert picture.listed[-1] == (99.0, 0.5)


def test_a_number_is_found_by_name_if_it_has_a_value():
    numbers = (Number("a", "A", "it", 1.0, "f"), Number("b", "B", "it", math.nan, "f", problem="why"))
    section = Section("s", "S", (), numbers=numbers)
    assert section.number("a") is numbers[0]
    assert section.number("b") is None
    assert section.number("c") is None


@pytest.mark.parametrize(("given", "kept"), [(1.5, 1.5), (math.nan, None), (-math.inf, None), (None, None)])
def test_only_finite_numbers_are_written(given, kept):
    assert finite(given) == kept
