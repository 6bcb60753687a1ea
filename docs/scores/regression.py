"""The pictures of the page "Which number do I trust?" for scores of numbers, and the numbers below them.

python docs/scores/regression.py intervals --out docs/scores
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop import calibration
from mcdrop.plots.coverage import coverage_against_nominal, pit_bars, width_against_nominal
from mcdrop.plots.palette import SERIES
from mcdrop.plots.regression import bands
from mcdrop.plots.uncertainty import error_against_uncertainty
from mcdrop.prediction import from_draws

BLUE, ORANGE = (style.colour for style in SERIES[:2])


def noisy(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """x from -2 to 2, and a wave with noise that grows with x: standard deviation .05 on the left, .55 on the right."""
    generator = torch.Generator().manual_seed(seed)
    x = 4 * torch.rand(rows, 1, generator=generator) - 2
    return x, torch.sin(2 * x) + (0.3 + 0.125 * x) * torch.randn(rows, 1, generator=generator)


def network(outputs: int) -> nn.Sequential:
    """1-100-100 with dropout .05."""
    layers = [nn.Linear(1, 100), nn.ReLU(), nn.Dropout(0.05), nn.Linear(100, 100), nn.ReLU(), nn.Dropout(0.05)]
    return nn.Sequential(*layers, nn.Linear(100, outputs))


def trained(model: nn.Module, loss: nn.Module) -> nn.Module:
    """The network fitted to 400 points: `loss` takes what it returns, and y."""
    x, y = noisy(400, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
    for _ in range(1500):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return model.eval()


class _NormalLoss(nn.Module):
    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        mean, log_variance = output.chunk(2, dim=1)
        return nn.functional.gaussian_nll_loss(mean, y, log_variance.exp())


def predictions(x: Tensor) -> dict[str, mcdrop.Prediction]:
    """One noise for all rows (its precision from the training residuals), and a noise that the network predicts."""
    torch.manual_seed(0)
    one, own = trained(network(1), nn.MSELoss()), trained(network(2), _NormalLoss())
    inputs, y = noisy(400, seed=0)
    with torch.no_grad():
        precision = 1 / (one(inputs) - y).square().mean().item()
    likelihoods = {"one noise": (one, mcdrop.Gaussian(precision)), "own noise": (own, mcdrop.HeteroscedasticGaussian())}
    return {
        name: mcdrop.MCDropout(model, likelihood=likelihood, num_samples=100, seed=0)(x)
        for name, (model, likelihood) in likelihoods.items()
    }


def compare(name: str, scores: list[calibration.Score]) -> None:
    """Prints both scores and their paired difference."""
    for which, score in zip(("one noise", "own noise"), scores, strict=True):
        print(f"{name}, {which}: {score}")
    print(f"  difference: {scores[1] - scores[0]}")


def crps(path: Path) -> None:
    """What the continuous ranked probability score is, and what a target adds to it and to the log-likelihood."""
    draws = torch.tensor([[-1.6], [-1.2], [-1.4], [1.2]], dtype=torch.float64)
    prediction, y = from_draws(draws, mcdrop.Gaussian(16.0)), 0.4
    at = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]
    wide = from_draws(draws.expand(-1, 601), mcdrop.Gaussian(16.0))
    cdf = wide.cdf(at[:, 0]).numpy()
    grid = at[:, 0].numpy()
    step = (grid >= y).astype(float)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    left.fill_between(grid, (cdf - step) ** 2, color=ORANGE, alpha=0.5, lw=0, label="squared difference: its area")
    left.plot(grid, cdf, color=BLUE, label="F, the mixture of 4 draws")
    left.plot(grid, step, color="black", lw=1.2, label="0 below the target, 1 above")
    left.set(xlabel="y", title=f"CRPS = {calibration.crps(prediction, torch.tensor([y])).value:.3f}")
    left.legend(fontsize=8, loc="upper left")
    one_by_one = [wide[row] for row in range(0, 601, 4)]
    scores = {
        "negative log-likelihood": calibration.negative_log_likelihood,
        "CRPS": calibration.crps,
    }
    for (name, score), color in zip(scores.items(), (ORANGE, BLUE), strict=True):
        values = [score(row, at[4 * number]).value for number, row in enumerate(one_by_one)]
        right.plot(grid[::4], values, color=color, label=name)
    density = wide.log_prob(at[:, 0]).exp().numpy()
    right.fill_between(grid, density, color="0.85", label="density of the mixture")
    right.set(xlabel="target y", ylabel="score", ylim=(0, 8), title="what a target adds")
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=80)
    x, targets = noisy(2000, seed=1)
    both = predictions(x)
    for name, score in {**scores, "RMSE": calibration.rmse}.items():
        compare(name, [score(each, targets) for each in both.values()])


def intervals(path: Path) -> None:
    """Where the intervals of the two lie, and coverage and width at all levels."""
    x, y = noisy(2000, seed=1)
    both = predictions(x)
    grid = torch.linspace(-2, 2, 200)[:, None]
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.6), layout="constrained")
    for ax, (name, prediction) in zip(axes, predictions(grid).items(), strict=False):
        bands(grid, prediction, ax, coverages=(0.9,), data=(x[:400], y[:400]))
        score = calibration.interval_score(both[name], y, coverage=0.9)
        ax.set(ylim=(-2.6, 2.6))
        ax.set_title(f"{name}: interval score {score.value:.2f}", pad=24)  # above the legend
    for name, prediction in both.items():
        curve = calibration.coverage_curve(prediction, y)
        coverage_against_nominal(curve, axes[2], label=name)
        width_against_nominal(curve, axes[3], label=name)
    figure.savefig(path, dpi=80)
    compare("coverage of 90 %", [calibration.interval_coverage(each, y, coverage=0.9) for each in both.values()])
    compare("interval score", [calibration.interval_score(each, y, coverage=0.9) for each in both.values()])
    compare("width of 90 %", [calibration.interval_width(each, coverage=0.9) for each in both.values()])
    left = (x[:, 0] < 0).numpy()
    for name, prediction in both.items():
        halves = [calibration.interval_coverage(prediction[part], y[part], coverage=0.9) for part in (left, ~left)]
        print(f"coverage of 90 %, {name}: left half {halves[0]}; right half {halves[1]}")


def pit(path: Path) -> None:
    """Where targets fall in their predictive distributions: of three predictors known to be wrong, and of the two."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(50, 2000, generator=generator, dtype=torch.float64) * 0.3
    y = 0.3 * torch.randn(2000, generator=generator) + torch.randn(2000, generator=generator)
    x, targets = noisy(2000, seed=1)
    cases = {
        "too narrow": (from_draws(means, mcdrop.Gaussian(4.0)), y),
        "too wide": (from_draws(means, mcdrop.Gaussian(0.25)), y),
        "off to one side": (from_draws(means - 0.5, mcdrop.Gaussian(1.0)), y),
        **{name: (prediction, targets) for name, prediction in predictions(x).items()},
    }
    figure, axes = plt.subplots(1, 5, figsize=(14, 3), layout="constrained", sharey=True)
    for ax, (name, (prediction, at)) in zip(axes, cases.items(), strict=True):
        histogram = calibration.pit_histogram(prediction, at)
        pit_bars(histogram, ax)
        ax.set(xlabel="F(y)", ylabel="", title=name)
        ax.get_legend().remove()
        print(f"quantile calibration error, {name}: {calibration.quantile_calibration_error(prediction, at)}")
    axes[0].set_ylabel("share of targets")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=80)


