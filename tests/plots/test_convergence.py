import numpy as np
import pytest

from mcdrop.errors import InputError
from mcdrop.plots.convergence import value_against_draws

NAN = float("nan")


def _band(ax, place: int = 0) -> np.ndarray:
    return ax.collections[place].get_paths()[0].vertices


def test_values_and_band_are_drawn_in_the_order_of_the_draws(ax) -> None:
    assert value_against_draws([10, 1, 100], [0.5, 0.7, 0.4], [0.1, 0.2, 0.05], ax, name="NLL", unit="nats") is ax
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.7], [10, 0.5], [100, 0.4]])
    corners = {tuple(corner) for corner in _band(ax).round(9).tolist()}
    assert {(1, 0.3), (1, 1.1), (10, 0.3), (10, 0.7), (100, 0.3), (100, 0.5)} <= corners
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("draws, T", "NLL (nats)", "log")
    assert ax.get_legend_handles_labels()[1] == ["± 2 Monte Carlo errors"]


def test_where_the_error_is_not_known_there_is_no_band(ax) -> None:
    value_against_draws([1, 10, 100], [0.7, 0.5, 0.4], [NAN, 0.1, 0.05], ax, name="accuracy")
    assert _band(ax)[:, 0].min() == 10
    assert ax.get_lines()[0].get_ydata().tolist() == [0.7, 0.5, 0.4]
    assert ax.get_ylabel() == "accuracy"


def test_draws_are_ticked_as_whole_numbers(ax) -> None:
    value_against_draws([1, 100], [0.7, 0.5], [NAN, 0.1], ax, name="accuracy")
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    assert [text.get_text() for tick, text in ticks if low <= tick <= high] == ["1", "2", "5", "10", "20", "50", "100"]


def test_a_second_curve_is_told_apart(ax) -> None:
    for label in ("independent", "stratified"):
        value_against_draws([1, 10], [0.7, 0.5], [0.1, 0.1], ax, name="NLL", unit="nats", label=label)
    assert sorted(ax.get_legend_handles_labels()[1]) == ["independent", "stratified", "± 2 Monte Carlo errors"]
    assert len({line.get_color() for line in ax.get_lines()}) == 2


@pytest.mark.parametrize(
    ("draws", "values", "errors", "message"),
    [
        ([], [], [], "num_draws: no values"),
        ([1, 2], [0.1, NAN], [0.1, 0.1], "values: 1 of 2 values are NaN"),
        ([1, 2], [0.1, 0.2], [0.1], "2 num_draws, 2 values, 1 errors were given"),
        ([0, 2], [0.1, 0.2], [0.1, 0.1], "num_draws from 0 on were given; expected numbers above 0"),
        ([1, 2], [0.1, 0.2], [0.1, -0.1], "An error below 0"),
    ],
)
def test_what_does_not_fit_is_refused(draws, values, errors, message, ax) -> None:
    with pytest.raises(InputError, match=message):
        value_against_draws(draws, values, errors, ax, name="NLL")
