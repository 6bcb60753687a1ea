"""03. The rate: too little dropout overfits, too much underfits.

Training minimises the loss of random sub-networks f(x, z; w), a new one for every digit and step:

    L(w) = 1/N sum_n -log softmax(f(x_n, z_n; w))_{y_n},     z_n ~ Bernoulli(1 - p) / (1 - p)

Noise makes that harder: the training loss RISES with the rate p. (Tutorials that say a higher rate lowers it are
wrong, as the numbers show.) The gain is on digits never seen: their loss first falls, because a noisy net cannot learn
by heart, then rises, because too little of the net is left. Test loss is that of the whole net, dropout off: the
forest, where training sees a tree at a time. So it may well lie below.

To make overfitting plain we train on 200 digits and draw one label in ten at random. Means and standard errors over 8
seeds, which all rates share; by hand in NumPy and with torch.nn.Dropout. Srivastava et al. 2014, JMLR 15, section 7.3.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from mcdrop.scratch import cross_entropy, init_mlp, mlp_forward, sgd_epoch

RATES, SEEDS, EPOCHS, BATCH, STEP, SIZES = (0.0, 0.2, 0.5, 0.8), range(8), 80, 20, 0.2, [64, 64, 10]
IMAGES, DIGITS = load_digits(return_X_y=True)


def split(seed):
    """Images and labels: 200 digits to train on, one label in ten drawn at random, and the others, clean, to test."""
    rng = np.random.default_rng(seed)
    train, test = np.split(rng.permutation(len(IMAGES)), [200])
    labels = np.where(rng.random(200) < 0.1, rng.integers(0, 10, 200), DIGITS[train])
    return (IMAGES[train] / 16, labels), (IMAGES[test] / 16, DIGITS[test])


def by_hand(p, seed):
    """After each epoch, the loss that training saw, that of the whole net on the same digits, and the test loss."""
    (train, test), rng, curve = split(seed), np.random.default_rng(seed), []
    layers = init_mlp(SIZES, rng)
    for _ in range(EPOCHS):
        layers, seen = sgd_epoch(layers, *train, rates=[p], learning_rate=STEP, batch_size=BATCH, rng=rng)
        curve.append([seen, *(cross_entropy(mlp_forward(layers, x)[0], y) for x, y in (train, test))])
    return curve


def built_in(p, seed):
    """The same with torch.nn.Dropout and autograd, from the same initial weights."""
    train, test = ([torch.from_numpy(values) for values in pair] for pair in split(seed))
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(p), nn.Linear(64, 10)).double()
    start = [values.T.ravel() for layer in init_mlp(SIZES, np.random.default_rng(seed)) for values in layer]
    nn.utils.vector_to_parameters(torch.from_numpy(np.concatenate(start)), net.parameters())
    optimiser, loss_of, curve = torch.optim.SGD(net.parameters(), lr=STEP), nn.CrossEntropyLoss(), []
    for _ in range(EPOCHS):
        net.train()
        losses = []
        for rows in torch.randperm(200).split(BATCH):
            losses.append(loss_of(net(train[0][rows]), train[1][rows]))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
        net.eval()
        curve.append([sum(losses).item() / len(losses), *(loss_of(net(x), y).item() for x, y in (train, test))])
    return curve


def main(out: Path) -> None:
    runs = np.array([[[run(p, seed) for p in RATES] for run in (by_hand, built_in)] for seed in SEEDS])
    hand, torchs = final = runs[..., -10:, :].mean(-2).swapaxes(0, 1)  # last ten epochs: (run, seed, rate, loss)
    table = {"by hand": hand, "built in": torchs, "gap": hand - torchs, "rise": np.diff(final.mean(0), axis=1)}
    numbers = {name: np.array([v.mean(0), v.std(0, ddof=1) / np.sqrt(len(SEEDS))]) for name, v in table.items()}
    for index, loss in enumerate(["training loss, sub-networks", "training loss, whole net", "test loss, whole net"]):
        print(f"{loss}, nats per digit, at rates {RATES}; gap: by hand - built in, rise: from rate to rate")
        for name, pair in numbers.items():
            print(f"  {name:8}", *(f"{mean:8.3f} +- {error:.3f}" for mean, error in pair[..., index].T))

    figure, axes = plt.subplots(1, 5, figsize=(14, 3.8), layout="constrained", sharey=True)
    for index, colour, name in ((0, "#0072B2", "training"), (2, "#D55E00", "test")):
        for k, (run, look) in enumerate({"by hand": {"lw": 5, "alpha": 0.35}, "built in": {"lw": 1.3}}.items()):
            for ax, p, curve in zip(axes, RATES, runs[:, k, :, :, index].mean(0), strict=False):
                ax.plot(range(1, EPOCHS + 1), curve, color=colour, **look)
                ax.set(title=f"p = {p}", xlabel="epoch", yscale="log")
            axes[4].errorbar(RATES, *numbers[run][..., index], color=colour, capsize=3, label=f"{name}, {run}", **look)
    axes[0].set_ylabel("cross-entropy, nats per digit")
    axes[4].set(title="last ten epochs", xlabel="rate p", xticks=RATES)
    axes[4].legend(fontsize=8)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "03_rates.png", dpi=150)
    (out / "03_rates.json").write_text(json.dumps({name: pair.tolist() for name, pair in numbers.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The rate: too little dropout overfits, too much underfits.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
