import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import NonFiniteError
from mcdrop.training import Objective
from mcdrop.training.rows import Loader
from mcdrop.training.validation import Validation

GAUSSIAN = mcdrop.Gaussian(2.0)


def test_batches_of_any_size_give_the_mean_over_rows() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    x, y = torch.randn(10, 3), torch.randn(10)
    whole, parts = ([(x, y)], [(x[:7], y[:7]), (x[7:], y[7:])])
    results = [Validation(model, Objective(GAUSSIAN), Loader(r, None, model), 6, 0).losses() for r in (whole, parts)]
    assert results[0] == pytest.approx(results[1], rel=1e-5)
    assert results[0][0] != results[0][1]


def test_nan_is_refused() -> None:
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, torch.nan)
    rows = Loader([(torch.ones(2, 3), torch.ones(2))], None, model)
    with pytest.raises(NonFiniteError, match="The loss on the validation data is NaN"):
        Validation(model, Objective(GAUSSIAN), rows, None, 0).losses()
