"""Containers that the table of conformance cannot hold: exported, distributed, quantised; and draws bit for bit."""

import random

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

import mcdrop
from mcdrop.errors import InputError, NoSiteError, UncontrolledSiteError
from mcdrop.sampling.subnetwork import SubNetwork, units_for
from tests.networks import MLP, trained_looking

# What PyTorch says when torch.export, the compiler, FSDP, quantisation and vmap's slow path are used.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

X = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
BATCH = torch.export.Dim("batch")


def draws(model: nn.Module, x: torch.Tensor = X, T: int = 8, **options) -> torch.Tensor:
    options = {"likelihood": mcdrop.Identity(), "num_samples": T, "seed": 0, **options}
    return mcdrop.MCDropout(model, **options).sample(x)


@pytest.fixture
def process_group(tmp_path):
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


OPENED = {
    "torch.compile": lambda model: torch.compile(model, backend="eager"),
    "compiled in place": in_place,
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": DistributedDataParallel,
    "all of them": lambda model: DistributedDataParallel(torch.compile(nn.DataParallel(model), backend="eager")),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_is_opened_gives_the_draws_of_the_model_inside(name, process_group) -> None:
    plain, model = trained_looking(MLP()), OPENED[name](trained_looking(MLP()))
    for options in ({}, {"shared_masks": False}, {"plan": mcdrop.Plan(execution="loop")}):
        assert torch.equal(draws(model, **options), draws(plain, **options))
    mask = mcdrop.posterior.Dropout(0).draw(units_for(plain, X), 0)
    assert torch.equal(SubNetwork(model, mask)(X), SubNetwork(plain, mask)(X))
    loader = [(X, torch.zeros(5, 3, dtype=torch.float64))]
    ours, theirs = (
        mcdrop.MCDropout(one, likelihood=mcdrop.Identity(), num_samples=4, seed=0).predict(loader)
        for one in (model, plain)
    )
    assert torch.equal(ours.mean, theirs.mean)


def sharded(model: nn.Module) -> nn.Module:
    fully_shard(model.last)
    return model


def split(model: nn.Module) -> nn.Module:
    return parallelize_module(model, init_device_mesh("cpu", (1,)), {"first": ColwiseParallel()})


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (
            lambda m: FullyShardedDataParallel(m, device_id=torch.device("cpu")),
            "FullyShardedDataParallel is fully shar",
        ),
        (sharded, "FSDPLinear is fully sharded: .*Pass a plain model that has loaded the full state"),
        (split, r"Linear holds a DTensor, .*Pass a plain model that has loaded the full state"),
    ],
    ids=["FSDP", "fully_shard", "tensor parallel"],
)
def test_weights_that_lie_on_several_processes_are_refused(process_group, wrap, message) -> None:
    with pytest.raises(InputError, match=message):
        draws(wrap(MLP()), X.float())


class Functional(nn.Module):
    """All of its sites belong to the root, so that an exported graph names them alike."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        hidden = F.dropout(self.first(x).tanh(), 0.3, self.training)
        if self.training:
            hidden = hidden * (torch.rand_like(hidden) > 0.4) / 0.6
            hidden = hidden * hidden.new_empty(hidden.shape[0], 1).bernoulli_(0.8)
        return self.last(F.alpha_dropout(hidden, 0.2, self.training))


def exported(model: nn.Module, x: torch.Tensor = X, *, static: bool = False) -> torch.export.ExportedProgram:
    return torch.export.export(model, (x,), dynamic_shapes=None if static else ({0: BATCH},))


@pytest.mark.parametrize("opened", [lambda e: e.module(), torch.export.unflatten], ids=["module", "unflatten"])
def test_programs_exported_in_training_mode_give_the_draws_of_the_model(opened) -> None:
    plain = trained_looking(Functional())
    graph = opened(exported(plain.train()))
    plain.eval()
    for options in ({}, {"shared_masks": False}, {"plan": mcdrop.Plan(execution="loop")}):
        torch.testing.assert_close(draws(graph, **options), draws(plain, **options), rtol=1e-12, atol=1e-12)
    assert [site.law for site in mcdrop.audit(graph, X).sites] == [site.law for site in mcdrop.audit(plain, X).sites]


class Sequence(nn.Module):
    """Dropout inside one function: between recurrent layers and on attention weights."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 4, 2, dropout=0.4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.3, batch_first=True)

    def forward(self, x):
        x = self.lstm(x)[0]
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.2 if self.training else 0.0)


