"""Points of a curve with a gap, and networks that are trained on them as anybody would."""

import math
import sys
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from mcdrop.data import sinusoid

NUM_POINTS, NOISE = 200, 0.1
LOW, HIGH = -6.0, 6.0
GAP = (0.0, 3.0)
MEMBERS = 5
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Points:
    """Inputs between `LOW` and `HIGH`, none of them in the gap, and noisy values of the curve."""

    x: Float[Tensor, "N 1"]
    y: Float[Tensor, "N 1"]


def curve(x: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """What the points scatter about, in the gap too: sin(pi x / 3).

    Example:
        >>> curve(torch.tensor([0.0, 1.5]))
        tensor([0., 1.])
    """
    return torch.sin(math.pi * x / 3)


def draw(seed: int) -> Points:
    """The points of `mcdrop.data.sinusoid`, its axis six times as long."""
    drawn = sinusoid.draw(NUM_POINTS, noise=NOISE, gap=(GAP[0] / HIGH, GAP[1] / HIGH), seed=seed)
    return Points(HIGH * drawn.x, drawn.y)


def build() -> nn.Sequential:
    """1-200-200-1 with ReLU, and dropout p = 0.2 before the last layer."""
    return nn.Sequential(
        nn.Linear(1, 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(200, 1),
    )


def train(points: Points, *, epochs: int, seed: int, show_progress: bool = True) -> list[nn.Sequential]:
    """Networks trained apart from each other by Adam on the squared error, all rows at once, in eval mode.

    Args:
        points: What to learn.
        epochs: Steps of each, at least 1.
        seed: Decides initial weights and dropout's masks. The global generator is left as found.
        show_progress: Show a bar on stderr when that is a terminal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators too
        models = [build() for _ in range(MEMBERS)]
        # tqdm's None means: silent unless the stream is a terminal.
        hide = None if show_progress else True
        with tqdm(total=MEMBERS * epochs, desc="training", unit="epoch", file=sys.stderr, disable=hide) as bar:
            for model in models:
                optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
                for _ in range(epochs):
                    loss = nn.functional.mse_loss(model(points.x), points.y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    bar.update()
    return [model.eval() for model in models]
