"""The work that is timed: a network, rows, a number of passes, and how many times as fast mcdrop must be."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Work:
    """T passes of a network.

    Args:
        name: What the tables call it.
        make: Makes the network; its weights are those of torch's initialisation.
        shape: Of the input, rows first.
        num_samples: T.
        floor: How many times as fast as the fastest right answer of the others mcdrop must be.
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    num_samples: int
    floor: float

    def model(self) -> nn.Module:
        """The network in evaluation mode, every time with the same weights."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.make().eval()

    def x(self) -> Tensor:
        """The input, standard normal."""
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(1))


def mlp(width: int, p: float, *, depth: int = 2) -> nn.Module:
    """784 inputs, `depth` hidden layers with dropout after each, 10 outputs."""
    hidden = [
        layer
        for place in range(depth)
        for layer in (nn.Linear(width if place else 784, width), nn.ReLU(), nn.Dropout(p))
    ]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def regression() -> nn.Module:
    """The size of the UCI networks of Gal & Ghahramani (2016)."""
    return nn.Sequential(nn.Dropout(0.05), nn.Linear(13, 50), nn.ReLU(), nn.Dropout(0.05), nn.Linear(50, 1))


def head_only() -> nn.Module:
    """Three blocks of convolutions, and dropout behind them alone."""
    blocks = [
        layer
        for before, after in ((3, 32), (32, 64), (64, 64))
        for layer in (nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2))
    ]
    head = (nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
    return nn.Sequential(*blocks, *head)


def convnet() -> nn.Module:
    """Four blocks of convolutions with dropout of whole channels in each."""
    blocks = [
        layer
        for place in range(4)
        for layer in (nn.Conv2d(16 if place else 3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout2d(0.2))
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 256, 0.1, batch_first=True), 4)


class Tagger(nn.Module):
    """A recurrent network with dropout between its two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 64, 2, dropout=0.3, batch_first=True), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


WORK = (
    Work("MLP 784-1024-1024-10, p=.5, 256 rows", lambda: mlp(1024, 0.5), (256, 784), 100, 10),
    Work("MLP 784-256-256-10, p=.2, 64 rows", lambda: mlp(256, 0.2), (64, 784), 100, 6),
    Work("MLP 784-256-256-10, p=.5, 1 row", lambda: mlp(256, 0.5), (1, 784), 100, 1.5),
    Work("MLP 13-50-1, p=.05 on input and hidden, 500 rows", regression, (500, 13), 1000, 5),
    Work("CNN, dropout only in the head, 32 x 3 x 32 x 32", head_only, (32, 3, 32, 32), 50, 20),
    Work("CNN, Dropout2d in every block, 16 x 3 x 32 x 32", convnet, (16, 3, 32, 32), 30, 1.5),
    Work("Transformer encoder, 4 layers of 128, 8 x 32 tokens", encoder, (8, 32, 128), 30, 2.5),
    Work("LSTM, 2 layers of 64, 16 x 32 tokens", Tagger, (16, 32, 32), 50, 1.5),
)
