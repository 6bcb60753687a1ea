"""The pictures of the page "A network is a forest", and the numbers below them.

python docs/forest/pictures.py trees --out docs/forest
"""

import argparse
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn

import mcdrop
from mcdrop.posterior import Dropout, EffectiveWeights, MeanMask
from mcdrop.sampling.enumerated import forest
from mcdrop.sampling.subnetwork import SubNetwork, units_for

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.55"


def moons() -> tuple[nn.Module, Tensor, Tensor, Tensor, Tensor]:
    """2-6-6-1 with dropout .2 on both hidden layers, trained on 200 points; test points too."""
    x, y = make_moons(1200, noise=0.2, random_state=0)
    x, y = torch.tensor(x).float(), torch.tensor(y).float()[:, None]
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(1500):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(x[:200]), y[:200]).backward()
        optimizer.step()
    return model.eval(), x[:200], y[:200], x[200:], y[200:]


def accuracy(probability: Tensor, y: Tensor) -> float:
    return ((probability > 0.5) == (y > 0.5)).double().mean().item()


def trees(path: Path) -> None:
    """Six trees, the forest of all 4096, its spread, and the weight-scaled network."""
    model, x, y, x_test, y_test = moons()
    side = torch.linspace(-1.8, 2.8, 60), torch.linspace(-1.4, 1.9, 45)
    grid = torch.stack(torch.meshgrid(*side, indexing="xy"), dim=-1).view(-1, 2)
    posterior, units = Dropout(seed=4), units_for(model, x)

    maps = []
    for t in range(6):
        tree = SubNetwork(model, posterior.draw(units, t))
        share = tree.parameters_in_use(x).share
        found = accuracy(tree(x_test).sigmoid(), y_test)
        maps.append((f"tree {t}: {share:.0%} of the parameters\naccuracy {found:.3f}", tree(grid).sigmoid()))
    drawn = [SubNetwork(model, posterior.draw(units, t))(x_test).sigmoid() for t in range(200)]
    accuracies = torch.tensor([accuracy(probability, y_test) for probability in drawn])
    everything, tested = forest(model, grid), forest(model, x_test)
    whole = SubNetwork(model, MeanMask())
    probability = everything.expectation(torch.sigmoid)
    best = accuracy(tested.expectation(torch.sigmoid), y_test)
    scaled = accuracy(whole(x_test).sigmoid(), y_test)
    maps.append((f"forest: all {everything.masks.count} trees\naccuracy {best:.3f}", probability))
    maps.append((f"weight-scaled network\naccuracy {scaled:.3f}", whole(grid).sigmoid()))
    spread = (everything.expectation(lambda logits: logits.sigmoid().square()) - probability.square()).clamp(min=0)

    figure, axes = plt.subplots(3, 3, figsize=(10, 8.2), layout="constrained", sharex=True, sharey=True)
    extent = (-1.8, 2.8, -1.4, 1.9)
    for ax, (title, values) in zip(axes.flat, maps, strict=False):
        shown = ax.imshow(
            values.view(45, 60).numpy(), extent=extent, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto"
        )
        ax.contour(
            *(part.numpy() for part in side), values.view(45, 60).numpy(), levels=[0.5], colors="white", linewidths=1
        )
        ax.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes[:, 1], label="probability of class 1", location="bottom", shrink=0.9)
    ax = axes[2, 2]
    shown = ax.imshow(
        spread.sqrt().view(45, 60).numpy(), extent=extent, origin="lower", cmap="magma", vmin=0, aspect="auto"
    )
    ax.set_title("where the trees disagree", fontsize=10)
    figure.colorbar(shown, ax=axes[:, 2], label="sd of the probability over trees", location="bottom", shrink=0.9)
    for ax in axes.flat:
        for label, marker in ((0, "o"), (1, "^")):
            points = x[y[:, 0] == label].T.numpy()
            ax.plot(
                *points, marker, ms=2.5, mfc="white", mec="black", mew=0.4, label=f"training points of class {label}"
            )
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", fontsize=9, frameon=False, markerscale=2)
    for ax in axes[-1]:
        ax.set_xlabel("first input")
    for ax in axes[:, 0]:
        ax.set_ylabel("second input")
    figure.savefig(path, dpi=80)
    print(f"{everything.masks.count} trees; 200 drawn ones: accuracy {accuracies.mean():.3f} on average, ", end="")
    print(f"{accuracies.min():.3f} to {accuracies.max():.3f}")
    print(f"forest {best:.3f}, weight-scaled network {scaled:.3f} (on 1000 test points)")
    difference = (probability - whole(grid).sigmoid()).abs().max()
    print(f"largest difference between the forest's probability and the weight-scaled network's: {difference:.2f}")


