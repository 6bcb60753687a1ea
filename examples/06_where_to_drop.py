"""06. Where to drop: dense and convolutional layers, early and late.

The law of dropout is the same everywhere, h' = mask h / (1 - p); what it does depends on what the units are. A dense
unit stands alone. In a feature map a dropped pixel is half known from its neighbours, and one kernel reads all pixels,
so that noise averages out. The common advice: dropout helps dense layers most, because they hold most parameters; in a
convolutional net use it in the first layers, and in later ones with care. We put that to the test. One net,

    image - conv (8 maps) - pool -[A]- conv (16 maps) -[B]- dense (64) -[C]- dense (64) -[D]- 10 classes

learns 200 digits, one label in ten drawn at random, with p = 0.5 at one of the four sites or nowhere. The numbers say:
every site helps; convolutional sites help MORE than dense ones, against the advice; early ones perhaps more than late,
as it has it, but 8 seeds do not settle that (1.7 standard errors). Noise in an early layer reaches all later ones and
guards their parameters too: so Srivastava et al. 2014, JMLR 15, section 6.1.2, explain what they saw in larger nets.
The price is time: after 15 epochs A is still far behind no dropout. One small net, one rate: no law.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

P, SEEDS, EPOCHS_SEEN = 0.5, range(8), range(5, 51, 5)
SITES = {"none": "xblack", "A: conv, early": "o#0072B2", "B: conv, late": "s#56B4E9"}  # marker and colour
SITES |= {"C: dense, early": "D#D55E00", "D: dense, late": "v#E69F00"}
IMAGES, DIGITS = load_digits(return_X_y=True)
IMAGES = torch.tensor(IMAGES / 16, dtype=torch.float32).view(-1, 1, 8, 8)


def build(site):
    """The net, with dropout at one site (1 to 4) or at none (0)."""
    a, b, c, d = (nn.Dropout(P if site == k else 0.0) for k in (1, 2, 3, 4))
    maps = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), a, nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), b]
    dense = [nn.Linear(256, 64), nn.ReLU(), c, nn.Linear(64, 64), nn.ReLU(), d, nn.Linear(64, 10)]
    return nn.Sequential(*maps, nn.Flatten(), *dense)


def train(site, seed):
    """Test loss and test error, dropout off, after every fifth epoch (10, 2)."""
    rng = np.random.default_rng(seed)
    rows, test, _ = np.split(rng.permutation(len(DIGITS)), [200, 1000])
    x, y = IMAGES[rows], torch.from_numpy(np.where(rng.random(200) < 0.1, rng.integers(0, 10, 200), DIGITS[rows]))
    torch.manual_seed(seed)
    net, loss_of, curve = build(site), nn.CrossEntropyLoss(), []
    optimiser = torch.optim.Adam(net.parameters(), lr=6e-3, fused=True)
    for epoch in range(1, 51):
        net.train()
        for batch in torch.randperm(200).split(50):
            optimiser.zero_grad()
            loss_of(net(x[batch]), y[batch]).backward()
            optimiser.step()
        if epoch in EPOCHS_SEEN:
            net.eval()
            with torch.no_grad():
                logits, labels = net(IMAGES[test]), torch.from_numpy(DIGITS[test])
            curve.append([loss_of(logits, labels).item(), (logits.argmax(1) != labels).double().mean().item()])
    return curve


def mean_and_error(values):
    """Mean over seeds, the first axis, and its standard error."""
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(SEEDS))


def main(out: Path) -> None:
    curves = np.array([[train(site, seed) for seed in SEEDS] for site in range(5)])  # (site, seed, time, loss or error)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    print("After epoch 50, dropout at: test loss in nats, test error")
    for k, (name, look) in enumerate(SITES.items()):
        mean, error = mean_and_error(curves[k])
        print(f"  {name:16}", *(f"{m:7.3f} +- {e:.3f}" for m, e in zip(mean[-1], error[-1], strict=True)))
        low, high = (mean[:, 0] + sign * error[:, 0] for sign in (-1, 1))
        left.plot(EPOCHS_SEEN, mean[:, 0], look[0] + "-", color=look[1:], label=name)
        left.fill_between(EPOCHS_SEEN, low, high, color=look[1:], alpha=0.15, lw=0)
        right.plot(100 * curves[k, :, -1, 1], [name] * len(SEEDS), "o", color=look[1:], alpha=0.35)
        right.errorbar(100 * mean[-1, 1], name, xerr=100 * error[-1, 1], fmt=look[0], color=look[1:], ms=9, capsize=5)
    none, a, b, c, d = curves[..., 0]  # test loss (seed, time)
    pairs = {f"{name} - none, epoch 50": (loss - none)[:, -1] for name, loss in zip("ABCD", (a, b, c, d), strict=True)}
    pairs |= {"A - none, epoch 15": (a - none)[:, 2], "conv - dense, epoch 50": (a + b - c - d)[:, -1] / 2}
    pairs |= {"early - late, epoch 50": (a - b + c - d)[:, -1] / 2}
    for name, values in pairs.items():
        print(f"  test loss, {name:22}: {mean_and_error(values)[0]:6.3f} +- {mean_and_error(values)[1]:.3f}")
    left.set(xlabel="epoch", ylabel="test loss, nats per digit", ylim=(0, None))
    left.legend(title="dropout at")
    right.set(xlabel="test error after the last epoch, percent; one dot per seed")
    right.invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "06_where_to_drop.png", dpi=150)
    (out / "06_where_to_drop.json").write_text(json.dumps({k: mean_and_error(v) for k, v in pairs.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Where to drop: dense and convolutional layers, early and late.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
