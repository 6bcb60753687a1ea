from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.prediction import Identity, from_draws, load
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.storage import write
from tests.prediction.test_result import OUTPUTS, assert_equal, every, make


@every
@pytest.mark.parametrize("keep", [True, False])
def test_every_record_comes_back_bit_by_bit(tmp_path, likelihood, outputs, keep):
    prediction = make(likelihood, outputs, keep_samples=keep)
    prediction.save(tmp_path / "file")
    back = load(str(tmp_path / "file"))
    assert_equal(back, prediction)
    assert repr(back) == repr(prediction)
    for name, array in back.numpy().items():
        np.testing.assert_array_equal(array, prediction.numpy()[name])


def test_half_precision_comes_back(tmp_path):
    prediction = make(*next(iter(OUTPUTS.items()))).to(torch.bfloat16)
    prediction.save(tmp_path / "file")
    assert_equal(load(tmp_path / "file"), prediction)


def test_a_saved_part_and_a_loaded_prediction_work_like_any(tmp_path):
    prediction = make(*next(iter(OUTPUTS.items())))[[1, 4]]
    prediction.save(tmp_path / "file")
    assert_equal(load(tmp_path / "file")[1], prediction[1])


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


@dataclass
class Output:
    pair: Pair
    note: str


def test_classes_of_outputs_come_back_as_tuple_and_dict(tmp_path):
    draws = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    prediction = from_draws(Output(Pair(draws, 2 * draws), "kept"), Identity())
    prediction.save(tmp_path / "file")
    mean = load(tmp_path / "file").mean
    assert list(mean) == ["pair", "note"]
    assert mean["note"] == "kept"
    for back, saved in zip(mean["pair"], prediction.mean.pair, strict=True):
        assert torch.equal(back, saved)


def test_a_record_that_is_no_prediction(tmp_path):
    write(tmp_path / "file", Provenance(num_samples=3))
    with pytest.raises(InputError, match="holds a Provenance and not a prediction"):
        load(tmp_path / "file")
