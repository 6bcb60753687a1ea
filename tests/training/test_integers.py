import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.training.integers import integer


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_integers_of_all_kinds_become_pythons(value) -> None:
    found = integer("epochs", value, least=3)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", [2, -1, 3.0, np.float64(3), "3", None, np.array([3, 4]), torch.tensor([[3.0]])])
def test_what_is_none_or_too_small_is_refused(value, without_type_checks) -> None:
    with pytest.raises(InputError, match=r"epochs=.* was given; expected an integer >= 3"):
        integer("epochs", value, least=3)


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_truth_values_are_no_integers(value, without_type_checks) -> None:
    with pytest.raises(InputError, match=r"seed=.* was given; expected an integer >= 0"):
        integer("seed", value, least=0)
