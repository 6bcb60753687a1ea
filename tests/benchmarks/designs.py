"""Squared error against the number of passes T, for every design: mean, variance and mutual information.

    python tests/benchmarks/designs.py --out docs/forest

Small trained networks: an MLP and a CNN on scikit-learn's digits, a Transformer encoder that reads a digit as eight
rows of pixels, and 8-50-1 on UCI energy (read from the folder that MCDROP_DATA names; left out without it). The truth
is a stratified run of 40,000 draws under another seed. Each T is measured on many disjoint stretches of draws.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.data import digits
from mcdrop.posterior import Design, Dropout
from mcdrop.prediction import Likelihood, from_draws

DESIGNS = {"Independent()": mcdrop.Independent(), "Antithetic()": mcdrop.Antithetic()} | {
    f"Stratified({b})": mcdrop.Stratified(b) for b in (20, 8)
}
PASSES = (10, 20, 40, 100, 200)
DRAWS = 8000
REFERENCE = 40_000
STATISTICS = ("mean", "variance", "mutual information")


@dataclass(frozen=True)
class Case:
    """A trained network, rows to predict, and how they are read."""

    model: nn.Module
    x: Tensor
    likelihood: Likelihood


class Encoder(nn.Module):
    """A digit as eight tokens of eight pixels."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(torch.zeros(8, 32))
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, p, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x) + self.place).mean(dim=1))


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Dropout(0.5), nn.Linear(100, 100), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(100, 10),
    )  # fmt: skip


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.2), nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(64, 10),
    )  # fmt: skip