SEQUENCES = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_exported_recurrent_layers_and_attention_keep_their_dropout() -> None:
    model = trained_looking(Sequence()).train()
    graph = exported(model, SEQUENCES).module()
    assert [site.operation for site in mcdrop.audit(graph, SEQUENCES).sites] == [
        site.operation for site in mcdrop.audit(model, SEQUENCES).sites
    ]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.stack([model(SEQUENCES) for _ in range(3000)])
    ours = draws(graph, SEQUENCES, T=3000)
    error = (ours.var(0) / 3000 + theirs.var(0) / 3000).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() / error).max() < 4.5
    ratio = ours.var(0) / theirs.var(0)
    assert 0.85 < ratio.min() < ratio.max() < 1.18


def test_programs_exported_in_evaluation_mode_are_refused_by_name_of_each_site() -> None:
    graph = exported(trained_looking(Sequence()), SEQUENCES).module()
    words = r"(?s)\(model\):lstm: the traced graph holds training=False .*trace or export it in training mode"
    with pytest.raises(UncontrolledSiteError, match=words):
        draws(graph, SEQUENCES)
    unflattened = torch.export.unflatten(exported(trained_looking(Functional())))
    with pytest.raises(UncontrolledSiteError, match=r"(?s)\(model\):dropout: .*\(model\):alpha_dropout: "):
        draws(unflattened)


def test_what_a_graph_holds_as_off_is_left_off_when_asked_for() -> None:
    model = nn.Sequential(torch.fx.symbolic_trace(trained_looking(Functional())), nn.Dropout(0.3))
    with pytest.raises(UncontrolledSiteError, match="0:dropout: the traced graph"):
        draws(model)
    sites = mcdrop.Sites(exclude="0")
    assert torch.equal(draws(model, sites=sites), draws(model, sites=mcdrop.Sites(only="1")))
    with pytest.raises(UncontrolledSiteError, match="0:alpha_dropout: the traced graph"):
        draws(model, sites=mcdrop.Sites(exclude="0:dropout"))


def test_exported_programs_that_cannot_be_used_say_why() -> None:
    program = exported(trained_looking(Functional()).train())
    with pytest.raises(UncontrolledSiteError, match="native_dropout in GraphModule"):
        draws(program.run_decompositions().module())
    with pytest.raises(
        NoSiteError, match=r"this traced graph holds no dropout operation\. Trace or export the model in tr"
    ):
        draws(exported(trained_looking(Functional())).run_decompositions().module())
    with pytest.raises(mcdrop.errors.RowAxisError, match=r"Guard failed: x\.size\(\)\[0\] == 5.*shared_masks=False"):
        draws(exported(trained_looking(Functional()).train(), static=True).module())


def test_a_program_is_no_module(without_type_checks) -> None:
    words = (
        r"ExportedProgram was given as the model; .* pass the model that it was exported from, or its `\.module\(\)`"
    )
    with pytest.raises(InputError, match=words):
        draws(exported(trained_looking(Functional())))
    with pytest.raises(InputError, match=words):
        mcdrop.audit(exported(trained_looking(Functional())), X)
    with pytest.raises(InputError, match=r"method was given as the model; .* Pass the module itself"):
        draws(Functional().forward)


