from itertools import pairwise

import numpy as np
import pytest

from mcdrop.errors import InputError
from mcdrop.plots.comparison import differences, scores_side_by_side, with_error

NAMES = ["NLL (nats)", "error rate", "Brier score"]
FIRST, SECOND = [0.51, 0.104, 0.17], [0.39, 0.107, 0.17]
ERRORS = [0.046, 0.007, float("nan")], [0.03, 0.008, 0.0]


def _drawn(row) -> list[tuple[np.ndarray, np.ndarray]]:
    """Point and ends of the bar of each dot of a row."""
    return [(dot[0].get_xydata()[0], np.array(dot[2][0].get_segments())[0]) for dot in row.containers]


def test_each_row_holds_both_scores_with_bars_of_two_errors(ax) -> None:
    assert scores_side_by_side(NAMES, FIRST, SECOND, *ERRORS, ax, labels=("one pass", "MC dropout")) is ax
    assert [text.get_text() for text in ax.texts] == NAMES
    for place, row in enumerate(ax.child_axes):
        for (dot, bar), values, errors, y in zip(_drawn(row), (FIRST, SECOND), ERRORS, (1, 0), strict=True):
            np.testing.assert_allclose(dot, [values[place], y])
            if np.isfinite(errors[place]):
                np.testing.assert_allclose(bar[:, 0], values[place] + 2 * errors[place] * np.array([-1, 1]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one pass", "MC dropout"]


def test_scores_are_written_beside_their_dots(ax) -> None:
    scores_side_by_side(NAMES, FIRST, SECOND, *ERRORS, ax, labels=("one pass", "MC dropout"))
    written = [[text.get_text() for text in row.texts] for row in ax.child_axes]
    assert written == [["0.510 ± 0.046", "0.390 ± 0.030"], ["0.1040 ± 0.0070", "0.1070 ± 0.0080"], ["0.17", "0.17"]]
    assert [text.get_position()[1] for text in ax.child_axes[0].texts] == [1, 0]


def test_rows_stand_one_below_the_other_and_hold_their_dots(ax) -> None:
    scores_side_by_side(NAMES, FIRST, SECOND, *ERRORS, ax, labels=("one pass", "MC dropout"))
    ax.figure.canvas.draw()
    boxes = [row.get_window_extent() for row in ax.child_axes]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    for row, (one, other) in zip(ax.child_axes, zip(FIRST, SECOND, strict=True), strict=True):
        low, high = row.get_xlim()
        assert low < min(one, other) <= max(one, other) < high


def test_differences_stand_beside_a_line_at_0_in_the_middle(ax) -> None:
    assert differences(NAMES, [-0.12, 0.003, 0.0], [0.019, 0.0026, float("nan")], ax) is ax
    for row, value in zip(ax.child_axes, (-0.12, 0.003, 0.0), strict=True):
        assert row.get_lines()[0].get_xdata() == [0, 0]
        assert row.get_xlim()[0] == -row.get_xlim()[1]
        np.testing.assert_allclose(_drawn(row)[0][0], [value, 0.5])
    np.testing.assert_allclose(_drawn(ax.child_axes[0])[0][1][:, 0], [-0.158, -0.082])
    written = [row.texts[0].get_text() for row in ax.child_axes]
    assert written == ["\N{MINUS SIGN}0.120 ± 0.019", "0.0030 ± 0.0026", "0"]
    assert [tick.get_text() for tick in ax.child_axes[-1].get_xticklabels()] == ["no difference"]


def test_what_bars_and_numbers_mean_is_said(ax) -> None:
    differences(NAMES[:1], [-0.12], [0.019], ax)
    assert ax.get_xlabel() == "bars ± 2 errors, numbers ± 1; each row has its scale"
    differences(NAMES[:1], [-0.12], [0.019], ax, labels=("one pass", "MC dropout"))
    assert ax.get_xlabel().startswith("MC dropout less one pass\nbars")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.99996, 0.0998, "1.000 ± 0.100"), (1234.5, 120.0, "1234 ± 120"), (1e-6, 2e-7, "0.00000100 ± 0.00000020")],
)
def test_values_end_at_the_second_digit_of_their_error(value, error, text) -> None:
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("names", "values", "errors", "message"),
    [
        ([], [], [], "differences: no values"),
        (["a", "b"], [1.0], [0.1], "2 names, 1 differences, 1 errors of differences were given"),
        (["a"], [float("inf")], [0.1], "differences: 1 of 1 values are NaN or infinite"),
        (["a"], [1.0], [-0.1], "errors of differences: one below 0 was given"),
    ],
)
def test_what_does_not_fit_is_refused(names, values, errors, message, ax) -> None:
    with pytest.raises(InputError, match=message):
        differences(names, values, errors, ax)


def test_the_predictor_of_a_wrong_score_is_told(ax) -> None:
    with pytest.raises(InputError, match="second: 1 of 1 values are NaN"):
        scores_side_by_side(["a"], [1.0], [float("nan")], [0.1], [0.1], ax, labels=("one", "two"))
