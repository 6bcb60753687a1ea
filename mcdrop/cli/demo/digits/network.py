"""The demo's network, and its training as anybody would write it."""

import sys

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm import tqdm

BATCH_SIZE = 64
LEARNING_RATE = 1e-3


def build() -> nn.Sequential:
    """64-256-256-10 with ReLU and dropout p = 0.5 after each hidden layer; takes (N, 8, 8), returns logits (N, 10)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 10),
    )


def train(
    images: Float[Tensor, "N 8 8"], labels: Int[Tensor, " N"], *, epochs: int, seed: int, show_progress: bool = True
) -> nn.Sequential:
    """A new network, trained by Adam on the cross-entropy, in eval mode.

    Args:
        images: Training images in [0, 1].
        labels: Their classes, 0 to 9.
        epochs: Passes through the training images, at least 1.
        seed: Decides initial weights, order of the rows and dropout's masks. The global generator is left as found.
        show_progress: Show a bar on stderr when that is a terminal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators too
        model = build()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        # tqdm's None means: silent unless the stream is a terminal.
        hide = None if show_progress else True
        for _ in tqdm(range(epochs), desc="training", unit="epoch", file=sys.stderr, disable=hide):
            for rows in torch.randperm(len(labels)).split(BATCH_SIZE):
                loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model.eval()
