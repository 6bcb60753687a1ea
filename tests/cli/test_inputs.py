import numpy as np
import pytest
import torch
from torch import nn

from mcdrop.cli import inputs
from mcdrop.errors import InputError


def test_inputs_in_order_and_by_name(project):
    args, kwargs = inputs.load(["data.npz:x", "data.csv:a"], nn.Linear(4, 3))
    assert [tuple(x.shape) for x in args] == [(40, 4), (40, 1)]
    assert kwargs == {}
    args, kwargs = inputs.load(["b=data.npz:x", "a=data.npz:x"], nn.Linear(4, 3))
    assert args == ()
    assert list(kwargs) == ["b", "a"]
    assert inputs.num_rows((args, kwargs)) == 40


def test_numbers_take_the_precision_of_the_model_and_whole_ones_stay(project):
    np.savez("ids.npz", ids=np.arange(40), seen=np.ones(40, dtype=bool))
    sources = ["data.npz:x", "ids.npz:ids", "ids.npz:seen"]
    for dtype in (torch.float32, torch.float64):
        (x, ids, seen), _ = inputs.load(sources, nn.Linear(4, 3).to(dtype))
        assert (x.dtype, ids.dtype, seen.dtype) == (dtype, torch.int64, torch.bool)
    assert inputs.load(["data.npz:x"], nn.Identity())[0][0].dtype == torch.get_default_dtype()


def test_rows_are_cut_from_all_inputs():
    args, kwargs = inputs.rows_of(((torch.arange(9),), {"a": torch.arange(9) + 10}), 3, 5)
    assert args[0].tolist() == [3, 4]
    assert kwargs["a"].tolist() == [13, 14]


def test_a_file_with_an_equals_sign_in_its_name(project):
    np.savez("x=1.npz", x=np.eye(2))
    args, kwargs = inputs.load(["x=1.npz"], nn.Identity())
    assert args[0].tolist() == [[1, 0], [0, 1]]
    assert not kwargs


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["data.npz:x", "short.npz"], "different numbers of rows were given: 40 in data.npz:x, 2 in short.npz"),
        (["data.npz:x", "b=data.npz:x"], "with and without names were given; expected NAME=FILE for all of them"),
        (["a=absent.npz"], "There is no file absent.npz"),
    ],
)
def test_inputs_that_do_not_fit_each_other(project, sources, message):
    np.savez("short.npz", x=np.eye(2))
    with pytest.raises(InputError, match=message):
        inputs.load(sources, nn.Linear(4, 3))
