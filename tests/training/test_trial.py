from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError, NonFiniteError, NoSiteError, OutputError
from mcdrop.posterior import Prior
from mcdrop.training import Objective, fit, initialise

ADAM = partial(torch.optim.Adam, lr=1e-2)
GAUSSIAN = mcdrop.Gaussian(4.0)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))


def data(rows: int = 22) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    return x, x[:, 0].square()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


class Returns(nn.Module):
    """What it was given, plus 0 times a weight."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.output = output

    def forward(self, x):
        return self.output.expand(len(x), *self.output.shape) + self.weight


X, Y = data()
LABELS = torch.arange(22) % 3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": X}, InputError, r"float32 \(22, 3\) was given as data; expected a pair \(inputs, targets\)"),
        ({"data": 3}, InputError, "A int was given as data; expected a pair"),
        ({"data": (X, Y[:5])}, InputError, r"Inputs of \[22\] rows and 5 targets were given; expected as many"),
        ({"data": (X[:0], Y[:0])}, InputError, "0 rows were given; expected at least one"),
        ({"data": (X, None)}, InputError, "NoneType with no tensor.*expected inputs and targets as tensors or arrays"),
        ({"data": (X / 0, Y)}, InputError, "66 input values are NaN or infinite: leave those rows out"),
        ({"data": (X, Y / 0)}, InputError, "22 targets are NaN or infinite"),
        ({"data": (X, Y[:, None].expand(-1, 2))}, InputError, r"Targets of shape \(22, 2\) given, predictions need"),
        ({"data": (X, LABELS + 1), "objective": mcdrop.Categorical(), "model": nn.Linear(3, 3)}, InputError,
         "Targets from 1 to 3 given, labels of 3 classes go from 0 to 2"),
        ({"data": (X, LABELS.float()), "objective": mcdrop.Categorical(), "model": nn.Linear(3, 3)}, InputError,
         "Targets of dtype float32 given, class labels are integers"),
        ({"data": (X, LABELS), "objective": mcdrop.Binary()}, InputError, "Targets other than 0 and 1 given"),
        ({"data": (X, -LABELS), "objective": mcdrop.Poisson()}, InputError, "Negative or fractional targets given"),
        ({"data": [], "batch_size": None}, InputError, "The loader yields no batch"),
        ({"data": [(X, Y)]}, InputError, "batch_size=5 was given with a loader"),
        ({"data": iter([(X, Y)]), "batch_size": None}, InputError, "can be read only once, was given"),
        ({"data": [X], "batch_size": None}, InputError, "Batch 0 of the loader holds no target tensor"),
        ({"batch_size": None}, InputError, "batch_size=None was given with arrays; expected an integer >= 1"),
        ({"batch_size": 0}, InputError, "batch_size=0 was given; expected an integer >= 1"),
        ({"unpack": lambda batch: batch}, InputError, "unpack= was given with a pair of arrays"),
        ({"validation": (X / 0, Y)}, InputError, "66 input values are NaN"),
        ({"objective": mcdrop.HeteroscedasticGaussian()}, OutputError, "HeteroscedasticGaussian.* reads mean and"),
        ({"objective": mcdrop.Identity()}, InputError, "was given to train by"),
        ({"model": Returns(torch.tensor([torch.nan]))}, NonFiniteError, "20 outputs of 20 of 20 rows are NaN"),
        ({"epochs": 0}, InputError, "epochs=0 was given; expected an integer >= 1"),
        ({"seed": -1}, InputError, "seed=-1 was given; expected an integer >= 0"),
        ({"patience": 3}, InputError, "patience=3 was given without validation="),
        ({"num_samples": 3}, InputError, "num_samples=3 was given without validation="),
        ({"num_samples": 3, "validation": (X, Y), "model": nn.Linear(3, 1)}, NoSiteError, "no dropout"),
        ({"patience": 0, "validation": (X, Y)}, InputError, "patience=0 was given; expected an integer >= 1"),
        ({"model": len}, InputError, "builtin_function_or_method was given as the model"),
        ({"optimizer": torch.optim.SGD(nn.Linear(1, 1).parameters())}, InputError,
         r"optimizer=SGD was given; expected a function of the parameters.*functools.partial"),
        ({"optimizer": list}, InputError, "optimizer= made a list; expected a torch.optim.Optimizer"),
        ({"optimizer": torch.optim.LBFGS}, InputError, "LBFGS was given, which evaluates one step's loss many times"),
        ({"optimizer": torch.optim.AdamW, "objective": Objective(GAUSSIAN, Prior(1.0))}, InputError,
         "AdamW decays weights apart from the loss .*, which is the KL term of no prior. Use torch.optim.Adam"),
        ({"optimizer": partial(torch.optim.Adam, weight_decay=0.1), "objective": Objective(GAUSSIAN, Prior(1.0))},
         InputError, "Adam was given with a weight_decay, beside an objective whose prior decays the weights already"),
        ({"schedule": torch.optim.lr_scheduler.ReduceLROnPlateau}, InputError, "made a ReduceLROnPlateau; expected"),
        ({"schedule": 0.5}, InputError, "schedule=float was given; expected a function of the optimiser"),
        ({"checkpoint": "/nowhere/run"}, InputError, "checkpoint='/nowhere/run' was given; expected a file"),
        ({"data": [(X, Y)], "batch_size": None, "objective": Objective(GAUSSIAN, Prior(1.0))}, InputError,
         "A prior needs N, the number of training rows, which this loader does not tell. Use a DataLoader"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_changed(
    change: dict, error: type, message: str, tmp_path: Path, without_type_checks
) -> None:
    given = {
        "model": initialise(network, 0), "data": (X, Y), "objective": GAUSSIAN, "optimizer": ADAM, "epochs": 1,
        "batch_size": 5, "checkpoint": tmp_path / "run", **change,
    }  # fmt: skip
    model = given.pop("model")
    before = weights(model) if isinstance(model, nn.Module) else {}
    with pytest.raises(error, match=message):
        fit(model, given.pop("data"), given.pop("objective"), **given)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())
    assert list(tmp_path.iterdir()) == []


def test_targets_beyond_the_first_batch_are_checked_before_the_first_step() -> None:
    x, y = data(100)
    y[99] = torch.nan
    model = initialise(network, 0)
    with pytest.raises(InputError, match="1 targets are NaN or infinite"):
        fit(model, (x, y), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=5)
    untouched = initialise(network, 0).state_dict()
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in model.state_dict().items())


def test_an_error_of_the_network_tells_what_it_was_given() -> None:
    x, y = data()
    with pytest.raises(RuntimeError) as raised:
        fit(network(), (x.double(), y), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=5)
    assert "training data, before any step. Inputs: tuple with 0: float64 (20, 3); weights: ['torch.float32']" in str(
        raised.value.__notes__
    )
