import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError, UnavailableError
from mcdrop.posterior import Dropout, Mask, MeanMask
from mcdrop.sampling.subnetwork import SubNetwork, mask_of_draw, units_for
from tests.networks import FAMILIES, MLP, ConvNet, family, trained_looking

LOOP = mcdrop.Plan(execution="loop")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sub_network_of_draw_t_gives_draw_t(name: str) -> None:
    """Bit by bit, and its mask through a file too."""
    model, x = family(name)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=4, seed=3, plan=LOOP)
    draws = mc.sample(x)
    mask = mask_of_draw(next(iter(mc._known.values())), mc._settings, 2)
    assert mask == Dropout(seed=3).draw(units_for(model, x), t=2)
    assert torch.equal(SubNetwork(model, mask)(x), draws[2])
    assert not torch.equal(SubNetwork(model, mask)(x), draws[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mean_mask_is_evaluation_mode(name: str) -> None:
    model, x = family(name)
    torch.testing.assert_close(SubNetwork(model, MeanMask())(x), model(x), rtol=1e-12, atol=1e-12)


def test_it_is_one_function_of_any_number_of_rows() -> None:
    model, x = family("convnet with BatchNorm")
    tree = SubNetwork(model, Dropout(seed=0).draw(units_for(model, x), t=0))
    together = tree(x)
    for row in range(len(x)):
        torch.testing.assert_close(tree(x[row : row + 1])[0], together[row], rtol=1e-12, atol=1e-12)
    model.zero_grad()
    assert not together.requires_grad
    assert SubNetwork(model, tree.mask, grad=True)(x).requires_grad


def test_the_same_bits_in_a_new_process(tmp_path) -> None:
    model = trained_looking(MLP())
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).view(2, 6)
    mask = Dropout(seed=5).draw(units_for(model, x), t=1)
    mask.save(tmp_path / "mask")
    code = """
import sys, torch
from mcdrop.posterior import Mask
from mcdrop.sampling.subnetwork import SubNetwork
from tests.networks import MLP, trained_looking
torch.set_num_threads(1)
x = torch.linspace(-1, 1, 12, dtype=torch.float64).view(2, 6)
print(SubNetwork(trained_looking(MLP()), Mask.load(sys.argv[1]))(x).tolist())
"""
    command = [sys.executable, "-c", code, tmp_path / "mask"]
    there = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert there.stdout.strip() == str(SubNetwork(model, mask)(x).tolist())


def test_parameters_in_use_are_those_between_kept_units() -> None:
    """6-16-16-3 with smooth activations: weights with both ends kept, biases of kept units, by hand."""

    class Smooth(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)
            self.first, self.second = nn.Dropout(0.5), nn.Dropout(0.3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(self.second(self.b(self.first(self.a(x).tanh())).tanh()))

    model, x = trained_looking(Smooth()), torch.randn(5, 6, dtype=torch.float64)
    mask = Dropout(seed=1).draw(units_for(model, x), t=0)
    first, second = (int(mask.values[f"{name}:dropout"].sum()) for name in ("first", "second"))
    used = SubNetwork(model, mask).parameters_in_use(x)
    assert used.in_use == {
        "a.weight": 6 * first, "a.bias": first, "b.weight": first * second, "b.bias": second, "c.weight": 3 * second,
        "c.bias": 3,
    }  # fmt: skip
    assert SubNetwork(model, MeanMask()).parameters_in_use(x).share == 1
    assert used.share == sum(used.in_use.values()) / sum(p.numel() for p in model.parameters())


def test_channels_of_a_convolution_go_out_of_use_whole() -> None:
    model, x = family("convnet with BatchNorm")
    mask = Dropout(seed=1).draw(units_for(model, x), t=0)
    used = SubNetwork(model, mask).parameters_in_use(x)
    assert used.in_use["body.4.weight"] <= 6 * int(mask.values["body.3:dropout2d"].sum()) * 9
    assert 0 < used.share < 1


def test_refuses_a_mask_of_another_model_by_name() -> None:
    model, x = family("mlp")
    mask = Dropout(seed=0).draw(units_for(model, x), t=0)
    with pytest.raises(InputError, match=r"of another model: it holds the site drop:dropout, which the model does not"):
        SubNetwork(trained_looking(ConvNet()), mask)(family("convnet with BatchNorm")[1])
    with pytest.raises(InputError, match=r"at site drop:dropout it has shape \(1, 16\), .* asks for \(1, 8\)"):
        SubNetwork(trained_looking(MLP(hidden=8)), mask)(x)
    with pytest.raises(InputError, match=r"at site drop:dropout it was drawn with p = 0.5, and the model has p = 0.25"):
        SubNetwork(trained_looking(MLP(p=0.25)), mask)(x)
    fewer = Mask({"drop:dropout": mask.values["drop:dropout"]}, {"drop:dropout": 0.5})
    with pytest.raises(InputError, match="it lacks the model's site drop:dropout#2"):
        SubNetwork(model, fewer)(x)


def test_refuses_what_is_no_mask(without_type_checks) -> None:
    with pytest.raises(InputError, match=r"A dict was given as the mask; expected a Mask or MeanMask\(\)"):
        SubNetwork(nn.Linear(1, 1), {})  # type: ignore[arg-type]


def test_masks_of_draws_need_an_input_and_shared_masks() -> None:
    model, x = family("mlp")
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=3, seed=0, shared_masks=False)
    with pytest.raises(UnavailableError, match=r"before any input: sites depend on it. Call mc\(x\) first"):
        mask_of_draw(None, mc._settings, 0)
    mc(x)
    with pytest.raises(UnavailableError, match="every row has a mask of its own"):
        mask_of_draw(next(iter(mc._known.values())), mc._settings, 0)
