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

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.55"


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
    ax.plot(p, 2 * (1 - p) ** 2, color=ORANGE, ls="--", label="Brier score")
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
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for predicted, color, marker, name in ((probs, ORANGE, "s", "weight-scaled"), (mc, BLUE, "o", "MC dropout")):
        curve = calibration.binned_reliability(predicted, y)
        axes[0].errorbar(
            curve.forecast, curve.frequency, curve.standard_error, color=color, fmt=marker, ms=4, lw=1, label=name
        )
        show(f"expected_calibration_error, {name}", calibration.expected_calibration_error(predicted, y))
    axes[0].plot([0, 1], [0, 1], color=GREY, lw=1)
    axes[0].set(xlabel="mean confidence in the bin", ylabel="accuracy in the bin", xlim=(0.1, 1.02), ylim=(0, 1.04))
    axes[0].legend(frameon=False)
    counts = np.unique(np.geomspace(2, 400, 25).astype(int))
    plain, debiased = (
        [calibration.expected_calibration_error(mc, y, num_bins=int(n), debiased=fair).value for n in counts]
        for fair in (False, True)
    )
    smooth = calibration.smooth_calibration_error(mc, y)
    axes[1].plot(counts, plain, color=BLUE, label="ECE")
    axes[1].plot(counts, debiased, color=GREEN, ls="--", label="ECE, debiased")
    axes[1].axhline(smooth.value, color="black", ls=":", label="smooth ECE")
    axes[1].set(xlabel="number of bins", ylabel="calibration error of MC dropout", xscale="log", ylim=(0, None))
    axes[1].legend(frameon=False)
    figure.savefig(path, dpi=80)
    show("smooth_calibration_error, weight-scaled", calibration.smooth_calibration_error(probs, y))
    show("smooth_calibration_error, MC dropout", smooth)
    print(f"ECE of MC dropout in {counts[0]} bins {plain[0]:.3f}, in {counts[-1]} bins {plain[-1]:.3f}")


def corp(path: Path) -> None:
    """CORP reliability diagrams with their consistency bands."""
    probs, mc, _, y = predictions()
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
    for ax, predicted, color, name in zip(
        axes, (probs, mc), (ORANGE, BLUE), ("weight-scaled network", "MC dropout"), strict=True
    ):
        diagram = calibration.corp_reliability(predicted, y)
        ax.fill_between(
            diagram.forecast, diagram.lower, diagram.upper, color="0.85", label="where calibrated ones lie, 90 %"
        )
        ax.plot(diagram.forecast, diagram.frequency, color=color, label="isotonic regression")
        ax.plot([0, 1], [0, 1], color=GREY, lw=1)
        ax.set(xlabel="confidence", title=name, xlim=(0.1, 1.02))
        ax.legend(frameon=False, loc="upper left", fontsize=9)
        parts = calibration.brier_decomposition(predicted, y)
        for part in ("score", "miscalibration", "discrimination", "uncertainty"):
            show(f"{part}, {name}", getattr(parts, part))
    axes[0].set(ylabel="accuracy", ylim=(0, 1.04))
    figure.savefig(path, dpi=80)


def risk(path: Path) -> None:
    """Risk-coverage curves by what ranks the labels."""
    _, mc, _, y = predictions()
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    measures = {
        "least_confidence": (BLUE, "-"),
        "predictive_entropy": (ORANGE, "--"),
        "mutual_information": (GREEN, ":"),
    }
    for measure, (color, line) in measures.items():
        curve = calibration.risk_coverage_curve(mc, y, uncertainty=measure)
        ax.plot(curve.coverage, curve.risk, color=color, ls=line, label=measure)
        show(f"aurc, {measure}", calibration.aurc(mc, y, uncertainty=measure))
        show(f"auroc_of_error, {measure}", calibration.auroc_of_error(mc, y, uncertainty=measure))
    wrong = (mc.labels != y).double()
    best = calibration.risk_coverage_curve(mc, y, uncertainty=wrong)
    ax.plot(best.coverage, best.risk, color=GREY, lw=1, label="best order: all errors last")
    ax.set(xlabel="coverage: share of the labels kept", ylabel="error rate of what is kept", ylim=(0, None))
    ax.legend(frameon=False)
    figure.savefig(path, dpi=80)
    show("aurc, best order", calibration.aurc(mc, y, uncertainty=wrong))


def auroc(path: Path) -> None:
    """The uncertainty of right and wrong labels and of foreign images, and what the areas say of it."""
    _, mc, foreign, y = predictions()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    right = mc.labels == y
    for ax, measure in zip(axes, ("predictive_entropy", "mutual_information"), strict=True):
        values = getattr(mc, measure)
        cuts = np.linspace(0, float(torch.cat([values, getattr(foreign, measure)]).max()), 30)
        groups = ((values[right], BLUE, "-", "right"), (values[~right], ORANGE, "--", "wrong"))
        for group, color, line, name in (*groups, (getattr(foreign, measure), GREEN, ":", "noise images")):
            ax.hist(group.numpy(), cuts, density=True, histtype="step", color=color, ls=line, lw=1.6, label=name)
        ax.set(xlabel=f"{measure.replace('_', ' ')} (nats)", ylabel="density (1/nat)")
        ax.legend(frameon=False)
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
