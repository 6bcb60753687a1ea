"""Arrays of other libraries as tensors."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from mcdrop.tree import from_arrays

Pair = namedtuple("Pair", ["first", "second"])


class Foreign:
    """An array of another library, whose values torch cannot read without NumPy."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype=None) -> np.ndarray:
        return self._values


def test_arrays_become_tensors_and_all_else_stays() -> None:
    tensor, text = torch.zeros(2), "text"
    tree = {"pair": Pair(np.ones(3), Foreign(np.arange(4))), "rest": [tensor, text, None, 1.5]}
    result = from_arrays(tree)
    assert torch.equal(result["pair"].first, torch.ones(3, dtype=torch.float64))
    assert torch.equal(result["pair"].second, torch.arange(4))
    assert result["rest"][0] is tensor
    assert result["rest"][1:] == [text, None, 1.5]


def test_a_tensor_has_memory_of_its_own() -> None:
    array = np.zeros(3)
    tensor = from_arrays(array)
    array[:] = 1
    assert tensor.sum() == 0
    array.flags.writeable = False  # as JAX's are
    assert from_arrays(array).add_(1).sum() == 6


def test_bfloat16_of_other_libraries_is_read_as_float32() -> None:
    types = pytest.importorskip("ml_dtypes")
    tensor = from_arrays(np.array([1.5, -2.0]).astype(types.bfloat16))
    assert torch.equal(tensor, torch.tensor([1.5, -2.0]))


def test_what_holds_no_numbers() -> None:
    with pytest.raises(TypeError):
        from_arrays(np.array(["a"]))
