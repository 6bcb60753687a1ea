import pytest

from examples.experiments.page import fill


def test_filling_again_changes_nothing_else() -> None:
    page = "before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n"
    once = fill(page, {"speed": r"| new \1 |"})
    assert once == "before\n<!-- speed -->\n\n| new \\1 |\n\n<!-- /speed -->\nafter\n"
    assert fill(once, {"speed": r"| new \1 |"}) == once


def test_a_missing_marker_is_named() -> None:
    with pytest.raises(ValueError, match="<!-- speed --> stands 0 times"):
        fill("<!-- speed -->\n", {"speed": "table"})
