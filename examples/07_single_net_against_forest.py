"""07. A single net against the forest: Fashion-MNIST, trained, compared, drawn.

Training with dropout shows the loss of sub-networks, a new one for each batch: single trees. What is used afterwards is
the whole net with its weights scaled, one stand-in for the forest, or the average of T trees. They are three predictors
with three losses on the same rows:

    one tree             1/T sum_t -log p(y | x, z_t)           the loss that training prints
    the forest           -log 1/T sum_t p(y | x, z_t)           never above it (Jensen)
    the whole net        -log p(y | x, E[z])                    one pass, dropout off

So a test loss below the train loss is no riddle: the two are of different predictors. Compared like with like, each is
worse on new images than on those that it was trained on. And whether the forest beats the whole net is a matter of
measurement: the paired difference says, with its errors from the choice of images and of masks, and it is small here.

The net is 784-256-256-10 with dropout .2 and .5, as in "Dive into Deep Learning", section 4.6; SGD .5, batches of 256,
10 epochs. MC dropout as an average of k trees: Srivastava et al. 2014, sec. 7.5.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

import mcdrop
from mcdrop.data import images
from mcdrop.plots.forest import loss_against_samples
from mcdrop.training import compare, fit

SHOWN = 10_000  # training images that are compared on, as many as there are test images


def network(seed: int) -> nn.Module:
    """The source's net; its weights begin as N(0, .01^2)."""
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01, generator=generator)
            nn.init.zeros_(layer.bias)
    return net


def main(out: Path) -> None:
    train, test = (images.load("fashion-mnist", part=part) for part in ("train", "test"))
    net, likelihood = network(seed=0), mcdrop.Categorical()
    history = fit(
        net, (train.images, train.labels), likelihood, optimizer=partial(torch.optim.SGD, lr=0.5), epochs=10,
        batch_size=256, validation=(test.images, test.labels), num_samples=10, seed=0,
    )  # fmt: skip
    seen = (train.images[:SHOWN], train.labels[:SHOWN])
    found = compare(net, (test.images, test.labels), train=seen, likelihood=likelihood, num_samples=100, seed=0)
    print(found)
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    epochs = range(1, len(history) + 1)
    left.plot(epochs, history.train_loss, "o:", color="#D55E00", label="one tree, train: what training prints")
    left.plot(epochs, history.weight_scaled_loss, "o-k", label="weight-scaled net, test")
    left.plot(epochs, history.mc_loss, "o-", color="#0072B2", label="forest: 10 trees averaged, test")
    left.set(xlabel="epoch", ylabel="-log p(y), nats", ylim=(0.3, 0.75), title="Training: trees, net and forest")
    left.legend()
    loss_against_samples(found, right).set(title="Trained: how many trees make a forest")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "07_single_net_against_forest.png", dpi=150)
    (out / "07_single_net_against_forest.json").write_text(json.dumps(found.to_dict()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A single net against the forest: Fashion-MNIST.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
