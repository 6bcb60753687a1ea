"""Networks on Fashion-MNIST and MNIST, all trained alike: SGD at .5, batches of 256, weights that begin as N(0, .01^2).

The first is the network of Zhang et al., "Dive into Deep Learning", section 4.6, with its 10 epochs. The second drops a
fifth of the pixels and half of the hidden units, as Srivastava et al. 2014, "Dropout", JMLR 15, appendix A.4, advise.
It takes 20 epochs: trained once on 50,000 images, its loss on the other 10,000 training images still fell after 10
epochs (.083) and hardly after 20 (.060).
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

import mcdrop
from mcdrop.data import images
from mcdrop.training import fit


@dataclass(frozen=True)
class Architecture:
    """Units of each hidden layer, rates of dropout of the pixels and of each hidden layer, and epochs of training."""

    hidden: tuple[int, ...]
    p_pixels: float
    p_hidden: tuple[float, ...]
    epochs: int


ARCHITECTURES = {
    "fashion-mnist": Architecture((256, 256), 0.0, (0.2, 0.5), epochs=10),
    "mnist": Architecture((512, 512), 0.2, (0.5, 0.5), epochs=20),
}
"""By the set that they are trained on."""

QUICK_EPOCHS = 4


def network(name: str, seed: int) -> nn.Module:
    """The network of a set before training; it takes images, (N, 28, 28), and returns logits, (N, 10)."""
    of = ARCHITECTURES[name]
    layers: list[nn.Module] = [nn.Flatten()]
    if of.p_pixels > 0:
        layers.append(nn.Dropout(of.p_pixels))
    for inputs, units, p in zip((28 * 28, *of.hidden), of.hidden, of.p_hidden, strict=False):
        layers += [nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(p)]
    net = nn.Sequential(*layers, nn.Linear(of.hidden[-1], 10))
    generator = torch.Generator().manual_seed(seed)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01, generator=generator)
            nn.init.zeros_(layer.bias)
    return net


def train(name: str, seed: int, quick: bool = False) -> nn.Module:
    """The network of a set, trained on all its training images; for a quick run in fewer epochs."""
    net, data = network(name, seed), images.load(name, part="train")
    fit(
        net, (data.images, data.labels), mcdrop.Categorical(), optimizer=partial(torch.optim.SGD, lr=0.5),
        epochs=QUICK_EPOCHS if quick else ARCHITECTURES[name].epochs, batch_size=256, seed=seed,
    )  # fmt: skip
    return net.eval()