def test_a_whole_scripted_model_is_refused_by_name() -> None:
    model = trained_looking(MLP())
    for wrap in (torch.jit.script, lambda m: torch.jit.trace(m, X)):
        with pytest.raises(
            UncontrolledSiteError, match=r"MLP is scripted or traced, .*aten::dropout.*Pass the model wi"
        ):
            draws(wrap(model))
    with pytest.raises(NoSiteError, match="no dropout operation runs in it"):
        draws(torch.jit.script(nn.Linear(6, 2).double()))


def fused(x, training: bool):
    return F.dropout(x, 0.5, training)


def harmless(x):
    return F.gelu(x) * 2


@pytest.mark.parametrize("always", [False, True])
def test_a_scripted_function_that_drops_is_refused_and_another_runs(always) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.harmful = nn.Dropout(), True
            self.fused, self.harmless = torch.jit.script(fused), torch.jit.script(harmless)

        def forward(self, x):
            x = self.drop(self.harmless(x))
            return self.fused(x, always or self.training) if self.harmful else x

    model = Model()
    with pytest.raises(UncontrolledSiteError, match=r"\(a scripted function, say\) in Model"):
        draws(model)
    model.harmful = False
    assert set((draws(model) / (2 * F.gelu(X))).round(decimals=9).unique().tolist()) == {0.0, 2.0}


def quantised(*parts: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(*parts).eval(), {nn.Linear, nn.LSTM})


def test_a_dynamically_quantised_model_keeps_its_dropout() -> None:
    model, x = quantised(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.4), nn.Linear(32, 2)), X[:1].float()
    ours = draws(model, x, T=4000)
    assert torch.equal(draws(model, x), draws(model, x, plan=mcdrop.Plan(execution="loop")))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()
        theirs = torch.stack([model(x) for _ in range(4000)])
    error = (ours.var(0) / 4000 + theirs.var(0) / 4000).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() / error).max() < 4
    assert ((ours.var(0) / theirs.var(0)).log().abs()).max() < 4 * (4 / 4000) ** 0.5


def test_quantised_recurrent_layers_are_refused_by_name() -> None:
    model = quantised(nn.LSTM(6, 4, 2, dropout=0.5))
    with pytest.raises(UncontrolledSiteError, match=r"quantized_lstm in LSTM \(0\)"):
        draws(model, SEQUENCES.float(), output=0, shared_masks=False)


class Own(nn.Module):
    """Noise on which nobody's seed has a hold, from generators of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.torch, self.numpy, self.python = torch.Generator(), np.random.default_rng(0), random.Random(0)

    def forward(self, x):
        a = torch.randperm(2**20, generator=self.torch)[0] / 2**20
        return x * a + self.numpy.random() + self.python.random()


def test_generators_of_a_model_are_left_as_they_were_and_differ_from_pass_to_pass() -> None:
    model = Own()
    before = (bytes(model.torch.get_state().numpy()), str(model.numpy.bit_generator.state), model.python.getstate())
    with pytest.raises(UncontrolledSiteError, match=r"a numpy.random.Generator of its own in Own \(the model\)"):
        draws(model)
    options = {"sites": mcdrop.Sites(uncontrolled="native"), "shared_masks": False}
    first = draws(model, **options)
    assert len(first[:, 0, 0].unique()) == 8
    assert torch.equal(first, draws(model, **options))
    assert not torch.equal(first, draws(model, seed=1, **options))
    after = (bytes(model.torch.get_state().numpy()), str(model.numpy.bit_generator.state), model.python.getstate())
    assert after == before


def test_a_compiled_function_that_is_refused_is_left_to_its_compiler() -> None:
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    function = torch.compile(lambda x: F.gelu(x) * 2, backend=backend)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, x):
            return function(self.drop(x))

    model = Model().eval()
    for count in (0, 1):
        with pytest.raises(UncontrolledSiteError, match=r"a function that torch\.compile wrapped"):
            draws(model)
        assert len(compiled) == count
        model(X)
        assert len(compiled) == 1
    with torch.compiler.set_stance("force_eager"):
        assert set((draws(model) / (2 * F.gelu(2 * X))).round(decimals=9).unique().tolist()) == {0.0, 1.0}
