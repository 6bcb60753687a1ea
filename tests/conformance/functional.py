"""Dropout as PyTorch's functions."""

import functools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout
from torch.nn.functional import dropout2d as drop_channels

from tests.conformance.case import Case, Net, normal

HALF = functools.partial(F.dropout, p=0.5)


class NormAndDropout(nn.Module):
    """BatchNorm and dropout written out in one module: two reads of the flag, and only one is dropout's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 4))
        self.register_buffer("running_mean", torch.zeros(5))
        self.register_buffer("running_var", torch.ones(5))

    def forward(self, x):
        x = F.linear(x, self.weight)
        x = F.batch_norm(x, self.running_mean, self.running_var, training=self.training)
        return F.dropout(x, p=0.4, training=self.training)


def norm_off(model):
    def run(x):
        return F.dropout(F.batch_norm(F.linear(x, model.weight), model.running_mean, model.running_var), 0.4)

    return run


class DroppingNorm(nn.BatchNorm1d):
    """A norm that drops what it has normalised."""

    def forward(self, x):
        return F.dropout(super().forward(x), 0.3, self.training)


def dropping_norm_off(model):
    return lambda x: F.dropout(nn.BatchNorm1d.forward(model[1], model[0](x)), 0.3)


def block(x, weight, training):
    """A function that is handed the flag and uses it twice."""
    x = F.dropout(x, 0.2, training)
    return F.dropout(F.linear(x, weight).tanh(), 0.5, training)


def several(m, x):
    x = F.dropout(x, 0.1, m.training)
    x = F.dropout(m.first(x).relu(), 0.5, m.training)
    y = F.dropout(x, 0.3, m.training)
    return m.last(x * y)


def under_if(m, x):
    x = m.first(x)
    if m.training:
        x = dropout(x, m.rate)
    return m.last(x)


def written_over(m, x):
    x = m.first(x)
    F.dropout(x, 0.4, m.training, inplace=True)
    return m.last(x)


def alpha_written_over(m, x):
    F.alpha_dropout(x, 0.3, m.training, inplace=True)
    return m.last(x)


def own_operator(m, x):
    h = m.first(x)
    torch.dropout_(h, 0.4, m.training)
    return torch.feature_dropout(m.last(h)[:, :, None], 0.3, m.training)


CASES = [
    Case(
        "F.dropout",
        lambda: Net(lambda m, x: F.dropout(m.first(x), 0.4, m.training), first=nn.Linear(4, 5)),
        (normal(3, 4),),
    ),
    Case(
        "F.dropout1d",
        lambda: Net(lambda m, x: m.last(F.dropout1d(x, 0.4, m.training)), last=nn.Conv1d(4, 2, 2)),
        (normal(3, 4, 5),),
    ),
    Case(
        "F.dropout2d before BatchNorm2d",
        lambda: Net(
            lambda m, x: m.norm(F.dropout2d(m.conv(x), p=0.3, training=m.training)),
            conv=nn.Conv2d(2, 4, 2),
            norm=nn.BatchNorm2d(4),
        ),
        (normal(3, 2, 3, 3),),
    ),
    Case(
        "F.dropout3d",
        lambda: Net(
            lambda m, x: F.dropout3d(x, 0.3, m.training).sum((3, 4)) * m.scale, scale=nn.Parameter(torch.zeros(3, 1))
        ),
        (normal(2, 3, 2, 2, 2),),
    ),
    Case(
        "F.alpha_dropout",
        lambda: Net(lambda m, x: m.last(F.alpha_dropout(F.selu(x), 0.3, m.training)), last=nn.Linear(4, 3)),
        (normal(3, 4),),
    ),
    Case(
        "F.feature_alpha_dropout",
        lambda: Net(lambda m, x: F.feature_alpha_dropout(m.conv(x), 0.3, m.training), conv=nn.Conv1d(2, 4, 2)),
        (normal(3, 2, 4),),
    ),
    Case(
        "torch.dropout",
        lambda: Net(lambda m, x: m.last(torch.dropout(x, 0.4, m.training)), last=nn.Linear(4, 3)),
        (normal(3, 4),),
    ),
    Case(
        "torch.alpha_dropout, torch.feature_alpha_dropout",
        lambda: Net(
            lambda m, x: torch.feature_alpha_dropout(
                torch.alpha_dropout(x, 0.2, train=m.training), 0.4, m.training
            ).cos()
        ),
        (normal(3, 4, 3),),
    ),
    Case(
        "torch.dropout_ and torch.feature_dropout",
        lambda: Net(own_operator, first=nn.Linear(4, 5), last=nn.Linear(5, 3)),
        (normal(3, 4),),
    ),
    Case(
        "a name imported directly, under another",
        lambda: Net(lambda m, x: drop_channels(m.conv(x), 0.4, m.training), conv=nn.Conv2d(2, 3, 2)),
        (normal(3, 2, 3, 3),),
    ),
    Case(
        "a call under an if, p from the configuration",
        lambda: Net(under_if, first=nn.Linear(4, 5), last=nn.Linear(5, 2), rate=0.35),
        (normal(3, 4),),
    ),
    Case(
        "a call that is always on",
        lambda: Net(lambda m, x: m.last(F.dropout(m.first(x))), first=nn.Linear(4, 5), last=nn.Linear(5, 2)),
        (normal(3, 4),),
    ),
    Case("several in one forward", lambda: Net(several, first=nn.Linear(4, 6), last=nn.Linear(6, 2)), (normal(3, 4),)),
    Case(
        "the flag read once for two",
        lambda: Net(lambda m, x: block(x, m.weight, m.training), weight=nn.Parameter(torch.zeros(5, 4))),
        (normal(3, 4),),
    ),
    Case(
        "functools.partial",
        lambda: Net(lambda m, x: m.activate(m.first(x), training=m.training), first=nn.Linear(4, 5), activate=HALF),
        (normal(3, 4),),
    ),
    Case(
        "F.alpha_dropout in place on the model's input",
        lambda: Net(alpha_written_over, last=nn.Linear(4, 2)),
        (normal(3, 4),),
    ),
    Case("F.dropout in place", lambda: Net(written_over, first=nn.Linear(4, 5), last=nn.Linear(5, 2)), (normal(3, 4),)),
    Case("in one module with F.batch_norm", NormAndDropout, (normal(3, 4),), reference=norm_off, off="buffers"),
    Case(
        "in a subclass of BatchNorm1d",
        lambda: nn.Sequential(nn.Linear(4, 5), DroppingNorm(5)),
        (normal(3, 4),),
        reference=dropping_norm_off,
    ),
    Case(
        "switched off by its author, beside one that is on",
        lambda: Net(
            lambda m, x: F.dropout(F.dropout(F.dropout(x, 0.5, m.training and m.use), 0.5, False), 0.2, m.training),
            use=False,
        ),
        (normal(3, 4),),
        off="called with training=False",
    ),
]
