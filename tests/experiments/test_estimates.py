import math

import pytest

from examples.experiments.estimates import mean_and_error, plus_minus, with_error


def test_the_standard_error_has_divisor_n_minus_1_and_of_one_value_is_not_known() -> None:
    assert mean_and_error([1.0, 2.0, 3.0, 6.0]) == pytest.approx((3.0, math.sqrt(14 / 3 / 4)))
    mean, error = mean_and_error([4.0])
    assert mean == 4.0
    assert math.isnan(error)


def test_a_single_value_is_shown_without_an_error() -> None:
    assert with_error([1.0, 3.0]) == "2.000 ± 1.000"
    assert with_error([4.0]) == "4.000"


def test_figures_have_two_digits_of_their_error() -> None:
    assert plus_minus(2.97351, 0.1949) == "2.97 ± 0.19"
    assert plus_minus(0.0020394, 0.000124, sign="+") == "+0.00204 ± 0.00012"
    assert plus_minus(12.3456, 3.3) == "12.35 ± 3.30"
    assert plus_minus(1.0, 0.0) == "1.00 ± 0.00"
