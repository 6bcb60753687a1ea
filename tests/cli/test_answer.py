import json
import math

from mcdrop.cli.answer import as_json


def test_numbers_that_strict_json_cannot_hold_are_null():
    value = {"a": [1.5, math.nan, (math.inf, -math.inf)], 3: {"b": None, "c": True, "d": "x"}}
    assert json.loads(as_json(value)) == {"a": [1.5, None, [None, None]], "3": {"b": None, "c": True, "d": "x"}}
