import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcdrop.errors import UncontrolledSiteError
from mcdrop.sites import Shadow, Switch

# PyTorch's word on TorchScript.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


class Stateful(nn.Module):
    """Writes to a buffer, to an attribute and, in training mode, to running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.register_buffer("calls", torch.zeros(()))
        self.last = 0

    def forward(self, x):
        self.calls += 1
        self.last = self.last + 1
        return self.body(x) * self.calls * self.last


def shadowed(module: nn.Module) -> nn.Module:
    return Shadow(nn.Sequential(module), Switch()).root[0]


@pytest.mark.parametrize("of", [torch.jit.script, lambda m: torch.jit.trace(m.eval(), X)], ids=["script", "trace"])
def test_without_dropout_they_run_in_evaluation_mode_on_a_skeleton(of) -> None:
    module = of(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))).train()
    ours = shadowed(module)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    out = ours(X)
    assert all(
        one.data_ptr() == two.data_ptr() for one, two in zip(ours.parameters(), module.parameters(), strict=True)
    )
    assert all(one.data_ptr() != two.data_ptr() for one, two in zip(ours.buffers(), module.buffers(), strict=True))
    assert {part.training for part in module.modules()} == {True}
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(out, module.eval()(X))


def test_what_they_write_stays_in_the_skeleton() -> None:
    module = torch.jit.script(Stateful().eval())
    shadow = Shadow(nn.Sequential(module), Switch())
    first, second = shadow.root(X), shadow.root(X)
    torch.testing.assert_close(second, 4 * first)
    assert shadow.buffers_changed
    assert module.calls == 0
    assert module.last == 0


def test_under_vmap_they_take_what_depends_on_no_mask() -> None:
    ours = shadowed(torch.jit.script(nn.Linear(4, 4)))
    assert torch.func.vmap(lambda scale: ours(X) * scale)(torch.ones(2)).shape == (2, 3, 4)
    with pytest.raises(RuntimeError, match="what a scripted or traced module is given depends on a mask"):
        torch.func.vmap(lambda scale: ours(X * scale))(torch.ones(2))


class Drops(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, self.training)


class Draws(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x) if self.training else x


class Attends(nn.Module):
    def forward(self, x):
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if self.training else 0.0)


class Exported(nn.Module):
    """Draws in another method than forward."""

    def forward(self, x):
        return x

    @torch.jit.export
    def sample(self, x):
        return torch.bernoulli(x)


class Calls(nn.Module):
    """Calls Python from within."""

    def forward(self, x):
        return self.python(x)

    @torch.jit.ignore
    def python(self, x):
        return F.dropout(x)


@pytest.mark.parametrize(
    ("module", "operation"),
    [
        (Drops(), "aten::dropout"),
        (nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Dropout2d())), "aten::feature_dropout"),
        (Draws(), "aten::rand_like"),
        (Attends(), "aten::scaled_dot_product_attention"),
        (nn.LSTM(4, 4, 2, dropout=0.5), "aten::lstm"),
        (Exported(), "aten::bernoulli"),
        (nn.RReLU(), "aten::rrelu"),
        (Calls(), "PythonOp|prim::"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_that_may_draw_is_refused_by_name(module, operation) -> None:
    words = f"{type(module).__name__} is scripted or traced, and it may draw random numbers .*{operation}.*nothing can"
    with pytest.raises(UncontrolledSiteError, match=words):
        shadowed(torch.jit.script(module))


def test_dropout_that_tracing_turned_off_is_refused_and_that_frozen_out_is_not() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).eval()
    with pytest.raises(UncontrolledSiteError, match="aten::dropout"):
        shadowed(torch.jit.trace(model, X))
    frozen = torch.jit.freeze(torch.jit.script(model))
    assert torch.equal(shadowed(frozen)(X), model(X))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 4, 2)

    def forward(self, x):
        return self.lstm(x)[0]


@pytest.mark.parametrize("module", [nn.Dropout(0.0), Recurrent()], ids=lambda value: type(value).__name__)
def test_one_that_cannot_drop_is_taken(module) -> None:
    ours = shadowed(torch.jit.script(module))
    torch.testing.assert_close(ours(X), module.eval()(X))
