import os
import subprocess
import sys
from pathlib import Path

import networks
import pytest
import torch
from baked import checked, difference, drawn, keeping, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError, NoSiteError
from mcdrop.posterior import Mask, MeanMask, bake
from mcdrop.sampling import SubNetwork

ROWS = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class ResidualCNN(nn.Module):
    """Convolutions, BatchNorm, channel dropout on a branch and behind the sum, pooling, a head with plain dropout."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.branch = nn.Sequential(
            nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout2d(p),
            nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6),
        )  # fmt: skip
        self.drop, self.pool, self.head = nn.Dropout2d(p), nn.MaxPool2d(2), nn.Linear(6 * 16, 4)
        self.plain = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.pool(nn.functional.silu(x + self.drop(self.branch(x))))
        return self.head(self.plain(x.flatten(1)))


def mlp(p: float) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(p), nn.Linear(6, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Dropout(p), nn.Linear(12, 9), nn.Dropout(p),
        nn.SiLU(), nn.Linear(9, 3),
    )  # fmt: skip


def cnn(p: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(p), nn.MaxPool2d(2),
        nn.Conv2d(8, 9, 3), nn.Dropout2d(p), nn.BatchNorm2d(9), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Dropout(p), nn.Linear(9, 10), nn.ReLU(), nn.Dropout(p), nn.Linear(10, 3),
    )  # fmt: skip


MODELS = {
    "MLP with input dropout": (mlp, ROWS),
    "CNN": (cnn, MAPS),
    "residual CNN": (ResidualCNN, MAPS),
    "one layer twice, functional dropout": (lambda p: networks.MLP(p=p), ROWS),
    "residual MLP": (lambda p: networks.Residual(width=6, p=p), ROWS),
}


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", MODELS)
def test_it_gives_the_output_of_the_masked_network(name: str, p: float) -> None:
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = prepared(make(p))
    before = sum(parameter.numel() for parameter in model.parameters())
    for t in range(4):
        small = checked(model, drawn(model, x, t), x)
        assert sum(parameter.numel() for parameter in small.parameters()) < before


@pytest.mark.parametrize("name", [name for name in MODELS if name != "residual MLP"])
def test_with_p_of_1_all_that_is_left_is_a_constant(name: str) -> None:
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = prepared(make(1.0))
    small = checked(model, drawn(model, x), x)
    assert difference(small(x), small(x[:1]).expand(len(x), -1)) == 0


def layers(width: int, p: float) -> st.SearchStrategy[list[nn.Module]]:
    kinds = st.sampled_from(
        [
            nn.ReLU,
            nn.SiLU,
            nn.Sigmoid,
            lambda: nn.Dropout(p),
            lambda: nn.BatchNorm1d(width),
            lambda: nn.Linear(width, width),
        ]
    )
    return st.lists(kinds.map(lambda make: make()), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), p=st.sampled_from([0.3, 0.8]), t=st.integers(0, 3))
def test_any_chain_of_layers(data: st.DataObject, p: float, t: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), *data.draw(layers(5, p)), nn.Dropout(p), *data.draw(layers(5, p)))
    model = prepared(model)
    checked(model, drawn(model, ROWS, t), ROWS)


def test_draws_of_a_predictor() -> None:
    torch.manual_seed(0)
    model = prepared(mlp(0.5))
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=3, seed=0)
    samples = mc.sample(ROWS)
    for t in range(3):
        assert difference(bake(model, mc.masks(t), ROWS)(ROWS), samples[t]) < 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, x = prepared(mlp(0.5)).to(dtype), ROWS.to(dtype)
    mask = drawn(model, x)
    small = bake(model, mask, x)
    assert {parameter.dtype for parameter in small.parameters()} == {dtype}
    assert difference(small(x), SubNetwork(model, mask)(x)) < 20 * torch.finfo(dtype).eps


def test_it_runs_where_mcdrop_cannot_be_imported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = prepared(ResidualCNN(0.5))
    small = checked(model, drawn(model, MAPS), MAPS)
    torch.save(small, tmp_path / "small.pt")
    torch.save((MAPS, small(MAPS).detach()), tmp_path / "known.pt")
    code = """
import sys, torch
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mcdrop":
            raise ImportError("mcdrop is not to be imported")
