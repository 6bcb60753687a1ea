"""DropBlock, DropConnect and concrete dropout as sites of the engine: four ways to run them, one function; and the law
of each against a loop written by hand."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

import mcdrop
from mcdrop.noise import ConcreteDropout, DropBlock, DropConnect
from mcdrop.sites import Sites
from tests.networks import trained_looking

# The checks touch Python's random state, which is watched.
pytestmark = [pytest.mark.usefixtures("without_type_checks")]
GENERATOR = torch.Generator()
DRAWS = 1000


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def rand(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=GENERATOR)


def coins(shape: tuple[int, ...], p: float) -> Tensor:
    return (rand(*shape) >= p).double() / (1 - p)


class Head(nn.Module):
    """A recurrent layer with dropped recurrent weights, and a linear one on its last step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.connect, self.last = DropConnect(layer, 0.4), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.connect(x)[0][:, -1])


@dataclass(frozen=True)
class Law:
    """A network with one site, and one draw of one row's output by a loop of one's own.

    Args:
        make: Makes the network.
        shape: Of its input.
        by_hand: Takes the network in evaluation mode and one row (1, ...), and returns its output for fresh noise.
        site: Name, law and p as the audit prints them, and the axis of the rows.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    by_hand: Callable[[nn.Module, Tensor], Tensor]
    site: tuple[str, str, str, str]

    def model(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = trained_looking(self.make())
        for module in model.modules():
            if isinstance(module, ConcreteDropout):
                module.logit.data.fill_(math.log(0.3 / 0.7))
        return model


def block(model: nn.Module, row: Tensor) -> Tensor:
    """p = .3, blocks of 2 x 2 on 2 channels of 4 x 5: gamma by hand."""
    h = model[0](row)
    gamma = 0.3 * 4 * 5 / (4 * 3 * 4)
    mask = torch.ones_like(h)
    for channel in range(2):
        for i in range(3):
            for j in range(4):
                if rand() < gamma:
                    mask[0, channel, i : i + 2, j : j + 2] = 0
    return model[2](h * mask * mask.numel() / mask.sum().clamp(min=1))


def connect(model: nn.Module, row: Tensor) -> Tensor:
    layer = model[0].layer
    return model[2](model[1](row @ (layer.weight * coins((5, 4), 0.4)).T + layer.bias * coins((5,), 0.4)))


def connect_convolution(model: nn.Module, row: Tensor) -> Tensor:
    layer = model[0].layer
    weight = layer.weight * coins(tuple(layer.weight.shape), 0.4)
    return model[1](F.conv2d(row, weight, layer.bias, stride=2, padding=1, groups=2))


def connect_recurrent(model: nn.Module, row: Tensor) -> Tensor:
    layer = model.connect.layer
    weight = layer.weight_hh_l0 * coins(tuple(layer.weight_hh_l0.shape), 0.4)
    output = torch.func.functional_call(layer, {"weight_hh_l0": weight}, row)[0]
    return model.last(output[:, -1])


def concrete(model: nn.Module, row: Tensor) -> Tensor:
    h = model[0](row)
    shape = (*h.shape[:2], *(1 for _ in h.shape[2:]))
    u = rand(*shape)
    dropped = torch.sigmoid((math.log(0.3 / 0.7) + u.log() - (1 - u).log()) / 0.1)
    return model[2](h * (1 - dropped) / 0.7)


LAWS = {
    "DropBlock": Law(
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), DropBlock(0.3, 2), nn.Conv2d(2, 2, (2, 3))),
        (3, 1, 4, 5),
        block,
        ("1:bernoulli", "Bernoulli(0.125)", "-", "axis 0"),
    ),
    "DropConnect": Law(
        lambda: nn.Sequential(
            DropConnect(nn.Linear(4, 5), 0.4, weights=("weight", "bias")), nn.Tanh(), nn.Linear(5, 2)
        ),
        (3, 4),
        connect,
        ("0:dropout", "Bernoulli(keep 0.6)", "0.4", "-"),
    ),
    "DropConnect, row by row": Law(
        lambda: nn.Sequential(
            DropConnect(nn.Linear(4, 5), 0.4, weights=("weight", "bias"), per_row=True), nn.Tanh(), nn.Linear(5, 2)
        ),
        (3, 4),
        connect,
        ("0:dropout", "Bernoulli(keep 0.6)", "0.4", "axis 0"),
    ),
    "DropConnect of a convolution": Law(
        lambda: nn.Sequential(DropConnect(nn.Conv2d(2, 4, 3, 2, 1, groups=2), 0.4), nn.Tanh()),
        (3, 2, 5, 5),
        connect_convolution,
        ("0:dropout", "Bernoulli(keep 0.6)", "0.4", "-"),
    ),
    "DropConnect of a convolution, row by row": Law(
        lambda: nn.Sequential(DropConnect(nn.Conv2d(2, 4, 3, 2, 1, groups=2), 0.4, per_row=True), nn.Tanh()),
        (3, 2, 5, 5),
        connect_convolution,
        ("0:dropout", "Bernoulli(keep 0.6)", "0.4", "axis 0"),
    ),
    "DropConnect of an LSTM": Law(
        lambda: Head(nn.LSTM(4, 3, batch_first=True)),
        (3, 5, 4),
        connect_recurrent,
        ("connect:dropout", "Bernoulli(keep 0.6)", "0.4", "-"),
    ),
    "DropConnect of a GRU": Law(
        lambda: Head(nn.GRU(4, 3, batch_first=True)),
        (3, 5, 4),
        connect_recurrent,
        ("connect:dropout", "Bernoulli(keep 0.6)", "0.4", "-"),
    ),
    "concrete dropout": Law(
        lambda: nn.Sequential(nn.Linear(4, 5), ConcreteDropout(), nn.Linear(5, 2)),
        (3, 4),
        concrete,
        ("1:rand", "uniform(0, 1)", "-", "axis 0"),
    ),
    "concrete dropout of channels": Law(
        lambda: nn.Sequential(nn.Conv2d(1, 3, 1), ConcreteDropout(whole_channels=True), nn.Conv2d(3, 2, 2)),
        (3, 1, 3, 3),
        concrete,
        ("1:rand", "uniform(0, 1)", "-", "axis 0"),
    ),
}
MASKS = pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])


def sampled(
    model: nn.Module, x: Tensor, shared: bool, execution: str, num_samples: int, **options
) -> tuple[Tensor, str]:
    plan = mcdrop.Plan(execution=execution, on_error="loop")
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Identity(), num_samples=num_samples, seed=2, shared_masks=shared, plan=plan, **options
    )
    prediction = mc(x)
    return prediction.samples, prediction.provenance.execution


@pytest.mark.parametrize("name", LAWS)
def test_the_audit_lists_it(name) -> None:
    law = LAWS[name]
    rows = mcdrop.audit(law.model(), normal(*law.shape)).rows()
    assert law.site == tuple(rows[0][key] for key in ("site", "law", "p", "rows on"))
    assert len(rows) == (2 if name in ("DropConnect", "DropConnect, row by row") else 1)  # the bias, too


@MASKS
@pytest.mark.parametrize("name", LAWS)
def test_every_execution_gives_the_same_outputs(name, shared) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    looped, _ = sampled(law.model(), x, shared, "loop", 6)
    draws, execution = sampled(law.model(), x, shared, "vectorised", 6)
    torch.testing.assert_close(draws, looped, rtol=1e-9, atol=1e-11)
    assert len(draws.flatten(1).unique(dim=0)) > 1
    assert execution.startswith("vectorised")


@pytest.mark.parametrize("name", LAWS)
def test_rows_see_one_function_with_shared_masks(name) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    together, _ = sampled(law.model(), x, True, "loop", 4)
    alone, _ = sampled(law.model(), x[1:2], True, "loop", 4)
    torch.testing.assert_close(together[:, 1:2], alone, rtol=1e-9, atol=1e-11)


@MASKS
@pytest.mark.parametrize("name", LAWS)
def test_the_law_of_a_rows_whole_output_is_that_of_a_loop_by_hand(name, shared) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    model = law.model()
    draws, _ = sampled(model, x, shared, "auto", DRAWS)
    GENERATOR.manual_seed(5)
    with torch.no_grad():
        by_hand = torch.stack([law.by_hand(model, x[1:2]) for _ in range(DRAWS)])
    assert_same_law(draws[:, 1].flatten(1), by_hand.flatten(1))


def assert_same_law(ours: Tensor, theirs: Tensor) -> None:
    """Kolmogorov-Smirnov on random projections: a false alarm once in ten thousand.

    A little noise on both makes discrete laws continuous, and hides that p has 16 bits.
    """
    generator = torch.Generator().manual_seed(3)
    directions = torch.randn(ours.shape[1], 4, dtype=ours.dtype, generator=generator)
    ours, theirs = ours @ directions, theirs @ directions
    blur = 0.02 * theirs.std(dim=0)
    assert (blur > 0).all()
    noisy = [
        draws + blur * torch.randn(draws.shape, dtype=draws.dtype, generator=generator) for draws in (ours, theirs)
    ]
    pvalues = [stats.ks_2samp(a, b).pvalue for a, b in zip(noisy[0].T.numpy(), noisy[1].T.numpy(), strict=True)]
    assert min(pvalues) > 1e-4 / len(pvalues), pvalues


@pytest.mark.parametrize("name", LAWS)
def test_evaluation_mode_is_the_network_without_noise(name) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    model = law.model()
    bare = law.model()
    for path, module in list(bare.named_modules()):
        if isinstance(module, DropBlock | ConcreteDropout):
            bare.set_submodule(path, nn.Identity())
        elif isinstance(module, DropConnect):
            bare.set_submodule(path, module.layer)
    assert torch.equal(model(x), bare(x))


@pytest.mark.parametrize("name", [name for name in LAWS if name.startswith("DropConnect")])
def test_the_rate_of_dropped_weights_can_be_chosen(name) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    model = law.model()
    at_another_rate, _ = sampled(model, x, True, "loop", 3, sites=Sites(p=0.1))
    for module in model.modules():
        if isinstance(module, DropConnect):
            module.p = 0.1
    trained_with_it, _ = sampled(model, x, True, "loop", 3)
    assert torch.equal(at_another_rate, trained_with_it)


@pytest.mark.parametrize("name", LAWS)
def test_a_prediction_leaves_the_network_as_it_was(name) -> None:
    law, x = LAWS[name], normal(*LAWS[name].shape)
    model = law.model()
    before = {key: (id(value), value._version, value.clone()) for key, value in model.named_parameters()}
    sampled(model, x, True, "auto", 4)
    for key, value in model.named_parameters():
        identity, version, values = before[key]
        assert (id(value), value._version) == (identity, version)
        assert torch.equal(value, values)