def weights(path: Path) -> None:
    """The parameter view: one weight's law, the share in use, the overlap of two trees."""
    torch.manual_seed(0)
    layer, p = nn.Linear(60, 40), 0.5
    law = EffectiveWeights(layer.weight.detach(), p_in=p, p_out=p)
    draws = law.sample(4000, torch.Generator().manual_seed(0))
    shares = (draws != 0).double().mean(dim=(1, 2))
    units = {"in": mcdrop.posterior.Units((60,), p), "out": mcdrop.posterior.Units((40,), p)}
    masks = [Dropout(seed=0).draw(units, t) for t in range(201)]
    overlaps = [one.overlap(two) for one, two in pairwise(masks)]

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    i, j = divmod(int(law.weight.abs().argmax()), 60)
    w, drawn = law.weight[i, j].item(), draws[:, i, j]
    values, counts = drawn.unique(return_counts=True)
    axes[0].bar(values.numpy(), counts.numpy() / len(draws), width=0.03, color=BLUE, label="4000 draws")
    expected = [law.probability_of_zero, law.probability_in_use]
    axes[0].plot([0, w / law.probability_in_use], expected, "_", color=ORANGE, ms=20, mew=2, label="law")
    axes[0].axvline(w, color="black", ls="--", lw=1.2, label=f"mean w = {w:.3f}")
    axes[0].set(xlabel="value of one effective weight w'", ylabel="probability", ylim=(0, 1))
    axes[0].legend(fontsize=8, loc="upper center")
    axes[1].hist(shares.numpy(), bins=30, color=BLUE)
    axes[1].axvline(law.expected_share_in_use, color=ORANGE, lw=2, label=f"expected {law.expected_share_in_use:.2f}")
    axes[1].set(xlabel="share of the layer's weights in use", ylabel="draws of 4000")
    axes[1].legend(fontsize=8)
    axes[2].hist(overlaps, bins=15, color=BLUE)
    axes[2].axvline((1 - p) / (1 + p), color=ORANGE, lw=2, label="(1 - p) / (1 + p)")
    axes[2].set(xlabel="overlap of two trees", ylabel="pairs of 200")
    axes[2].legend(fontsize=8)
    figure.savefig(path, dpi=80)
    print(f"weight {w:.4f}: P(0) = {law.probability_of_zero}, drawn {(drawn == 0).double().mean():.4f}; ", end="")
    print(f"variance {law.variance[i, j]:.4f}, drawn {drawn.var():.4f}")
    print(f"share in use: expected {law.expected_share_in_use}, drawn {shares.mean():.4f}, sd {shares.std():.4f}")
    print(f"overlap of two trees: {np.mean(overlaps):.3f} on average; sub-networks: 2^{law.num_units}")


def functions(path: Path) -> None:
    """Draws from the posterior on 1-D data: with shared masks functions, with masks of their own points."""
    torch.manual_seed(0)
    x = torch.cat([torch.linspace(-3, -0.7, 25), torch.linspace(0.8, 3, 25)])[:, None]
    y = torch.sin(1.5 * x) + 0.1 * torch.randn_like(x)
    model = nn.Sequential(
        nn.Linear(1, 100),
        nn.Tanh(),
        nn.Dropout(0.1),
        nn.Linear(100, 100),
        nn.Tanh(),
        nn.Dropout(0.1),
        nn.Linear(100, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
    for _ in range(2000):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    model.eval()
    grid = torch.linspace(-4.5, 4.5, 300)[:, None]

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
    roughness = {}
    for ax, shared in zip(axes, (True, False), strict=True):
        mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=200, seed=0, shared_masks=shared)
        draws, prediction = mc.sample(grid)[..., 0], mc(grid)
        mean, std, at = prediction.mean[:, 0].numpy(), prediction.std[:, 0].numpy(), grid[:, 0].numpy()
        ax.fill_between(at, mean - 2 * std, mean + 2 * std, color="0.88", label="mean ± 2 sd of 200 draws")
        for color, draw in zip((BLUE, ORANGE, GREEN, "#CC79A7"), draws, strict=False):
            ax.plot(at, draw.numpy(), "-" if shared else ".", color=color, lw=1.4, ms=2.5)
        ax.plot(x.numpy(), y.numpy(), "k+", ms=5, label="data")
        ax.set(
            xlabel="x", title="one mask for all rows: four functions" if shared else "masks of their own: four clouds"
        )
        roughness[shared] = (draws[:, 1:] - draws[:, :-1]).square().mean().sqrt().item()
    axes[0].set_ylabel("y")
    axes[0].legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=80)
    print(f"root mean squared step between neighbours on the grid: shared masks {roughness[True]:.3f}, ", end="")
    print(f"masks of their own {roughness[False]:.3f}")


PICTURES = {"trees": trees, "weights": weights, "functions": functions}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The pictures of the page on the forest.")
    parser.add_argument("which", choices=PICTURES)
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    PICTURES[chosen.which](chosen.out / f"{chosen.which}.png")
