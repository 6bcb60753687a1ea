import math

import pytest

from mcdrop.report.wording import drawable, number_text, percent, plain, with_errors


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0.97592, 0.00656, 0.0012, "share"), ("97.59 %", "0.66", "0.12")),
        ((-0.02, 0.004, None, "share difference"), ("\u22122.00 points", "0.40", "")),
        ((1234.5, 67.0, None, "m"), ("1234 m", "67", "")),
        ((0.359474, 0.00002, 0.0004, "m"), ("0.3595 m", "0.00002", "0.0004")),  # no more digits than are worth it
        ((1.0, 0.0, None, "share"), ("100 %", "0", "")),
        ((0.57675, 1e-17, None, ""), ("0.577", "0.000", "")),  # an error of rounding
        ((1.5, math.nan, 0.1, ""), ("1.50", "", "0.10")),
        ((-1e-9, 0.01, None, ""), ("0.000", "0.010", "")),  # no minus before zeros
        ((math.nan, None, None, "m"), ("\u2013", "", "")),
        ((math.inf, None, 0.1, "nats"), ("infinite", "", "")),
        ((-math.inf, None, None, ""), ("minus infinite", "", "")),
        ((3.515, None, None, "share"), ("352 %", "", "")),
    ],
)
def test_a_number_has_the_digits_that_its_errors_leave(given, said):
    assert number_text(*given) == said


def test_both_errors_of_a_sentence_add_in_squares():
    assert with_errors(10.0, 0.3, 0.4, "m") == "10.00 m ± 0.50"
    assert with_errors(10.0, None, 0.4, "m") == "10.00 m ± 0.40"


def test_shares_are_said_in_per_cent():
    assert (percent(0.05), percent(0.12345, 1)) == ("5 %", "12.3 %")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain words", "plain words"),
        ("a\x00b\x1bc", "a\ufffdb\ufffdc"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("turn \u202e me \u2066", "turn \ufffd me \ufffd"),
        ("two\nlines\tand   gaps", "two lines and gaps"),
        ("क\u200dष 😀", "क\u200dष 😀"),  # joiners belong to words
        (12.5, "12.5"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_foreign_words_become_one_line_that_can_be_shown(given, shown):
    assert plain(given) == shown


def test_words_in_pictures_are_no_formulas_and_no_hidden_labels():
    assert drawable("_a$b$") == " _a\\$b\\$"
    assert len(drawable("x" * 100)) == 40
    assert drawable("a long name", most=6) == "a lon…"
