"""Models in containers: compiled, parallel, traced, scripted, quantised, lazy."""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import fx, nn

from tests.conformance.case import Case, Net, normal, training_mode

X = (normal(3, 4),)


def compiled(thing):
    return torch.compile(thing, backend="eager")


class ByFlag(nn.Module):
    """A module's dropout and a function's, and a norm whose statistics must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.4)
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        x = self.drop(self.norm(self.first(x)).tanh())
        return self.last(F.dropout(x, 0.2, self.training))


def plain(model: nn.Module) -> nn.Module:
    """The reference runs without the compiler."""
    return training_mode(model._orig_mod)


def part_compiled(model: nn.Module) -> None:
    model[0].compile(backend="eager")
    model[1].forward = compiled(model[1].forward)


class Decorated(nn.Module):
    """Compiled where it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 2)

    @torch.compile(backend="eager")
    def forward(self, x):
        return self.last(F.dropout(self.first(x).tanh(), 0.4, self.training))


def as_written(model: nn.Module) -> Callable:
    return lambda x: model.last(F.dropout(model.first(x).tanh(), 0.4))


@torch.compile(backend="eager")
def compiled_function(x, training):
    return F.dropout(x, 0.4, training)


@torch.compile(backend="eager", fullgraph=True)
def compiled_whole(x):
    return F.dropout(x, 0.4)


class ByHand(nn.Module):
    """Masks drawn by hand, which tracing in training mode writes down and tracing in evaluation mode leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 5), nn.Dropout(0.3), nn.Linear(5, 2)

    def forward(self, x):
        x = self.drop(self.first(x).tanh())
        if self.training:
            x = F.dropout(x, 0.2) * (torch.rand_like(x) > 0.4) / 0.6
        return self.last(x)


def traced(model: nn.Module) -> Callable:
    """What a graph holds does not depend on its mode; what it calls does."""
    return model.train()


def normed() -> nn.Module:
    """A backbone without dropout."""
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))


def scripted(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's word on TorchScript
        return torch.jit.script(model)


def scripted_off(model: nn.Module) -> Callable:
    """Training mode, but for what is scripted: there the norm is of no class that could be told."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            module.eval()
    return model


def lazy() -> nn.Module:
    model = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.Dropout(0.4), nn.LazyLinear(2))
    model(X[0].float())
    return model


CASES = [
    Case("compiled", lambda: compiled(ByFlag()), X, reference=plain),
    Case("compiled, inside a model", lambda: nn.Sequential(compiled(ByFlag()), nn.Dropout(0.1)), X),
    Case(
        "parts compiled in place",
        lambda: nn.Sequential(ByFlag(), Net(lambda m, x: F.dropout(x, 0.3, m.training))),
        X,
        prepare=part_compiled,
    ),
    Case("a method compiled where it is written", Decorated, X, reference=as_written),
    Case(
        "a compiled function",
        lambda: Net(lambda m, x: compiled_function(m.a(x), m.training), a=nn.Linear(4, 3)),
        X,
        refused="a function that torch.compile wrapped .*set_stance",
    ),
    Case(
        "a compiled function, in training mode alone",
        lambda: Net(lambda m, x: compiled_whole(m.drop(x)) if m.training else m.drop(x), drop=nn.Dropout()),
        X,
        refused="a function that torch.compile wrapped .*set_stance",
    ),
    Case("DataParallel", lambda: nn.DataParallel(ByFlag()), X),
    Case("DataParallel, inside a model", lambda: nn.Sequential(nn.DataParallel(ByFlag()), nn.Dropout(0.1)), X),
    Case(
        "traced in training mode",
        lambda: fx.symbolic_trace(ByHand().train()),
        X,
        reference=traced,
        off="a traced graph",
    ),
    Case(
        "traced in evaluation mode, dropout modules",
        lambda: fx.symbolic_trace(nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.3), nn.Linear(5, 2)).eval()),
        X,
        off="a traced graph",
    ),
    Case(
        "traced in evaluation mode, inside a model",
        lambda: nn.Sequential(fx.symbolic_trace(ByFlag().eval()), nn.Dropout()),
        X,
        refused="0:dropout: the traced graph holds training=False as a constant: trace or export it in training mode",
    ),
    Case(
        "scripted, before any dropout",
        lambda: nn.Sequential(scripted(normed()), nn.Dropout(0.3)),
        X,
        reference=scripted_off,
    ),
    Case(
        "scripted, behind dropout",
        lambda: nn.Sequential(nn.Dropout(0.3), scripted(normed())),
        X,
        reference=scripted_off,
        execution="loop: not vectorised (RuntimeError: what a scripted or traced module is given depends on a mask",
    ),
    Case(
        "scripted with dropout, inside a model",
        lambda: nn.Sequential(nn.Dropout(0.3), nn.Sequential(scripted(nn.Sequential(nn.Linear(4, 5), nn.Dropout())))),
        X,
        refused="Sequential is scripted or traced, and it may draw random numbers .aten::dropout",
    ),
    Case("lazy, after the first pass", lazy, X),
]
