"""08. The laws of noise on one task.

A random factor may stand on every value (Bernoulli, Gaussian; Concrete learns its p), on whole maps (Spatial) or blocks
of them (DropBlock), on a residual branch (DropPath), on weights (DropConnect), on the units of a sequence at all of its
steps (Recurrent), or be one of four fixed masks (Masksembles). Each learns to read digits from 400 of them, with

    image - conv (16 maps), pool -[maps]- h + [path] conv h -[head]- 10 classes    or    rows - [LSTM] - 10 classes

p is .5, for each of the three masks of the LSTM .25; a prediction for 300 other digits averages 50 draws, and "none" is
one plain pass. AUROC: the chance that a digit turned by 135 degrees has the larger entropy. Cost: CPU time, in plain
passes. Means over 8 nets and splits, with standard errors; docs/laws.md says what they say.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from time import thread_time

import matplotlib.pyplot as plt
import torch
from torch import nn

import mcdrop
from mcdrop import calibration, noise, posterior, sites, training
from mcdrop.data import digits

SCORES = calibration.error_rate, calibration.negative_log_likelihood, calibration.expected_calibration_error
COLUMNS, MASKS = ("error", "NLL, nats", "ECE", "AUROC", "cost"), ("p_input", "p_recurrent", "p_output")
ADAM, CLASSES = partial(torch.optim.Adam, lr=5e-3), mcdrop.Categorical()
LAWS = {  # the noise, and the layer that it stands before; DropConnect and Recurrent are put around theirs
    "none": (None, ""), "Bernoulli": (noise.BernoulliDropout, "maps"), "Gaussian": (noise.GaussianDropout, "maps"),
    "Concrete": (noise.ConcreteDropout, "head"), "Spatial": (noise.SpatialDropout, "maps"),
    "DropBlock": (partial(noise.DropBlock, block_size=2), "maps"), "DropPath": (noise.DropPath, "path"),
    "Masksembles": (lambda p: noise.Masksembles(16, num_masks=4, scale=1 / p), "maps"),
    "DropConnect": (noise.DropConnect, "head"), "none, LSTM": (None, "lstm"),
    "Recurrent": (lambda lstm, p: noise.RecurrentDropout(lstm, **dict.fromkeys(MASKS, p / 2)), "lstm"),
}  # fmt: skip


class Net(nn.Module):
    def __init__(self, by_rows):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.maps, self.path, self.head = nn.Identity(), nn.Identity(), nn.Linear(32 if by_rows else 256, 10)
        self.lstm = nn.LSTM(8, 32, batch_first=True) if by_rows else None

    def forward(self, x):
        if self.lstm is not None:
            return self.head(self.lstm(x)[0][:, -1])
        h = self.maps(nn.functional.max_pool2d(self.first(x[:, None]).relu(), 2))
        return self.head((h + self.path(self.second(h).relu())).flatten(1))


def judged(law, data, seed, epochs, draws):
    """A net learns with the law in it and is asked: its five numbers."""
    torch.manual_seed(seed)
    make, place = LAWS[law]
    net, seen = Net(by_rows=place == "lstm"), (data.train_images, data.train_labels)
    if law in ("DropConnect", "Recurrent"):
        setattr(net, place, make(getattr(net, place), p=0.5))
    elif make is not None:
        net = sites.insert(net, make(p=0.5), before=place)
    aim = training.Objective(CLASSES, posterior.Prior(0.1) if law == "Concrete" else None)  # the prior holds its p
    training.fit(net, seen, aim, optimizer=ADAM, epochs=epochs, batch_size=50, seed=seed)

    net.eval().requires_grad_(False)
    x, y, plain = data.test_images[:300], data.test_labels[:300], lambda x: net(x).softmax(-1)
    ask = mcdrop.MCDropout(net, likelihood=CLASSES, num_samples=draws, seed=0) if draws else plain
    own, turned, start = ask(x), digits.rotate(x, 135), thread_time()
    foreign, asked, _, end = ask(turned), thread_time(), [plain(x) for _ in range(10)], thread_time()
    found = [score.value for score in (*(score(own, y) for score in SCORES), calibration.auroc_ood(own, foreign))]
    return [*found, 10 * (asked - start) / (end - asked) if draws else 1.0]


def main(out: Path, quick: bool, only: str | None) -> None:
    count, epochs, draws = (2, 5, 10) if quick else (8, 40, 50)
    sets, numbers = [digits.load(test_share=0.7774, seed=seed) for seed in range(count)], {}
    figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    print(f"{'':12}" + "".join(f"{name:>20}" for name in COLUMNS))
    for law in [only] if only else LAWS:
        asked = 0 if law.startswith("none") else draws
        numbers[law] = [judged(law, data, seed, epochs, asked) for seed, data in enumerate(sets)]
        means, errors = torch.tensor(numbers[law]).mean(0), torch.tensor(numbers[law]).std(0) / count**0.5
        print(f"{law:12}" + "".join(f"{m:11.3f} +- {e:5.3f}" for m, e in zip(means, errors, strict=True)), flush=True)
        ax.errorbar(means[1], means[3], errors[3], errors[1], fmt="o" if asked else "k*", capsize=3, label=law)
    ax.set(xlabel="test NLL, nats per digit", ylabel="AUROC of turned digits", xscale="log")
    ax.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "08_laws.png", dpi=150)
    (out / "08_laws.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The laws of noise on one task.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    parser.add_argument("--quick", action="store_true", help="fewer nets, epochs and draws")
    parser.add_argument("--only", choices=LAWS, help="one row alone")
    main(**vars(parser.parse_args()))
