"""Masks that the model draws itself: on paths, activations, weights, edges."""

import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from tests.conformance.case import Case, Net, normal


class DropPath(nn.Module):
    """Stochastic depth as timm writes it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        coins = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        if keep > 0.0:
            coins.div_(keep)
        return x * coins


def stochastic_depth(x, p, mode, training):
    """As torchvision writes it."""
    if not training or p == 0.0:
        return x
    survival = 1.0 - p
    size = [x.shape[0]] + [1] * (x.ndim - 1) if mode == "row" else [1] * x.ndim
    noise = torch.empty(size, dtype=x.dtype, device=x.device)
    noise = noise.bernoulli_(survival)
    if survival > 0.0:
        noise.div_(survival)
    return x * noise


def keras_path(m, x):
    """As older code writes it: floor(keep + uniform)."""
    if not m.training:
        return x + m.branch(x)
    coins = torch.floor(0.7 + torch.rand((x.shape[0], 1), dtype=x.dtype))
    return x + m.branch(x) / 0.7 * coins


class Block(nn.Module):
    """Huang et al. 2016 with Python's generator: the whole branch is left out, and scaled in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(4, 4)

    def forward(self, x):
        if not self.training:
            return x + self.branch(x)
        if random.random() < 0.4:
            return x
        return x + self.branch(x) / 0.6


def bernoulli(m, x):
    if not m.training:
        return m.last(x)
    return m.last(x * torch.bernoulli(torch.full_like(x, 0.7)) / 0.7)


def filled(m, x):
    x = m.first(x)
    if m.training:
        x = x.masked_fill(torch.rand_like(x) < 0.4, 0.0) / 0.6
    return m.last(x)


def distribution(m, x):
    if m.training:
        keep = torch.distributions.Bernoulli(probs=torch.tensor(0.6, dtype=x.dtype)).sample(x.shape)
        x = x * keep / 0.6
    return m.last(x)


def chosen(m, x):
    """torch.where, with a scalar for what is dropped."""
    if m.training:
        x = torch.where(torch.rand(x.shape) < 0.25, 0.0, x / 0.75)
    return m.last(x)


def locked(m, x):
    """Merity et al. 2018: (time, rows, features), one mask for all steps."""
    if not m.training:
        return x
    mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(1 - m.p)
    mask = mask.div_(1 - m.p).expand_as(x)
    return mask * x


class WordDropout(nn.Module):
    """Merity et al. 2018: whole words left out of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 3)

    def forward(self, words):
        weight = self.embedding.weight
        if self.training:
            mask = weight.new_empty((weight.size(0), 1)).bernoulli_(0.6).expand_as(weight) / 0.6
            weight = mask * weight
        return F.embedding(words, weight)


def connect(m, x):
    return F.linear(F.linear(x, F.dropout(m.weight, 0.3, m.training)).tanh(), m.last.weight, m.last.bias)


def own_connect(m, x):
    """Every row its own dropped weights (Wan et al. 2013): (N, out, in)."""
    weight = m.weight.expand(len(x), -1, -1)
    if m.training:
        weight = weight * (torch.rand_like(weight) > 0.3) / 0.7
    return torch.bmm(weight, x[..., None])[..., 0]


class DropWeights(nn.Module):
    """A parametrization that drops."""

    def forward(self, weight):
        return F.dropout(weight, 0.4, self.training)


class MaskedWeights(nn.Module):
    """A parametrization that draws its mask itself."""

    def forward(self, weight):
        return weight * torch.bernoulli(torch.full_like(weight[:1], 0.6)) if self.training else weight * 0.6


def parametrized() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    parametrize.register_parametrization(model[0], "weight", DropWeights())
    parametrize.register_parametrization(model[2], "weight", MaskedWeights())
    return model


class ConcreteDropout(nn.Module):
    """Gal, Hron & Kendall 2017, as its authors write it."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.zeros(1))
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        p = torch.sigmoid(self.logit - 1)
        if not self.training:
            return self.last(x)
        noise = torch.rand_like(x)
        drop = torch.log(p + 1e-7) - torch.log(1 - p + 1e-7) + torch.log(noise + 1e-7) - torch.log(1 - noise + 1e-7)
        return self.last(x * (1 - torch.sigmoid(drop / 0.1)) / (1 - p))


def gaussian(m, x):
    return m.last(x * (1 + 0.5 * torch.randn_like(x))) if m.training else m.last(x)


def gaussian_factor(m, x):
    return m.last(x * torch.normal(1.0, 0.4, x.shape, dtype=x.dtype)) if m.training else m.last(x)


def drop_block(m, x):
    """Ghiasi et al. 2018."""
    if not m.training:
        return x
    seeds = (torch.rand_like(x) < 0.1).to(x.dtype)
    keep = 1 - F.max_pool2d(seeds, 3, stride=1, padding=1)
    return x * keep * keep.numel() / keep.sum().clamp(min=1)


def drop_head(m, x):
    """Whole heads of a sum of heads."""
    heads = m.heads(x).view(*x.shape[:2], 3, 2)
    if m.training:
        heads = heads * torch.empty(x.shape[0], 1, 3, 1).bernoulli_(0.6) / 0.6
    return heads.sum(2)


