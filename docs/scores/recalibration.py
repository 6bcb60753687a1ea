"""The pictures of the section "Recalibration" of the page on scores, and the numbers below them.

python docs/scores/recalibration.py temperature --out docs/scores
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

import mcdrop
from mcdrop.calibration import (
    AdaptiveSets,
    CdfRecalibration,
    LeastAmbiguousSets,
    Temperature,
    VarianceScaling,
    brier_score,
    coverage_curve,
    error_rate,
    negative_log_likelihood,
)
from mcdrop.calibration.temperature import tempered
from mcdrop.data import digits
from mcdrop.plots.coverage import coverage_against_nominal
from mcdrop.plots.palette import GREY, SERIES

BLUE, ORANGE, GREEN = (style.colour for style in SERIES[:3])


def learnt_by_heart() -> tuple[mcdrop.Prediction, Tensor]:
    """Predictions of a net that learnt 300 digits by heart, 30 % of them with a random label; of 540 others."""
    data = digits.load(seed=0)
    generator = torch.Generator().manual_seed(0)
    images, labels = data.train_images[:300].flatten(1), data.train_labels[:300].clone()
    wrong = torch.rand(300, generator=generator) < 0.3
    labels[wrong] = torch.randint(10, (int(wrong.sum()),), generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=50, seed=0, keep_samples=True)
    return mc(data.test_images.flatten(1)), data.test_labels


def temperature(path: Path) -> None:
    """The loss against the temperature, and how often labels are right at each confidence."""
    prediction, labels = learnt_by_heart()
    held_out, y, test, y_test = prediction[:270], labels[:270], prediction[270:], labels[270:]
    fitted = {inside: Temperature.fit(held_out, y, inside=inside) for inside in (False, True)}

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    grid = np.geomspace(0.5, 6, 60)
    outer = [negative_log_likelihood(tempered(held_out.probs, at), y).value for at in grid]
    inner = [
        -(held_out.samples.double() / at).softmax(dim=-1).mean(dim=0)[torch.arange(270), y].log().mean().item()
        for at in grid
    ]
    names = {False: "of the average", True: "inside the average"}
    for inside, values, color in ((False, outer, BLUE), (True, inner, ORANGE)):
        axes[0].plot(grid, values, color=color, label=f"{names[inside]}: T = {fitted[inside].temperature:.2f}")
        axes[0].plot(fitted[inside].temperature, min(values), "o", color=color)
    axes[0].axvline(1, color=GREY, lw=1, ls="--", label="as predicted")
    axes[0].set(xscale="log", xlabel="temperature T", ylabel="negative log-likelihood, held-out rows (nats)")
    axes[0].set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    axes[0].minorticks_off()
    axes[0].legend(fontsize=8)

    after = {name: fitted[inside](test) for inside, name in names.items()}
    axes[1].plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for (name, shown), color in zip({"as predicted": test, **after}.items(), ("black", BLUE, ORANGE), strict=True):
        at, share = sixths(shown.confidence, shown.labels == y_test)
        axes[1].plot(at, share, "o-", color=color, ms=4, label=name)
    axes[1].set(xlabel="confidence, mean of a sixth of the rows", ylabel="share of labels that are right, test rows")
    axes[1].set(xlim=(0.15, 1.02), ylim=(0.15, 1.02))
    axes[1].legend(fontsize=8)
    figure.savefig(path, dpi=80)
    for name, shown in {"as predicted": test, **after}.items():
        scores = negative_log_likelihood(shown, y_test), brier_score(shown, y_test), error_rate(shown, y_test)
        print(f"{name}: NLL {scores[0]}, Brier {scores[1]}, error {scores[2].value:.3f}")


def sixths(confidence: Tensor, right: Tensor) -> tuple[list[float], list[float]]:
    """Mean confidence and share of right labels of six equal parts of the rows, from unsure to sure."""
    parts = confidence.argsort().tensor_split(6)
    return [confidence[part].mean().item() for part in parts], [right[part].double().mean().item() for part in parts]


def numbers(path: Path) -> None:
    """Ranks of targets before and after, and the intervals, of a net whose noise is too small and of another law."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(-3, 3, size=(1100, 1))).float()
    y = torch.sin(1.5 * x) + torch.from_numpy(0.15 * (rng.exponential(size=(1100, 1)) - 1)).float()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 100), nn.Tanh(), nn.Dropout(0.02), nn.Linear(100, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(1500):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[:100]), y[:100]).backward()
        optimizer.step()
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Gaussian(precision=600.0), num_samples=100, seed=0)
    held_out, test = mc(x[100:600]), mc(x[600:])
    scaling = VarianceScaling.fit(held_out, y[100:600])
    cdf = CdfRecalibration.fit(held_out, y[100:600])
    shown = {"as predicted": test, "variance scaled": scaling(test), "cdf recalibrated": cdf(test)}

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
    axes[0].plot(cdf.inputs[0], cdf.outputs[0], color=GREEN)
    axes[0].plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    axes[0].set(xlabel="F(y) as predicted", ylabel="R: share of held-out targets", title="the map")
    levels = np.linspace(0.02, 0.98, 49)
    for name, prediction in shown.items():
        coverage_against_nominal(coverage_curve(prediction, y[600:], widths=False), axes[1], label=name)
        reached = prediction.cdf(y[600:]).numpy()
        error = np.mean([abs((reached <= q).mean() - q) for q in levels])
        print(f"{name}: mean distance of the share below the q-quantile from q: {error:.3f}")
    axes[1].set(title="central intervals")
    grid = torch.linspace(-3, 3, 200)[:, None]
    at = mc(grid)
    for prediction, color, name in ((at, BLUE, "as predicted"), (cdf(at), GREEN, "cdf recalibrated")):
        lower, upper = prediction.interval(0.9)
        axes[2].fill_between(grid[:, 0], lower[:, 0], upper[:, 0], color=color, alpha=0.3, lw=0, label=name)
    axes[2].plot(x[600:750], y[600:750], ".", color="black", ms=3, label="test targets")
    axes[2].set(xlabel="x", ylabel="y", title="90 % intervals", ylim=(-1.4, 2.7))
    axes[2].legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=80)


