"""Small networks of the tests: one idiom of dropout each."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Module and functional dropout, one layer called twice."""

    def __init__(self, inputs: int = 6, hidden: int = 16, outputs: int = 3, p: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, outputs)
        self.drop = nn.Dropout(p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(F.relu(self.first(x)))
        hidden = self.drop(F.relu(self.second(hidden)))
        return self.last(F.dropout(hidden, self.p / 2, self.training))


class ConvNet(nn.Module):
    """Convolutions with BatchNorm, whole channels dropped, then a head with plain dropout."""

    def __init__(self, p: float = 0.3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout2d(p),
            nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout2d(p),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(p), nn.Linear(6 * 16, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Residual(nn.Module):
    """Residual sums around dropout, with BatchNorm."""

    def __init__(self, width: int = 8, p: float = 0.4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(p)) for _ in range(3)
        )
        self.last = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class FoldedRows(nn.Module):
    """Tokens folded into the batch before dropout: (N, L, D) becomes (N * L, D), or (L * N, D) if not `inner`."""

    def __init__(self, inner: bool, p: float = 0.5) -> None:
        super().__init__()
        self.inner = inner
        self.linear = nn.Linear(4, 4)
        self.drop = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        if not self.inner:
            x = x.transpose(0, 1)
        folded = self.drop(self.linear(x.reshape(rows * length, width)))
        if self.inner:
            return folded.view(rows, length, width)
        return folded.view(length, rows, width).transpose(0, 1)


class Encoder(nn.Module):
    """PyTorch's own encoder: attention inside one function, plain dropout around it."""

    def __init__(self, need_weights: bool = False, p: float = 0.3) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, p, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, dropout=p, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        padding = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        padding[:, -1] = True
        x = self.layer(x, src_key_padding_mask=padding)
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


class Tagger(nn.Module):
    """A recurrent layer of several layers, on padded or on packed sequences."""

    def __init__(self, kind: type[nn.RNNBase], packed: bool, p: float = 0.4, **options: int) -> None:
        super().__init__()
        self.recurrent = kind(3, 4, 3, dropout=p, batch_first=True, **options)
        self.packed = packed

    def forward(self, x: Tensor) -> Tensor:
        if not self.packed:
            return self.recurrent(x)[0]
        lengths = torch.full((len(x),), x.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        out = self.recurrent(packed)[0]
        return out.data.view(x.shape[1], len(x), -1).transpose(0, 1)


class DropPath(nn.Module):
    """Stochastic depth as timm writes it: one coin for each row, drawn in place."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0.0 or not self.training:
            return x
        coins = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.p)
        return x * coins.div_(1 - self.p)


class ByHand(nn.Module):
    """Masks that the model draws itself: on a path, on a weight, on an activation, Gaussian."""

    def __init__(self, width: int = 6, p: float = 0.3) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.path = DropPath(p)
        self.second = nn.Linear(width, width)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.path(self.first(x).tanh())
        weight = self.second.weight
        if self.training:
            weight = weight * (torch.rand_like(weight) >= self.p) / (1 - self.p)
        x = F.linear(x, weight, self.second.bias).tanh()
        if self.training:
            x = x * torch.bernoulli(torch.full_like(x, 1 - self.p)) / (1 - self.p)
        return x * (1 + 0.3 * torch.randn_like(x)) if self.training else x


class LockedDropout(nn.Module):
    """One mask for all steps of a sequence (time, rows, features), as AWD-LSTM writes it."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        if self.training:
            mask = x.new_empty(1, x.shape[1], x.shape[2]).bernoulli_(0.6) / 0.6
            x = x * mask.expand_as(x)
        return x.transpose(0, 1)


class LayerDrop(nn.Module):
    """Whole layers left out by a decision of the host program."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            if self.training and torch.rand(()) < 0.4:
                continue
            x = x + layer(x).tanh()
        return x


def trained_looking(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 with weights and running statistics that are not the initial ones, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                with torch.no_grad():
                    tensor.copy_(torch.randn_like(tensor) * 0.5).abs_().add_(
                        0.5
                    ) if tensor.ndim == 1 else tensor.normal_(0, 0.5)
    return model.double().eval()


FAMILIES = {
    "mlp": (MLP, (5, 6)),
    "convnet with BatchNorm": (ConvNet, (4, 2, 4, 4)),
    "residual net": (Residual, (5, 8)),
    "tokens in rows": (lambda: FoldedRows(inner=True), (3, 5, 4)),
    "rows in tokens": (lambda: FoldedRows(inner=False), (3, 5, 4)),
    "encoder, fused attention": (Encoder, (3, 4, 8)),
    "encoder, attention with its weights": (lambda: Encoder(need_weights=True), (3, 4, 8)),
    "LSTM both ways, projected": (lambda: Tagger(nn.LSTM, False, bidirectional=True, proj_size=2), (3, 5, 3)),
    "GRU on packed sequences": (lambda: Tagger(nn.GRU, True), (3, 5, 3)),
    "RNN": (lambda: Tagger(nn.RNN, False), (3, 5, 3)),
    "masks by hand": (ByHand, (4, 6)),
    "locked dropout": (LockedDropout, (3, 5, 4)),
}


def family(name: str) -> tuple[nn.Module, Tensor]:
    """A model of the family, in float64, and an input for it."""
    make, shape = FAMILIES[name]
    return trained_looking(make()), torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
