"""02. Parameters as Bernoulli variables: every mask is another network.

Dropping unit i multiplies all weights that leave it by the same coin z_i. So dropout makes the weights random: each is
0 with probability p and keeps its value otherwise, enlarged so that its mean is w,

    W' = diag(z) W / (1 - p),    z_i ~ Bernoulli(1 - p),      E[w'] = w,    Var[w'] = w^2 p / (1 - p)

K droppable units give 2^K sub-networks that share one set of weights. Training works on one of them at a time (a tree);
at test time the whole net stands in for their average (the forest). A net with ten hidden units is small enough to ask
all 1024 of them, each weighted by its probability, and to see how good the whole net is in their stead.

Srivastava et al. 2014, JMLR 15:1929-1958, sections 1 and 4; Gal and Ghahramani 2016, arXiv:1506.02142, section 3.
"""

import argparse
import json
from itertools import pairwise, product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from mcdrop.scratch import Dense, draw_mask, init_mlp, mlp_forward, sgd_epoch, softmax

P, SIZES, HIDDEN = 0.5, [2, 6, 4, 2], 10


def thin(layers, z):
    """Sub-network of mask z (10,): the weights that leave a hidden unit times its coin, over 1 - p."""
    coins = [np.full(2, 1 - P), *np.split(z, [SIZES[1]])]  # inputs are never dropped: their weights times 1
    return [Dense(w * coin[:, None] / (1 - P), b) for (w, b), coin in zip(layers, coins, strict=True)]


def share_in_use(z):
    """Share of the parameters that do anything: weights with both ends kept, biases of units kept."""
    kept = [2, *(coins.sum() for coins in np.split(z, [SIZES[1]])), 2]
    return sum((a + 1) * b for a, b in pairwise(kept)) / sum((a + 1) * b for a, b in pairwise(SIZES))


def draw_net(ax, z):
    """Units as dots, weights in use as lines; what is dropped is grey."""
    kept = [np.ones(2), *np.split(z, [SIZES[1]]), np.ones(2)]
    for k, (on, above) in enumerate(pairwise([*kept, []])):
        height = [np.arange(len(units)) - (len(units) - 1) / 2 for units in (on, above)]
        for i, j in product(range(len(on)), range(len(above))):
            look = {"color": "#0072B2", "lw": 1.4} if on[i] * above[j] else {"color": "0.88", "lw": 0.7}
            ax.plot([k, k + 1], [height[0][i], height[1][j]], zorder=look["lw"], **look)
        ax.scatter([k] * len(on), height[0], s=45, c=np.where(on, "#0072B2", "white"), edgecolors="0.4", zorder=3)
    ax.axis("off")


def main(out: Path) -> None:
    # 1. A net trained with dropout on two half-moons; and one of its weights, drawn a hundred thousand times.
    (x, y), rng = make_moons(1200, noise=0.2, random_state=0), np.random.default_rng(0)
    layers = init_mlp(SIZES, rng)
    for _ in range(200):
        layers, _ = sgd_epoch(layers, x[:200], y[:200], rates=[P, P], learning_rate=0.1, batch_size=20, rng=rng)
    w = layers[1].weight[0, 0]
    draws, error = w * draw_mask((10**5,), 1 - P, rng) / (1 - P), abs(w) * np.sqrt(P / (1 - P) / 10**5)
    print(f"weight w = {w:.3f}, 100000 draws at p = {P}: {np.mean(draws == 0):.4f} of them are 0,")
    print(f"  mean {draws.mean():.4f} +- {error:.4f}, variance {draws.var():.3f}, by formula {w**2 * P / (1 - P):.3f}")

    # 2. All sub-networks: how much of the net they use, and what each one and their average get right.
    masks = np.array(list(product([0, 1], repeat=HIDDEN)))
    chance, shares = np.prod(np.where(masks, 1 - P, P), axis=1), np.array([share_in_use(z) for z in masks])
    print(f"{HIDDEN} hidden units: {len(masks)} sub-networks; a 784-256-256-10 net has 2^512 = {2.0**512:.1e}")
    print(f"parameters in use: {chance @ shares:.3f} on average, from {shares.min():.3f} to {shares.max():.3f}")
    probs = np.array([softmax(mlp_forward(thin(layers, z), x[200:])[0]) for z in masks])
    trees = (probs.argmax(-1) == y[200:]).mean(1)
    forest = (np.tensordot(chance, probs, 1).argmax(-1) == y[200:]).mean()
    whole = (mlp_forward(layers, x[200:])[0].argmax(-1) == y[200:]).mean()
    print(f"accuracy on 1000 points: a sub-network {chance @ trees:.3f} on average, the best {trees.max():.3f};")
    print(f"  average of all {forest:.3f}, the whole net in its stead {whole:.3f}")

    left, right = plt.figure(figsize=(13, 5), layout="constrained").subfigures(1, 2, width_ratios=[1.7, 1])
    gallery = np.vstack([np.ones(HIDDEN), draw_mask((7, HIDDEN), 1 - P, np.random.default_rng(3))])
    for ax, z in zip(left.subplots(2, 4).flat, gallery, strict=True):
        name, accuracy = ("whole net", whole) if z.all() else ("sub-network", trees[(masks == z).all(1)].item())
        draw_net(ax, z)
        ax.set_title(f"{name}, {share_in_use(z):.0%} in use:\naccuracy {accuracy:.2f}", fontsize=10)
    ax = right.subplots()
    ax.hist(trees, bins=np.linspace(0.4, 1, 31), weights=chance, color="#56B4E9", label="sub-networks (trees)")
    ax.axvline(forest, color="#D55E00", lw=2.5, label="average of all (forest)")
    ax.axvline(whole, color="black", ls="--", label="whole net, dropout off")
    ax.set(xlabel="accuracy on 1000 test points", ylabel="probability of drawing such a sub-network")
    ax.legend(loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "02_sub_networks.png", dpi=150)
    numbers = {"w": w, "mean": draws.mean(), "error": error, "zero": np.mean(draws == 0), "in_use": chance @ shares}
    numbers |= {"sub_networks": len(masks), "tree": chance @ trees, "forest": forest, "whole": whole}
    (out / "02_sub_networks.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Parameters as Bernoulli variables: every mask is another network.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
