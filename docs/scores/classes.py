"""The pictures of the page "Which number do I trust?" for scores of classes, and the numbers below them.

python docs/scores/classes.py losses --out docs/scores
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop import calibration
from mcdrop.data import digits
from mcdrop.plots.palette import BLUE, GREEN, VERMILION
from mcdrop.plots.reliability import reliability_bars, reliability_curve
from mcdrop.plots.selective import risk_against_coverage
from mcdrop.plots.uncertainty import right_against_wrong


def predictions() -> tuple[Tensor, mcdrop.Prediction, mcdrop.Prediction, Tensor]:
    """A digits network trained on 90 images until it is overconfident, on the 1707 others.

    Returns:
        Probabilities of the weight-scaled network, its MC dropout prediction, that of images that are no digits, and
        the labels.
    """
    data = digits.load(test_share=0.95, seed=0)
    x, y, x_test, y_test = (
        part.flatten(1) if part.ndim > 1 else part
        for part in (data.train_images, data.train_labels, data.test_images, data.test_labels)
    )
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 200),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(200, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(400):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=100, seed=0)
    foreign = digits.uniform_noise(1000, seed=0).flatten(1)
    with torch.no_grad():
        probs = model(x_test).softmax(dim=1)
    return probs, mc(x_test), mc(foreign), y_test


def show(name: str, score: calibration.Score) -> None:
    print(f"{name}: {score}")


def losses(path: Path) -> None:
    """What one row adds to each score, by the probability of its true class; two classes."""
    p = np.linspace(0.005, 1, 400)
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    ax.plot(p, -np.log(p), color=BLUE, label="negative log-likelihood (nats)")
    ax.plot(p, 2 * (1 - p) ** 2, color=VERMILION, ls="--", label="Brier score")
    ax.plot(p, np.where(p > 0.5, 0, 1), color=GREEN, ls=":", lw=2, label="error")
    ax.set(xlabel="probability of the true class, of two", ylabel="what the row adds", ylim=(0, 4))
    ax.legend(frameon=False)
    figure.savefig(path, dpi=80)
    probs, mc, _, y = predictions()
    for name in ("accuracy", "negative_log_likelihood", "brier_score"):
        score = getattr(calibration, name)
        show(f"{name}, weight-scaled network", score(probs, y))
        show(f"{name}, MC dropout", score(mc, y))
        show("  difference", score(mc, y) - score(probs, y))


def bins(path: Path) -> None:
    """The binned reliability diagram, and what the number of bins does to its mean gap."""
    probs, mc, _, y = predictions()
    figure, (*axes, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for ax, predicted, name in zip(axes, (probs, mc), ("weight-scaled", "MC dropout"), strict=True):
        reliability_bars(calibration.binned_reliability(predicted, y), ax)
        ax.set(xlabel="confidence", ylabel="accuracy, ± 2 errors", title=name)
        show(f"expected_calibration_error, {name}", calibration.expected_calibration_error(predicted, y))
    counts = np.unique(np.geomspace(2, 400, 25).astype(int))
    plain, debiased = (
        [calibration.expected_calibration_error(mc, y, num_bins=int(n), debiased=fair).value for n in counts]
        for fair in (False, True)
    )
    smooth = calibration.smooth_calibration_error(mc, y)
    right.plot(counts, plain, color=BLUE, label="ECE")
    right.plot(counts, debiased, color=GREEN, ls="--", label="ECE, debiased")
    right.axhline(smooth.value, color="black", ls=":", label="smooth ECE")
    right.set(xlabel="number of bins", ylabel="calibration error of MC dropout", xscale="log", ylim=(0, None))
    right.legend(frameon=False)
    figure.savefig(path, dpi=80)
    show("smooth_calibration_error, weight-scaled", calibration.smooth_calibration_error(probs, y))
    show("smooth_calibration_error, MC dropout", smooth)
    print(f"ECE of MC dropout in {counts[0]} bins {plain[0]:.3f}, in {counts[-1]} bins {plain[-1]:.3f}")


def corp(path: Path) -> None:
    """CORP reliability diagrams with their consistency bands."""
    probs, mc, _, y = predictions()
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for ax, predicted, name in zip(axes, (probs, mc), ("weight-scaled network", "MC dropout"), strict=True):
        reliability_curve(calibration.corp_reliability(predicted, y), ax)
        ax.set(xlabel="confidence", ylabel="accuracy", title=name)
        parts = calibration.brier_decomposition(predicted, y)
        for part in ("score", "miscalibration", "discrimination", "uncertainty"):
            show(f"{part}, {name}", getattr(parts, part))
    figure.savefig(path, dpi=80)


def risk(path: Path) -> None:
    """Risk-coverage curves by what ranks the labels."""
    _, mc, _, y = predictions()
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for measure in ("least_confidence", "predictive_entropy", "mutual_information"):
        curve = calibration.risk_coverage_curve(mc, y, uncertainty=measure)
        risk_against_coverage(curve, ax, label=measure.replace("_", " "))
        show(f"aurc, {measure}", calibration.aurc(mc, y, uncertainty=measure))
        show(f"auroc_of_error, {measure}", calibration.auroc_of_error(mc, y, uncertainty=measure))
    wrong = (mc.labels != y).double()
    best = calibration.risk_coverage_curve(mc, y, uncertainty=wrong)
    risk_against_coverage(best, ax, label="best order: all errors last")
    figure.savefig(path, dpi=80)
    show("aurc, best order", calibration.aurc(mc, y, uncertainty=wrong))


def auroc(path: Path) -> None:
    """The uncertainty of right and wrong labels and of foreign images, and what the areas say of it."""
    _, mc, foreign, y = predictions()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for ax, measure in zip(axes, ("predictive_entropy", "mutual_information"), strict=True):
        values, noise, name = getattr(mc, measure), getattr(foreign, measure), measure.replace("_", " ")
        right_against_wrong(values, mc.labels == y, ax, name=name, foreign=noise)
        show(f"auroc_of_error, {measure}", calibration.auroc_of_error(mc, y, uncertainty=measure))
        show(f"auroc_ood, {measure}", calibration.auroc_ood(mc, foreign, uncertainty=measure))
    figure.savefig(path, dpi=80)


PICTURES = {"losses": losses, "bins": bins, "corp": corp, "risk": risk, "auroc": auroc}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The pictures of the scores of classes.")
    parser.add_argument("which", choices=PICTURES)
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    PICTURES[chosen.which](chosen.out / f"{chosen.which}.png")