def conformal(path: Path) -> None:
    """Coverage over 2000 choices of the held-out rows, against its law; sizes of the sets."""
    prediction, labels = learnt_by_heart()
    rng = np.random.default_rng(0)
    n, alpha = 100, 0.1
    k = int(np.ceil((n + 1) * (1 - alpha)))
    law = stats.betabinom(440, k, n + 1 - k)
    fits = {
        "LeastAmbiguousSets": lambda rows, seed: LeastAmbiguousSets.fit(prediction[rows], labels[rows], alpha=alpha),
        "AdaptiveSets": lambda rows, seed: AdaptiveSets.fit(prediction[rows], labels[rows], alpha=alpha, seed=seed),
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for (name, fit), color in zip(fits.items(), (BLUE, ORANGE), strict=True):
        covered, sizes = [], np.zeros(11)
        for seed in range(2000):
            order = torch.from_numpy(rng.permutation(540))
            sets = fit(order[:n], seed)(prediction[order[n:]])
            covered.append(sets.coverage(labels[order[n:]]).value)
            sizes += np.bincount(sets.sizes, minlength=11) / 440 / 2000
        axes[0].hist(covered, bins=np.arange(0.7405, 1, 0.0125), density=True, histtype="step", color=color, label=name)
        axes[1].bar(np.arange(11) + (0.2 if color == ORANGE else -0.2), sizes, width=0.4, color=color, label=name)
        print(f"{name}: coverage {np.mean(covered):.4f}, mean size {sizes @ np.arange(11):.2f}")
    hits = np.arange(325, 441)
    axes[0].plot(hits / 440, law.pmf(hits) * 440, color="black", lw=1.5, label="its law: beta-binomial")
    axes[0].axvline(1 - alpha, color=GREY, lw=1, ls="--")
    axes[0].set(xlabel="coverage of 440 test rows, 100 held out", ylabel="density over choices of the held-out rows")
    axes[0].legend(fontsize=8, loc="upper left")
    axes[1].set(xlabel="classes in the set", ylabel="share of rows")
    axes[1].set_xticks(range(11))
    axes[1].legend(fontsize=8)
    figure.savefig(path, dpi=80)
    print(f"expected coverage {k / (n + 1):.4f}, standard deviation {law.std() / 440:.3f}")


PICTURES = {"temperature": temperature, "numbers": numbers, "conformal": conformal}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description='The pictures of the section "Recalibration".')
    parser.add_argument("which", choices=PICTURES)
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    PICTURES[chosen.which](chosen.out / f"recalibration_{chosen.which}.png")
