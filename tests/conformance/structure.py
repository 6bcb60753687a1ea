"""Models built in ways that a search over `model.modules()` or a copy of the model would trip over."""

import collections
import types
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conformance.case import Case, Net, normal

X = (normal(3, 4),)


def eager_attention(module, query, key, value, dropout=0.0):
    """A function of transformers: p comes from one reader of the flag, the flag from another."""
    weights = torch.softmax(query @ key.transpose(-1, -2) / 2, dim=-1)
    weights = F.dropout(weights, p=dropout, training=module.training)
    return weights @ value


class EagerAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.p = nn.Linear(4, 12), 0.3

    def forward(self, x):
        q, k, v = self.project(x).chunk(3, dim=-1)
        return eager_attention(self, q, k, v, dropout=0.0 if not self.training else self.p)


@dataclass
class Output(collections.OrderedDict):
    """Mapping and record at once, with fields that may be absent."""

    logits: Tensor | None = None
    loss: Tensor | None = None
    hidden: tuple[Tensor, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("logits", "loss", "hidden"):
            if getattr(self, name) is not None:
                self[name] = getattr(self, name)

    def __hash__(self) -> int:
        return id(self)


def with_output(m, tokens, scale=None):
    hidden = m.drop(m.embed(tokens).mean(1))
    return Output(logits=m.head(hidden) * scale, hidden=(hidden,))


class Tied(nn.Module):
    """One weight as embedding, as output layer and, dropped, as a layer between."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 3, bias=False), nn.Linear(3, 4, bias=False)
        self.decode.weight = nn.Parameter(torch.zeros(4, 3))
        self.again = nn.Linear(3, 4)
        self.again.weight = self.decode.weight
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        x = self.decode(self.drop(self.encode(x)).tanh())
        return x + F.linear(self.encode(x), F.dropout(self.again.weight, 0.2, self.training))


class Methods(nn.Module):
    """Called through its methods, never through forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.p = nn.Linear(4, 5), nn.Dropout(0.3), 0.2

    @property
    def dropping(self) -> bool:
        return self.training

    def encode(self, x):
        return self.drop.forward(self.first(x))

    def decode(self, x):
        return F.dropout(x @ self.first.weight, self.p, self.dropping)


class Plain(nn.Module):
    """Modules held by lists and dictionaries that PyTorch does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.parts = [nn.Dropout(0.3).eval(), {"tanh": nn.Tanh(), "drop": nn.Dropout(0.2).eval()}]
        self.calls = {"first": self.first.forward, "drop": self.parts[0].forward}

    def forward(self, x):
        x = self.calls["drop"](self.calls["first"](x))
        return self.parts[1]["drop"](self.parts[1]["tanh"](x))


def plain_reference(m):
    return lambda x: F.dropout(F.dropout(m.first(x), 0.3).tanh(), 0.2)


class FrozenPart(nn.Module):
    """Puts a part into evaluation mode in each forward, and another into training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.6), nn.Tanh())
        self.always, self.last = nn.Sequential(nn.Dropout(0.3)), nn.Linear(4, 2)

    def forward(self, x):
        self.frozen.eval()
        self.always.train()
        x = self.always(self.frozen(x))
        return self.last(F.dropout(x, 0.2, self.training))


class Toggling(nn.Module):
    """Reads the flag of a part that it has just switched."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Net(lambda m, x: F.dropout(x, 0.4, m.training))
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        self.part.train()
        once = self.part(x)
        self.part.eval()
        return self.last(once * self.part(x))


class Wrapper(nn.Module):
    """Gives its attributes as those of the model inside."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, **batch):
        return self.inner[2](F.dropout(self.inner[:2](batch["x"]), 0.3, self.training))

    def __getitem__(self, index):
        return self.inner[index]


def routed(m, x):
    return {name: m.drops[name](m.heads[name](x)) for name in m.heads}


def owned_by_another(m, x):
    """The flag of a child decides about a call of the parent."""
    return m.child(F.dropout(x, 0.3, getattr(m.child, "training")))  # noqa: B009


def closed_over() -> nn.Module:
    drop = nn.Dropout(0.4).eval()
    return Net(lambda m, x: m.last(drop(x)), last=nn.Linear(4, 2))


def normed(norm) -> nn.Module:
    return nn.Sequential(norm(nn.Linear(4, 5)), nn.Dropout(0.3), norm(nn.Linear(5, 2)))


def by_getattr(m, x):
    x = F.dropout(x, 0.4, getattr(m, "training", False))
    return m.last(x) if x.sum() > 0 else -m.last(x)


def in_new_code() -> nn.Module:
    """In code that has not run yet: Python rewrites its instructions while it runs, and a reader stays the reader."""
    function = types.FunctionType(by_getattr.__code__.replace(), by_getattr.__globals__)
    return Net(function, last=nn.Linear(4, 2))


def normed_by_hooks() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's word on the older kind
        return normed(nn.utils.weight_norm)


CASES = [
    Case(
        "a flag read by getattr, in a loop",
        in_new_code,
        X,
        batch_dim=None,
        execution="loop: not vectorised (RuntimeError",
    ),
    Case("weight_norm by hooks", normed_by_hooks, X),
    Case("attention whose p and flag are read apart", EagerAttention, (normal(3, 4, 4),)),
    Case(
        "an output like ModelOutput",
        lambda: Net(with_output, embed=nn.Embedding(5, 4), drop=nn.Dropout(0.3), head=nn.Linear(4, 2)),
        (torch.tensor([[0, 1, 2], [3, 4, 1], [2, 2, 0]]),),
        kwargs={"scale": normal(3, 1)},
        output="logits",
    ),
    Case("tied weights", Tied, X, own_masks=False),
    Case("weight_norm", lambda: normed(nn.utils.parametrizations.weight_norm), X),
    Case("methods other than forward", lambda: Net(lambda m, x: m.inner.decode(m.inner.encode(x)), inner=Methods()), X),
    Case("modules in plain lists and dictionaries", Plain, X, reference=plain_reference),
    Case("parts switched in forward", FrozenPart, X),
    Case("one part switched on, then off", Toggling, X),
    Case(
        "a wrapper that passes attributes on, keyword inputs",
        lambda: Wrapper(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))),
        (),
        kwargs={"x": X[0]},
    ),
    Case(
        "a dictionary of outputs",
        lambda: Net(
            routed,
            heads=nn.ModuleDict({"mean": nn.Linear(4, 2), "scale": nn.Linear(4, 1)}),
            drops=nn.ModuleDict({"mean": nn.Dropout(0.3), "scale": nn.Dropout(0.1)}),
        ),
        X,
    ),
    Case("a flag read from a child", lambda: Net(owned_by_another, child=nn.Linear(4, 3)), X),
    Case("a module in a closure", closed_over, X, refused="held by something that is no module"),
]
