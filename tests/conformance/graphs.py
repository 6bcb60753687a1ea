"""Message passing as torch_geometric writes it: a graph is one row, features and edges are dropped."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conformance.case import Case, Net, normal

NODES = normal(5, 3)
EDGES = torch.tensor([[0, 1, 2, 3, 0, 2, 4], [1, 2, 3, 0, 2, 4, 0]])
BATCH = torch.tensor([0, 0, 0, 1, 1])
LOOP = "loop: not vectorised (RuntimeError"


def dropout_edge(edges: Tensor, p: float, training: bool) -> tuple[Tensor, Tensor]:
    """`torch_geometric.utils.dropout_edge`: the edges that are kept, and which."""
    if not training or p == 0.0:
        return edges, torch.ones(edges.shape[1], dtype=torch.bool)
    kept = torch.rand(edges.shape[1], device=edges.device) >= p
    return edges[:, kept], kept


def dropout_node(edges: Tensor, p: float, count: int, training: bool) -> Tensor:
    """`torch_geometric.utils.dropout_node`: the edges between nodes that are kept."""
    if not training or p == 0.0:
        return edges
    kept = torch.rand(count, device=edges.device) > p
    return edges[:, kept[edges[0]] & kept[edges[1]]]


class MessagePassing(nn.Module):
    """Messages along edges, summed at their targets: `propagate` calls `message`, `aggregate` and `update`."""

    def propagate(self, edges: Tensor, x: Tensor, **values: Tensor) -> Tensor:
        messages = self.message(x.index_select(0, edges[0]), **values)
        return self.update(self.aggregate(messages, edges[1], len(x)))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def aggregate(self, messages: Tensor, target: Tensor, count: int) -> Tensor:
        index = target.view(-1, *[1] * (messages.ndim - 1)).expand_as(messages)
        return messages.new_zeros(count, *messages.shape[1:]).scatter_add_(0, index, messages)

    def update(self, aggregated: Tensor) -> Tensor:
        return aggregated


class GCN(MessagePassing):
    """Kipf & Welling 2017: weights of edges 1 / sqrt(degree degree)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        degree = torch.ones(len(x), dtype=x.dtype).index_add(0, edges[1], torch.ones(edges.shape[1], dtype=x.dtype))
        weight = degree[edges[0]].rsqrt() * degree[edges[1]].rsqrt()
        x = self.linear(x)
        return self.propagate(edges, x, weight=weight) + x / degree[:, None]

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        return weight[:, None] * x_j


class GAT(MessagePassing):
    """Velickovic et al. 2018: attention over the edges of a target, dropped edge by edge and head by head."""

    def __init__(self, inputs: int, outputs: int, heads: int = 2, p: float = 0.4) -> None:
        super().__init__()
        self.linear, self.p, self.heads = nn.Linear(inputs, heads * outputs), p, heads
        self.source, self.target = (nn.Parameter(torch.zeros(1, heads, outputs)) for _ in range(2))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = self.linear(x).view(len(x), self.heads, -1)
        score = (x * self.source).sum(-1)[edges[0]] + (x * self.target).sum(-1)[edges[1]]
        weight = F.leaky_relu(score, 0.2).exp()
        weight = weight / self.aggregate(weight, edges[1], len(x))[edges[1]]
        return self.propagate(edges, x, weight=weight)

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        return F.dropout(weight, p=self.p, training=self.training)[..., None] * x_j

    def update(self, aggregated: Tensor) -> Tensor:
        return aggregated.flatten(1)


def features(m, x, edges):
    x = F.dropout(x, p=0.3, training=m.training)
    x = F.dropout(m.first(x, edges).relu(), p=0.5, training=m.training)
    return m.last(x, edges).log_softmax(dim=-1)


def edges_and_features(m, x, edges):
    kept, _ = dropout_edge(edges, 0.3, m.training)
    return m.last(m.drop(m.first(x, kept).relu()), kept)


def nodes_left_out(m, x, edges):
    return m.last(m.first(x, dropout_node(edges, 0.3, len(x), m.training)).relu(), edges)


def pooled(m, x, edges, batch):
    """Several graphs as one, read graph by graph: no axis of the input holds them."""
    x = F.dropout(m.first(x, edges).relu(), 0.5, m.training)
    count = int(batch.max()) + 1
    return m.head(x.new_zeros(count, x.shape[1]).index_add(0, batch, x))


def two_layers(first=GCN, width=4):
    return {"first": first(3, 4), "last": GCN(width, 2)}


CASES = [
    Case("features", lambda: Net(features, **two_layers()), (NODES, EDGES), batch_dim=None),
    Case(
        "edges and features",
        lambda: Net(edges_and_features, drop=nn.Dropout(0.4), **two_layers()),
        (NODES, EDGES),
        batch_dim=None,
        execution=LOOP,
    ),
    Case("nodes", lambda: Net(nodes_left_out, **two_layers()), (NODES, EDGES), batch_dim=None, execution=LOOP),
    Case("attention over edges", lambda: Net(features, **two_layers(GAT, 8)), (NODES, EDGES), batch_dim=None),
    Case(
        "several graphs, read one by one",
        lambda: Net(pooled, first=GCN(3, 4), head=nn.Linear(4, 2)),
        (NODES, EDGES, BATCH),
        batch_dim=None,
    ),
]
