import numpy as np
import pytest

from mcdrop.calibration import Score
from mcdrop.errors import InputError
from mcdrop.plots.calibrated import CALIBRATED, draw_diagonal, draw_shares, values_and_errors

SCORES = (Score(0.4, 0.03, 0.04), Score(0.8, 0.05, None), Score(0.9, None, None))


def test_bars_are_twice_the_total_error_and_none_where_nothing_is_known(ax) -> None:
    values, errors = values_and_errors(SCORES, "shares")
    np.testing.assert_allclose(values, [0.4, 0.8, 0.9])
    np.testing.assert_allclose(errors, [0.1, 0.1, np.nan])
    draw_shares((0.5, 0.7, 0.9), SCORES, ax, label=None)
    bars = np.array(ax.containers[0][2][0].get_segments()[:2])
    np.testing.assert_allclose(bars[..., 1], [[0.3, 0.5], [0.7, 0.9]])


def test_the_diagonal_is_drawn_once(ax) -> None:
    for _ in range(2):
        draw_diagonal(ax)
    (line,) = ax.get_lines()
    assert (line.get_xy1(), line.get_slope(), line.get_label()) == ((0, 0), 1, CALIBRATED)


def test_no_score_or_an_infinite_one_is_refused() -> None:
    with pytest.raises(InputError, match="shares: no values were given"):
        values_and_errors((), "shares")
    with pytest.raises(InputError, match="shares: 1 of 2 values are NaN or infinite"):
        values_and_errors((Score(0.1, None, None), Score(float("inf"), None, None)), "shares")
