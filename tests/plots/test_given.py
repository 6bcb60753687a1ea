import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.plots.given import check_same_length, finite, real


@pytest.mark.parametrize("values", [[1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.int8), torch.tensor([1.0, 2.0])])
def test_numbers_of_any_kind_become_float64(values) -> None:
    array = finite(values, "x")
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


def test_bfloat16_and_tensors_with_gradient_are_read() -> None:
    assert finite(torch.tensor([0.5], dtype=torch.bfloat16), "x").tolist() == [0.5]
    assert finite(torch.tensor([0.5], requires_grad=True), "x").tolist() == [0.5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("nan"), float("inf")], "x: 2 of 3 values are NaN or infinite; leave them out before drawing"),
        ([], "x: no values were given, so that there is nothing to draw"),
        ([[1.0], [2.0]], r"x: an array of shape \(2, 1\) was given; expected 1 axis"),
        ([[1.0], [2.0, 3.0]], "x: rows of different lengths were given; expected an array of numbers"),
        (["a"], "x: values of type <U1 were given; expected real numbers"),
        (np.array([1j]), "x: values of type complex128 were given; expected real numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(values, message, without_type_checks) -> None:
    with pytest.raises(InputError, match=message):
        finite(values, "x")


def test_errors_may_be_unknown_and_values_not() -> None:
    assert np.isnan(real([float("nan")], "errors")).all()
    with pytest.raises(InputError, match="errors: no values"):
        real([], "errors")


def test_lengths_are_told_by_name() -> None:
    check_same_length(x=[1, 2], y=np.zeros((2, 5)))
    with pytest.raises(InputError, match="2 x, 3 y were given; expected as many of each"):
        check_same_length(x=[1, 2], y=np.zeros(3))
