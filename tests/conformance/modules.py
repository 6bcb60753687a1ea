"""Dropout as PyTorch's modules."""

import torch.nn.functional as F
from torch import nn

from tests.conformance.case import Case, Net, normal


class Scaled(nn.Dropout):
    """A subclass that goes on with what its parent returns."""

    def forward(self, x):
        return 2 * super().forward(x) + 1


class Rewritten(nn.Dropout):
    """A subclass with a forward of its own."""

    def forward(self, x):
        return F.dropout(x, self.p / 2, self.training)


class AlwaysOn(nn.Dropout):
    """Dropout for Monte Carlo, as people write it: on in every mode."""

    def forward(self, x):
        return F.dropout(x, self.p, training=True)


class Spread(nn.Dropout2d):
    """A subclass that decides about its mode itself and takes one more argument."""

    def forward(self, x, strength=1.0):
        if not self.training or strength == 0:
            return x
        return strength * F.dropout2d(x, self.p, True) + (1 - strength) * x


class Hooked(nn.Module):
    """Hooks of the user on the dropout layer: one scales its output, one, a method of the model, reads its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 6), nn.Dropout(0.4), nn.Linear(6, 2)
        self.drop.register_forward_hook(lambda module, args, output: output * 3)
        self.drop.register_forward_pre_hook(self.shifted)

    def shifted(self, module, args):
        return (args[0] + self.first.bias,)

    def forward(self, x):
        return self.last(self.drop(self.first(x)))


def dropping_hook() -> nn.Module:
    """A hook that itself drops, with the flag of the module it hangs on."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
    model[1].register_forward_hook(lambda module, args, output: F.dropout(output, 0.3, module.training))
    return model


def through_input(model, x):
    model.drop(x)
    return model.last(x)


def spaces(model, x):
    return model.drop(model.last(model.drop(model.first(x).tanh())))


CASES = [
    Case(
        "a layer", lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)), (normal(3, 4),)
    ),
    Case(
        "Dropout1d",
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.Dropout1d(0.3), nn.Conv1d(4, 2, 1)),
        (normal(3, 2, 5),),
    ),
    Case(
        "Dropout2d and BatchNorm2d",
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.3)),
        (normal(3, 2, 4, 4),),
    ),
    Case(
        "Dropout3d, then Dropout",
        lambda: nn.Sequential(nn.Conv3d(1, 3, 2), nn.Dropout3d(0.4), nn.Flatten(), nn.Dropout(0.1), nn.Linear(24, 2)),
        (normal(3, 1, 3, 3, 3),),
    ),
    Case(
        "AlphaDropout",
        lambda: nn.Sequential(nn.Linear(4, 6), nn.SELU(), nn.AlphaDropout(0.2), nn.Linear(6, 2)),
        (normal(3, 4),),
    ),
    Case(
        "FeatureAlphaDropout",
        lambda: nn.Sequential(nn.Conv2d(2, 4, 2), nn.SELU(), nn.FeatureAlphaDropout(0.3), nn.Conv2d(4, 1, 1)),
        (normal(3, 2, 3, 3),),
    ),
    Case("a subclass around its parent", lambda: nn.Sequential(nn.Linear(4, 5), Scaled(0.3)), (normal(3, 4),)),
    Case("a subclass with its own forward", lambda: nn.Sequential(nn.Linear(4, 5), Rewritten(0.6)), (normal(3, 4),)),
    Case("a subclass that is always on", lambda: nn.Sequential(AlwaysOn(0.3), nn.Linear(4, 3)), (normal(3, 4),)),
    Case(
        "a subclass under an if",
        lambda: Net(lambda m, x: m.last(m.drop(x, strength=0.7)), drop=Spread(0.4), last=nn.Conv2d(3, 2, 1)),
        (normal(3, 3, 2, 2),),
    ),
    Case(
        "one layer at two call sites",
        lambda: Net(spaces, first=nn.Linear(4, 6), drop=nn.Dropout(0.4), last=nn.Linear(6, 3)),
        (normal(3, 4),),
    ),
    Case(
        "one layer under two names",
        lambda: (lambda drop: nn.Sequential(drop, nn.Linear(4, 4), nn.Sequential(nn.Tanh(), drop)))(nn.Dropout(0.3)),
        (normal(3, 4),),
    ),
    Case(
        "in place",
        lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.Linear(6, 2)),
        (normal(3, 4),),
    ),
    Case(
        "in place on the model's input",
        lambda: Net(through_input, drop=nn.Dropout(0.5, inplace=True), last=nn.Linear(4, 2)),
        (normal(3, 4),),
    ),
    Case("behind hooks", Hooked, (normal(3, 4),)),
    Case("in a hook", dropping_hook, (normal(3, 4),)),
    Case("the root itself", lambda: nn.Dropout(0.4), (normal(3, 4) + 2,)),
    Case(
        "p changed after wrapping",
        lambda: nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.7), nn.Linear(6, 2)),
        (normal(3, 4),),
        change=lambda model: setattr(model[1], "p", 0.1),
    ),
    Case(
        "p = 1 on one branch",
        lambda: Net(
            lambda m, x: m.all(m.last(x)) + m.some(x), last=nn.Linear(4, 4), all=nn.Dropout(1.0), some=nn.Dropout()
        ),
        (normal(3, 4),),
    ),
    Case(
        "partly in training mode when it comes",
        lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.4), nn.Linear(6, 4), nn.Dropout(0.2)),
        (normal(3, 4),),
        prepare=lambda model: (model[1].train(), model[2].train()),
    ),
]
