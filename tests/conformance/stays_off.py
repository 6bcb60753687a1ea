"""What training mode does besides dropout: it stays off, or the two cannot be told apart and the error says so."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.conformance.case import Case, Net, normal

X = (normal(3, 4),)


def averaging(m, x):
    if m.training:
        with torch.no_grad():
            m.average.lerp_(x.mean(dim=0), 0.1)
    return m.last(F.dropout(x - m.average, 0.4, training=m.training))


class Averaging(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.last = function, nn.Linear(4, 3)
        self.register_buffer("average", torch.zeros(4))

    def forward(self, x):
        return self.function(self, x)


def averaging_and_dropout(m, x):
    if m.training:
        m.average.mul_(0.9).add_(x.mean(dim=0) * 0.1)
        x = F.dropout(x, 0.4)
    return m.last(x - m.average)


class OneFlag(nn.BatchNorm1d):
    """The flag in a local variable, for statistics and dropout."""

    def forward(self, x):
        training = self.training
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training)
        return F.dropout(x, 0.3, training)


class Inception(nn.Module):
    """A second head that is there in training mode only."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.head, self.aux = nn.Linear(4, 5), nn.Dropout(0.4), nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x):
        x = self.body(x).relu()
        aux = self.aux(x) if self.training else None
        x = self.head(self.drop(x))
        return (x, aux) if self.training else x


def without_aux(m):
    return lambda x: m.head(F.dropout(m.body(x).relu(), 0.4))


class Detector(nn.Module):
    """Demands targets in training mode and returns losses."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.drop = nn.Linear(4, 2), nn.Dropout(0.3)

    def forward(self, x, targets=None):
        if self.training and targets is None:
            raise ValueError("targets should be passed in training mode")
        out = self.head(self.drop(x))
        if self.training:
            return {"loss": F.mse_loss(out, targets)}
        return out


def noisy(m, x):
    if m.training:
        x = x + 0.5 * torch.randn_like(x)
    return m.last(m.drop(x))


def noisy_gate(m, x):
    """Shazeer et al. 2017: noise on the gate of a mixture, dropout on its result."""
    gate = m.gate(x)
    if m.training:
        gate = gate + torch.randn_like(gate) * F.softplus(gate)
    return F.dropout(gate.softmax(-1) * x, 0.3, m.training)


def spec_augment(m, x):
    """Steps of the input replaced by a learned vector."""
    if m.training:
        steps = torch.rand(x.shape[:2]) < 0.3
        x = torch.where(steps[..., None], m.vector, x)
    return m.drop(x)


def noise_and_dropout(m, x):
    if m.training:
        x = F.dropout(x + 0.1 * torch.randn_like(x), 0.4)
    return m.last(x)


def dropout_and_aux(m, x):
    hidden = m.body(x)
    if not m.training:
        return m.head(hidden)
    hidden = F.dropout(hidden, 0.3)
    return m.head(hidden), hidden


def shuffled(m, x):
    if m.training:
        x = x + x[torch.randperm(len(x))]
    return m.drop(x)


def exponential(m, x):
    return m.drop(x) * torch.empty_like(x).exponential_() if m.training else m.drop(x)


def checkpointed(m, x):
    return checkpoint(m.block, x, use_reentrant=False) if m.training and m.saves_memory else m.block(x)


def spectral_new() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5)), nn.Dropout(0.3), nn.Linear(5, 2))


def spectral_old() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Dropout(0.4))


def first_off(m):
    m.train()
    m[0].eval()
    for part in m[0].modules():
        part.eval()
    return m


def dropping_alone(m):
    for part in m.modules():
        part.train(isinstance(part, nn.Dropout))
    return m


CASES = [
    Case(
        "BatchNorm3d and SyncBatchNorm",
        lambda: nn.Sequential(nn.BatchNorm3d(2), nn.Dropout3d(0.3), nn.SyncBatchNorm(2), nn.Flatten(), nn.Dropout(0.2)),
        (normal(3, 2, 2, 2, 2),),
    ),
    Case(
        "InstanceNorm with running statistics",
        lambda: nn.Sequential(
            nn.InstanceNorm1d(2, affine=True, track_running_stats=True), nn.Dropout1d(0.4), nn.Conv1d(2, 3, 2)
        ),
        (normal(3, 2, 4),),
    ),
    Case(
        "BatchNorm without running statistics",
        lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Dropout(0.4)),
        (normal(3, 4),),
        rows_tied="influence each other",
    ),
    Case(
        "an average of the inputs",
        lambda: Averaging(averaging),
        X,
        reference=lambda m: lambda x: m.last(F.dropout(x - m.average, 0.4)),
        off="buffers",
    ),
    Case("spectral norm", spectral_new, X, reference=first_off, off="buffers"),
    Case("spectral norm by a hook", spectral_old, X, reference=first_off, off="buffers"),
    Case("an auxiliary head", Inception, X, reference=without_aux, off="the output is"),
    Case("required targets, losses", Detector, X, reference=dropping_alone, off="raises ValueError: targets should"),
    Case(
        "additive noise",
        lambda: Net(noisy, drop=nn.Dropout(0.4), last=nn.Linear(4, 2)),
        X,
        reference=dropping_alone,
        off="additive noise",
    ),
    Case(
        "a noisy gate beside dropout",
        lambda: Net(noisy_gate, gate=nn.Linear(4, 4)),
        X,
        reference=lambda m: lambda x: F.dropout(m.gate(x).softmax(-1) * x, 0.3),
        off="additive noise",
    ),
    Case(
        "steps replaced by a learned vector",
        lambda: Net(spec_augment, drop=nn.Dropout(0.3), vector=nn.Parameter(torch.zeros(4))),
        (normal(3, 5, 4),),
        reference=dropping_alone,
        off="replacement of values",
    ),
    Case(
        "RReLU's random slope",
        lambda: nn.Sequential(nn.Linear(4, 5), nn.RReLU(), nn.Dropout(0.3)),
        X,
        reference=dropping_alone,
        execution="loop: not vectorised (RuntimeError: vmap: we do not yet support aten::rrelu",
    ),
    Case(
        "checkpoints in training mode",
        lambda: Net(checkpointed, saves_memory=True, block=nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Tanh())),
        X,
        reference=dropping_alone,
    ),
    Case("one flag: an average and dropout", lambda: Averaging(averaging_and_dropout), X, refused=r"dropout.*buffers"),
    Case("one flag: batch_norm and dropout", lambda: nn.Sequential(OneFlag(4)), X, refused=r"0:dropout.*buffers"),
    Case(
        "one flag: noise and dropout",
        lambda: Net(noise_and_dropout, last=nn.Linear(4, 2)),
        X,
        refused=r"dropout.*additive noise",
    ),
    Case(
        "one flag: dropout and another output",
        lambda: Net(dropout_and_aux, body=nn.Linear(4, 4), head=nn.Linear(4, 2)),
        X,
        refused=r"dropout.*the output is tuple",
    ),
    Case("rows mixed", lambda: Net(shuffled, drop=nn.Dropout(0.3)), X, refused=r"randperm in Net .*stays_off.py"),
    Case("a law that is not known", lambda: Net(exponential, drop=nn.Dropout(0.3)), X, refused=r"exponential_ in Net"),
]
