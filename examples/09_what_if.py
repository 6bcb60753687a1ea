"""09. What if: another law, another rate, in a net that is trained already.

Nothing has to be trained again to see a net's uncertainty under another law: `mcdrop.sites.insert` puts noise on the
input of a layer in a copy of the net, and `mcdrop.Sites(p=)` gives the dropout that is there another rate. The weights
stay, and since E[noise] = 1 each layer still sees the mean that it knows. What it was not trained for is the variance:

    image - conv (16 maps), pool -[noise]- conv (16 maps) - 10 classes

learns 400 digits, without noise or with dropout .5, and reads 300 others under each law and p, 50 draws each. Against
one plain pass of the same net: mean differences over 8 nets. AUROC: the chance that a turned digit looks more doubtful.
"""

import argparse
import copy
import json
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import mcdrop
from mcdrop import calibration, noise
from mcdrop.data import digits
from mcdrop.sites import insert
from mcdrop.training import fit

RATES, CLASSES, ADAM = (0.05, 0.1, 0.2, 0.4, 0.7), mcdrop.Categorical(), partial(torch.optim.Adam, lr=5e-3)
SCORES = calibration.negative_log_likelihood, calibration.expected_calibration_error
LAWS = {  # what is put before the second convolution, or around it; None: the net was trained with dropout there
    "Bernoulli": noise.BernoulliDropout,
    "Gaussian": noise.GaussianDropout,
    "Spatial": noise.SpatialDropout,
    "DropBlock": partial(noise.DropBlock, block_size=2),
    "Masksembles": lambda p: noise.Masksembles(16, num_masks=8, scale=1 / (1 - p)),
    "DropConnect": noise.DropConnect,
    "trained at .5": None,
}


def trained(data, seed, epochs, p=None):
    torch.manual_seed(seed)
    stem = nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    net = nn.Sequential(*stem, nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    net = insert(net, nn.Dropout(p), before="4") if p else net
    fit(net, (data.train_images, data.train_labels), CLASSES, optimizer=ADAM, epochs=epochs, batch_size=50, seed=seed)
    return net.eval().requires_grad_(False)


def scores(predict, data):
    """NLL, ECE, AUROC."""
    x, y = data.test_images[:300], data.test_labels[:300]
    own, turned = predict(x), predict(digits.rotate(x, 135))
    return [*(score(own, y).value for score in SCORES), calibration.auroc_ood(own, turned).value]


def change(law, p, net, data, draws):
    """What the law, or the rate, adds to the scores of one plain pass."""
    other = copy.deepcopy(net)
    if law == "DropConnect":
        other[4] = noise.DropConnect(net[4], p).eval()
    elif LAWS[law] is not None:
        other = insert(net, LAWS[law](p), before="4")
    rate = p if LAWS[law] is None else None
    ask = mcdrop.MCDropout(other, likelihood=CLASSES, num_samples=draws, seed=0, sites=mcdrop.Sites(p=rate))
    return np.subtract(scores(ask, data), scores(lambda x: net(x).softmax(-1), data))


def main(out: Path, quick: bool) -> None:
    count, epochs, draws = (2, 5, 10) if quick else (8, 40, 50)
    sets = [digits.load(test_share=0.7774, seed=seed) for seed in range(count)]
    nets = {p: [trained(data, seed, epochs, p) for seed, data in enumerate(sets)] for p in (None, 0.5)}
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    numbers = {}
    print("Change against one plain pass of the same net: NLL, nats; ECE; AUROC")
    for law, make in LAWS.items():
        rates = RATES[law == "Masksembles" :]  # 16 maps have no 8 masks that differ so little
        pairs = list(zip(nets[None if make else 0.5], sets, strict=True))
        found = np.array([[change(law, p, net, data, draws) for net, data in pairs] for p in rates])
        mean, error = found.mean(1), found.std(1, ddof=1) / np.sqrt(count)
        numbers[law] = dict(zip(map(str, rates), found.tolist(), strict=True))
        for p, m, e in zip(rates, mean, error, strict=True):
            print(f"  {law:14} p = {p:<5}" + "".join(f"{a:9.3f} +- {b:.3f}" for a, b in zip(m, e, strict=True)))
        for ax, m, e, name in zip(axes, mean.T, error.T, ("NLL, nats", "ECE", "AUROC"), strict=True):
            ax.errorbar(rates, m, e, fmt="-o" if make else "k-o", ms=4, capsize=3, label=law)
            ax.set(xlabel="p", title=f"change of {name}")
    axes[0].legend(fontsize=8)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "09_what_if.png", dpi=150)
    (out / "09_what_if.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What if: another law or rate in a net that is trained already.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    parser.add_argument("--quick", action="store_true", help="fewer nets, epochs and draws")
    main(**vars(parser.parse_args()))