def samples(m, x):
    """Inoue 2019: several masks in one pass, averaged."""
    return torch.stack([m.head(drop(x)) for drop in m.drops]).mean(0)


def messages(m, x, edges):
    """DropEdge (Rong et al. 2020): edges left out of a sum over neighbours."""
    if m.training:
        edges = edges[:, torch.rand(edges.shape[1]) >= 0.3]
    source, target = edges
    return m.last(x + torch.zeros_like(x).index_add(0, target, m.first(x)[source]))


def weighted_messages(m, x, edges, weights):
    weights = F.dropout(weights, 0.4, m.training)
    source, target = edges
    return torch.zeros_like(x).index_add(0, target, weights[:, None] * x[source]).tanh() + m.node(x)


HOST = "loop: the host program decides which modules run"
REPEATED = "vectorised, inputs repeated"
EDGES = torch.tensor([[0, 1, 2, 3, 0, 2, 4], [1, 2, 3, 0, 2, 4, 0]])

CASES = [
    Case(
        "DropPath, as timm",
        lambda: Net(lambda m, x: x + m.path(m.first(x)), path=DropPath(0.3), first=nn.Linear(4, 4)),
        (normal(3, 5, 4),),
    ),
    Case(
        "stochastic depth, as torchvision, by row",
        lambda: Net(lambda m, x: x + stochastic_depth(m.first(x), 0.4, "row", m.training), first=nn.Conv2d(2, 2, 1)),
        (normal(3, 2, 2, 2),),
        execution=REPEATED,
    ),
    Case(
        "stochastic depth, as torchvision, by batch",
        lambda: Net(
            lambda m, x: x.cos() + stochastic_depth(m.first(x), 0.2, "batch", m.training), first=nn.Linear(4, 4)
        ),
        (normal(3, 4),),
        own_masks=False,
        execution=REPEATED,
    ),
    Case("stochastic depth by floor(keep + uniform)", lambda: Net(keras_path, branch=nn.Linear(4, 4)), (normal(3, 4),)),
    Case(
        "stochastic depth by Python's random",
        lambda: nn.Sequential(Block(), Block()),
        (normal(3, 4),),
        own_masks=False,
        execution=HOST,
    ),
    Case("torch.bernoulli", lambda: Net(bernoulli, last=nn.Linear(4, 3)), (normal(3, 4),)),
    Case("masked_fill", lambda: Net(filled, first=nn.Linear(4, 5), last=nn.Linear(5, 3)), (normal(3, 4),)),
    Case("torch.where", lambda: Net(chosen, last=nn.Linear(4, 3)), (normal(3, 4),)),
    Case("torch.distributions", lambda: Net(distribution, last=nn.Linear(4, 3)), (normal(3, 4),)),
    Case("locked dropout", lambda: Net(locked, p=0.3), (normal(4, 3, 4),), batch_dim=1),
    Case(
        "word dropout",
        WordDropout,
        (torch.tensor([[0, 1, 2], [3, 3, 5], [1, 4, 2]]),),
        own_masks=False,
        execution=REPEATED,
    ),
    Case(
        "DropConnect",
        lambda: Net(connect, weight=nn.Parameter(torch.zeros(5, 4)), last=nn.Linear(5, 2)),
        (normal(3, 4),),
        own_masks=False,
    ),
    Case("DropConnect, row by row", lambda: Net(own_connect, weight=nn.Parameter(torch.zeros(3, 4))), (normal(3, 4),)),
    Case("parametrizations", parametrized, (normal(3, 4),), own_masks=False),
    Case("concrete dropout", ConcreteDropout, (normal(3, 4),)),
    Case("Gaussian dropout, 1 + s e", lambda: Net(gaussian, last=nn.Linear(4, 3)), (normal(3, 4),)),
    Case("Gaussian dropout, N(1, s)", lambda: Net(gaussian_factor, last=nn.Linear(4, 3)), (normal(3, 4),)),
    Case("DropBlock, scaled by the batch", lambda: Net(drop_block), (normal(3, 2, 5, 5),), batch_dim=None),
    Case("whole heads", lambda: Net(drop_head, heads=nn.Linear(4, 6)), (normal(3, 2, 4),), execution=REPEATED),
    Case(
        "several masks in one pass, averaged",
        lambda: Net(samples, head=nn.Linear(4, 2), drops=nn.ModuleList(nn.Dropout(0.1 * k) for k in range(1, 5))),
        (normal(3, 4),),
    ),
    Case(
        "edges left out",
        lambda: Net(messages, first=nn.Linear(3, 3), last=nn.Linear(3, 2)),
        (normal(5, 3), EDGES),
        batch_dim=None,
        execution="loop: not vectorised (RuntimeError",
    ),
    Case(
        "weights of edges",
        lambda: Net(weighted_messages, node=nn.Linear(3, 3)),
        (normal(5, 3), EDGES, normal(7, seed=2)),
        batch_dim=None,
    ),
]