def order(path: Path) -> None:
    """Error against predicted variance, and how well its order finds large errors."""
    x, y = noisy(2000, seed=1)
    both = predictions(x)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for (name, prediction), color in zip(both.items(), (BLUE, ORANGE), strict=True):
        error_against_uncertainty(calibration.error_against_uncertainty(prediction, y), left, label=name)
        squares = (prediction.mean - y).square()[:, 0]
        ranked = squares[prediction.variance[:, 0].argsort()].cumsum(dim=0) / torch.arange(1, 2001)
        right.plot(np.arange(2000, 0, -1) / 2000, ranked.flip(0), color=color, label=name)
        print(f"sharpness, {name}: {calibration.sharpness(prediction)}")
        print(f"RMSE, {name}: {calibration.rmse(prediction, y)}")
    best = squares.sort().values.cumsum(dim=0) / torch.arange(1, 2001)
    right.plot(np.arange(2000, 0, -1) / 2000, best.flip(0), color="black", lw=1, ls=":", label="own noise, worst first")
    right.set(xlabel="share of rows left, the surest ones", ylabel="mean squared error of those")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=80)
    compare("sparsification error", [calibration.sparsification_error(each, y) for each in both.values()])


PICTURES = {"crps": crps, "intervals": intervals, "pit": pit, "order": order}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The pictures of scores of numbers.")
    parser.add_argument("which", choices=PICTURES)
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    PICTURES[chosen.which](chosen.out / f"numbers_{chosen.which}.png")