sys.meta_path.insert(0, Blocker())
small = torch.load("small.pt", weights_only=False)
x, expected = torch.load("known.pt")
assert (small(x) - expected).abs().max() < 1e-12
small(x).sum().backward()
assert not any(name.startswith("mcdrop") for name in sys.modules)
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr


def test_weights_can_be_stored_and_loaded() -> None:
    torch.manual_seed(0)
    model = prepared(cnn(0.5))
    small, other = (bake(model, drawn(model, MAPS), MAPS) for _ in range(2))
    nn.init.zeros_(other.get_submodule("15").weight)
    assert difference(other(MAPS), small(MAPS)) > 0.1
    other.load_state_dict(small.state_dict())
    assert torch.equal(other(MAPS), small(MAPS))


def test_it_can_be_exported_for_any_number_of_rows() -> None:
    torch.manual_seed(0)
    model = prepared(ResidualCNN(0.5))
    small = bake(model, drawn(model, MAPS), MAPS)
    exported = torch.export.export(small, (MAPS,), dynamic_shapes={"x": {0: torch.export.Dim("rows", min=2)}})
    more = torch.cat([MAPS, MAPS])[:7]
    torch.testing.assert_close(exported.module()(more), small(more), rtol=0, atol=1e-12)


def test_its_gradients_are_those_of_the_masked_network() -> None:
    """With W2' = s W2 for the kept columns, dL/dW2' = (dL/dW2) / s; rows that are kept have the same gradient."""
    torch.manual_seed(0)
    model = prepared(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.75), nn.Linear(8, 2)))
    kept = [0, 3, 4]
    mask = keeping(model, ROWS, kept)
    small = bake(model, mask, ROWS)
    small(ROWS).square().sum().backward()
    SubNetwork(model, mask, grad=True)(ROWS).square().sum().backward()
    torch.testing.assert_close(small.get_submodule("0").weight.grad, model[0].weight.grad[kept])
    torch.testing.assert_close(small.get_submodule("3").weight.grad, model[3].weight.grad[:, kept] / 4)
    torch.testing.assert_close(small.get_submodule("3").bias.grad, model[3].bias.grad)
    assert (model[0].weight.grad[[1, 2, 5, 6, 7]] == 0).all()


def test_a_step_of_training_changes_it_and_not_the_model() -> None:
    torch.manual_seed(0)
    model = prepared(mlp(0.5))
    small = bake(model, drawn(model, ROWS), ROWS)
    before, weights = small(ROWS).detach(), {k: v.clone() for k, v in model.state_dict().items()}
    small.train()
    optimiser = torch.optim.SGD(small.parameters(), lr=0.01)
    loss = (small(ROWS) - 1).square().mean()
    loss.backward()
    optimiser.step()
    small.eval()
    assert difference(small(ROWS), before) > 1e-3
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_what_is_given_wrong_is_said() -> None:
    model = prepared(mlp(0.5))
    mask = drawn(model, ROWS)
    with pytest.raises(InputError, match="No tensor was given as the model's input; expected an example of each"):
        bake(model, mask)
    with pytest.raises(InputError, match=r"The mask is of another model: it holds the site 0:dropout"):
        bake(prepared(nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.5))), mask, ROWS)
    model[0].p = 0.4
    with pytest.raises(InputError, match=r"at site 0:dropout it was drawn with p = 0.5, and the model has p = 0.4"):
        bake(model, mask, ROWS)
    with pytest.raises(NoSiteError, match="No stochastic site in Linear"):
        bake(prepared(nn.Linear(6, 2)), Mask({}, {}), ROWS)


@pytest.mark.usefixtures("without_type_checks")
def test_what_is_of_the_wrong_type_is_said() -> None:
    model = prepared(mlp(0.5))
    with pytest.raises(InputError, match=r"A MeanMask was given as the mask; expected a mcdrop.posterior.Mask"):
        bake(model, MeanMask(), ROWS)
    with pytest.raises(InputError, match="A list was given as the model's input; expected tensors"):
        bake(model, drawn(model, ROWS), ROWS, other=[ROWS])
    with pytest.raises(InputError, match=r"tuple was given as the model; expected a torch.nn.Module"):
        bake((model,), drawn(model, ROWS), ROWS)