def energy_net(p: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(p), nn.Linear(8, 50), nn.ReLU(), nn.Dropout(p), nn.Linear(50, 1))


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> nn.Module:
    """Adam with 1e-3 on batches of 32."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.functional.mse_loss if y.is_floating_point() else nn.functional.cross_entropy
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.eval()


def cases(epochs: int = 20) -> Iterator[tuple[str, Case]]:
    """The networks, trained one by one."""
    data = digits.load(seed=0)
    train_set = (data.train_images, data.train_labels)
    for name, make, rows in [
        ("digits, MLP, p = .5", mlp, 32),
        ("digits, CNN, p = .2, .5", cnn, 32),
        ("digits, encoder, p = .1", lambda: Encoder(0.1), 16),
    ]:
        torch.manual_seed(0)
        model = train(make(), *train_set, epochs)
        yield name, Case(model, data.test_images[:rows], mcdrop.Categorical())
    folder = os.environ.get("MCDROP_DATA")
    if not folder:
        print("UCI energy is left out: MCDROP_DATA names no folder.")
        return
    with np.load(Path(folder) / "uci" / "energy.npz") as archive:
        x, y, rows = archive["X"], archive["y"], archive["train_0"]
        test = archive["test_0"]
    mean, std = x[rows].mean(0), x[rows].std(0)
    x, y = torch.tensor((x - mean) / std).float(), torch.tensor((y - y[rows].mean()) / y[rows].std()).float()[:, None]
    for p in (0.1, 0.03):
        torch.manual_seed(0)
        model = train(energy_net(p), x[rows], y[rows], 2 * epochs)
        yield f"UCI energy, p = {str(p)[1:]}", Case(model, x[test[:32]], mcdrop.Identity())


def statistics(draws: Tensor, likelihood: Likelihood, block: int) -> dict[str, Tensor]:
    """What is estimated, from draws (T, N, *out)."""
    prediction = from_draws(draws, likelihood, block_size=block, keep_samples=False)
    if isinstance(likelihood, mcdrop.Categorical):
        names = ("probs", "epistemic", "mutual_information")
        return {name: getattr(prediction, key) for name, key in zip(STATISTICS, names, strict=True)}
    return {"mean": prediction.mean, "variance": prediction.variance}


def draw(case: Case, design: Design, num_samples: int, seed: int) -> Tensor:
    mc = mcdrop.MCDropout(case.model, likelihood=case.likelihood, num_samples=num_samples, seed=seed, design=design)
    return mc.sample(case.x)


def errors(case: Case, truth: dict[str, Tensor], design: Design, total: int) -> dict[str, dict[int, list[float]]]:
    """Mean squared error over rows and outputs, of every stretch of T draws, by statistic and T."""
    draws, block = draw(case, design, total, seed=1), design.block_size
    found: dict[str, dict[int, list[float]]] = {name: {} for name in truth}
    for passes in PASSES:
        stride = -(-passes // block) * block  # a stretch begins where a block does
        for start in range(0, total - stride + 1, stride):
            part = statistics(draws[start : start + passes], case.likelihood, block)
            for name, value in part.items():
                found[name].setdefault(passes, []).append((value - truth[name]).square().mean().item())
    return found


def measure(total: int = DRAWS, epochs: int = 20, shrink: int = 1) -> dict:
    """name of the case -> statistic -> design -> T -> (mean squared error, its standard error)."""
    result: dict = {}
    for name, case in cases(epochs):
        reference = draw(case, mcdrop.Stratified(20), REFERENCE // shrink, seed=2)
        truth = statistics(reference, case.likelihood, 20)
        result[name] = {statistic: {} for statistic in truth}
        for label, design in DESIGNS.items():
            for statistic, by_passes in errors(case, truth, design, total).items():
                result[name][statistic][label] = {
                    str(passes): [float(np.mean(e)), float(np.std(e, ddof=1) / np.sqrt(len(e)))]
                    for passes, e in by_passes.items()
                }
    return result


def gains(result: dict, passes: int = 100) -> dict:
    """Squared error of independent draws over that of each design at T = `passes`: how many times as many passes
    independent draws need."""
    return {
        name: {
            statistic: {
                label: values["Independent()"][str(passes)][0] / row[str(passes)][0] for label, row in values.items()
            }
            for statistic, values in by_statistic.items()
        }
        for name, by_statistic in result.items()
    }


def show(result: dict) -> None:
    print("Squared error of independent draws over that of the design, T = 100 (more than 1: fewer passes needed)")
    for name, by_statistic in gains(result).items():
        for statistic, row in by_statistic.items():
            cells = "  ".join(f"{label} {value:6.2f}" for label, value in row.items() if label != "Independent()")
            print(f"  {name:26}{statistic:20}{cells}")


def mask_milliseconds(units: int = 512, passes: int = 100, repeats: int = 50) -> dict[str, float]:
    """Median milliseconds to draw the masks of one site."""
    found = {}
    for label, design in DESIGNS.items():
        posterior, times = Dropout(seed=0, design=design), []
        for _ in range(repeats):
            start = time.perf_counter()
            posterior.keep("site", (units,), 0.5, 0, passes)
            times.append(1e3 * (time.perf_counter() - start))
        found[label] = float(np.median(times))
    return found


def picture(result: dict, path: Path) -> None:
    import matplotlib.pyplot as plt

    looks = dict(zip(DESIGNS, [("k", "o"), ("#E69F00", "s"), ("#0072B2", "D"), ("#CC79A7", "^")], strict=True))
    figure, axes = plt.subplots(
        len(STATISTICS), len(result), figsize=(3 * len(result), 7.5), sharex=True, layout="constrained", squeeze=False
    )
    for column, (name, by_statistic) in zip(axes.T, result.items(), strict=True):
        column[0].set_title(name, fontsize=10)
        for ax, statistic in zip(column, STATISTICS, strict=True):
            if statistic not in by_statistic:
                ax.axis("off")
                continue
            for label, by_passes in by_statistic[statistic].items():
                color, marker = looks[label]
                value, error = np.array(list(by_passes.values())).T
                ax.errorbar(
                    [int(t) for t in by_passes], value, error, color=color, marker=marker, ms=4, lw=1.3, label=label
                )
            ax.set(xscale="log", yscale="log")
            ax.set_xticks(PASSES, [str(t) for t in PASSES])
            ax.minorticks_off()
    units = {
        "mean": "mean (units²)",
        "variance": "variance (units⁴)",
        "mutual information": "mutual information (nats²)",
    }
    for ax, statistic in zip(axes[:, 0], STATISTICS, strict=True):
        ax.set_ylabel(f"squared error of the\n{units[statistic]}")
    for column in axes.T:
        [ax for ax in column if ax.axison][-1].set_xlabel("passes T")
        [ax for ax in column if ax.axison][-1].tick_params(labelbottom=True)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(DESIGNS), frameon=False
    )
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Squared error against passes, for every design.")
    parser.add_argument("--out", type=Path, required=True, help="folder for designs.png")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    measured = measure()
    show(measured)
    print("Masks of 512 units, T = 100, milliseconds:", end=" ")
    print(", ".join(f"{label} {value:.2f}" for label, value in mask_milliseconds().items()))
    out.mkdir(parents=True, exist_ok=True)
    picture(measured, out / "designs.png")
