import os

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.cli import recorded
from mcdrop.cli.recorded import Recorded
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, from_draws


@pytest.fixture
def found():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    prediction = mcdrop.predict(model, x, likelihood=Categorical(), num_samples=10, seed=0)
    scaled = mcdrop.predict(mcdrop.Ensemble([model]), x, likelihood=Categorical())
    return Recorded(prediction, scaled, mcdrop.audit(model, x), {"model": "a:b", "inputs": ["x"], "only": None})


def test_everything_comes_back(found, tmp_path):
    recorded.save(tmp_path / "file.npz", found)
    back = recorded.open_file(tmp_path / "file.npz")
    assert torch.equal(back.prediction.probs, found.prediction.probs)
    assert torch.equal(back.weight_scaled.probs, found.weight_scaled.probs)
    assert back.audit == found.audit
    assert str(back.audit) == str(found.audit)
    assert back.run == found.run
    assert os.listdir(tmp_path) == ["file.npz"]


def test_the_file_is_a_prediction_with_the_means_of_blocks(found, tmp_path):
    recorded.save(tmp_path / "file.npz", found)
    loaded = mcdrop.load(tmp_path / "file.npz")
    assert type(loaded) is type(found.prediction)
    assert torch.equal(loaded.moments["probs"].group_means, found.prediction.moments["probs"].group_means)
    assert len(loaded.moments["probs"].group_means) == 10


def test_the_file_of_a_prediction_alone_has_nothing_beside_it(found, tmp_path):
    found.prediction.save(tmp_path / "file")
    back = recorded.open_file(tmp_path / "file")
    assert (back.weight_scaled, back.audit, back.run) == (None, None, None)


def test_equal_predictions_make_equal_files(found, tmp_path):
    for name in ("one", "two"):
        recorded.save(tmp_path / name, found)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_target_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    recorded.check_destination(tmp_path / "new.npz")
    with pytest.raises(InputError, match="is a folder; expected the name of a file to write"):
        recorded.check_destination(tmp_path)
    with pytest.raises(InputError, match=r"There is no folder .*absent to write new\.npz to"):
        recorded.check_destination(tmp_path / "absent" / "new.npz")


def test_targets(project):
    np.savez("targets.npz", labels=np.array([0.0, 2.0]), column=np.array([[0], [2]]), events=[0.0, 1.0], half=[0.5, 1])
    classes = from_draws(torch.zeros(2, 2, 3), Categorical())
    for key in ("labels", "column"):
        labels = recorded.targets_of(classes, f"targets.npz:{key}")
        assert labels.dtype == torch.int64
        assert labels.tolist() == [0, 2]
    assert recorded.targets_of(classes, "targets.npz:half").dtype == torch.float64  # which the score refuses
    assert recorded.targets_of(from_draws(torch.zeros(2, 2), Binary()), "targets.npz:events").tolist() == [0, 1]
    numbers = from_draws(torch.zeros(2, 2, 1), Gaussian(1.0))
    assert recorded.targets_of(numbers, "targets.npz:half").tolist() == [0.5, 1]
    with pytest.raises(InputError, match=r"data\.npz:y holds 40 rows; the predictions are of 2"):
        recorded.targets_of(classes, "data.npz:y")
