"""05. Noise while training: bias, variance and smoothness.

A fitted curve f errs in two ways. Over many training sets its mean misses the truth (bias), and each fit strays from
that mean (variance):  E(f - truth)^2 = (E f - truth)^2 + Var f.  A model with more units h than data has little bias
and much variance. Noise on h in training smooths it: variance falls, bias rises. The noise must be unbiased, or the
trained model meets other activations than it was trained on:

    additive Gaussian    h' = h + e, e ~ N(0, s^2)               E h' = h        Var h' = s^2
    Bernoulli (dropout)  h' = 0 or, with 1 - p, h / (1 - p)      E h' = h        Var h' = h^2 p / (1 - p)
    masked, not scaled   h' = 0 or, with 1 - p, h                E h' = (1 - p) h: biased

Why smooth? For f = sum_j w_j h_j, squared error and n points, noise costs on average a penalty: n s^2 sum_j w_j^2 if
Gaussian, p / (1 - p) sum_ij h_ij^2 w_j^2 if Bernoulli. Large weights, which make a curve rough, become dear. Bishop
1995, Neural Computation 7:108-116; Srivastava et al. 2014, JMLR 15, section 9.1; Dive into Deep Learning, 5.6.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mcdrop.scratch import dropout_forward, original_forward

NUM_SETS, ROWS, UNITS, COPIES, GRID = 100, 20, 40, 200, np.linspace(0, 1, 101)
TRUTH = np.sin(2 * np.pi * GRID)
NOISES = {
    "Bernoulli": (lambda h, p, rng: dropout_forward(h, p, rng)[0], (0.05, 0.1, 0.2, 0.5, 0.8, 0.9)),
    "Gaussian": (lambda h, s, rng: h + s * rng.normal(size=h.shape), (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)),
    "masked, not scaled": (lambda h, p, rng: original_forward(h, p, rng)[0], (0.2,)),
}
LOOKS = {"squared bias": "o#0072B2", "variance": "s#D55E00", "sum": "Dblack", "roughness": "^#009E73"}


def units(x):
    """Hidden layer that is not trained: 40 bumps, side by side."""
    return np.exp(-0.5 * ((x[:, None] - np.linspace(0, 1, UNITS)) / 0.08) ** 2)


def fit(noise, strength, seed):
    """Least squares on 200 noisy copies of 20 points of a sine; the curve on the grid, noise off."""
    rng = np.random.default_rng(seed)
    x = rng.random(ROWS)
    y = np.sin(2 * np.pi * x) + 0.3 * rng.normal(size=ROWS)
    noisy = NOISES[noise][0](units(np.tile(x, COPIES)), strength, rng)
    return units(GRID) @ np.linalg.solve(noisy.T @ noisy, noisy.T @ np.tile(y, COPIES))


def measure(curves):
    """Each quantity as one value per training set (4, NUM_SETS): their mean estimates it, their spread its error."""
    bias, strays = curves.mean(0) - TRUTH, curves - curves.mean(0)
    variance = (strays**2).mean(1) * NUM_SETS / (NUM_SETS - 1)
    squared_bias = (bias**2).mean() + 2 * (bias * strays).mean(1) - variance / NUM_SETS  # what the mean strays itself
    return np.array([squared_bias, variance, squared_bias + variance, ((curves[:, 5:] - curves[:, :-5]) ** 2).mean(1)])


def main(out: Path) -> None:
    print("A million draws of h' for h = 2")
    numbers, rng = {}, np.random.default_rng(0)
    for noise, strength in (("Gaussian", 1.0), ("Bernoulli", 0.2), ("masked, not scaled", 0.2)):
        h = NOISES[noise][0](np.full(10**6, 2.0), strength, rng)
        numbers[f"moments {noise}"] = [h.mean(), h.std() / 1e3, h.var()]
        print(f"  {noise:18} {strength}: mean {h.mean():.4f} +- {h.std() / 1e3:.4f}, variance {h.var():.3f}")

    print(f"Means over {NUM_SETS} training sets. Roughness: mean squared change of f when x moves by 0.05")
    figure, axes = plt.subplots(1, 5, figsize=(16, 3.8), layout="constrained")
    for k, (noise, (_, strengths)) in enumerate(NOISES.items()):
        curves = np.array([[fit(noise, strength, seed) for seed in range(NUM_SETS)] for strength in strengths])
        values = np.array([measure(c) for c in curves])  # (strength, quantity, set)
        mean, error = values.mean(-1), values.std(-1, ddof=1) / np.sqrt(NUM_SETS)
        numbers[noise] = values.tolist()
        print(f"  {noise:20}" + "".join(f"{name:18}" for name in LOOKS))
        for strength, *row in zip(strengths, *np.stack([mean, error], -1).swapaxes(0, 1), strict=True):
            print(f"    {strength:<16}" + "  ".join(f"{m:7.4f} +- {e:.4f}" for m, e in row))
        if len(strengths) == 1:
            continue
        for (name, look), m, e in zip(LOOKS.items(), mean.T, error.T, strict=True):
            axes[3 + k].errorbar(strengths, m, e, marker=look[0], color=look[1:], capsize=3, label=name)
        axes[3 + k].set(yscale="log", ylim=(3e-4, 0.4), title=f"{noise} noise", ylabel="units of y squared")
        if noise == "Bernoulli":
            for ax, p, fits in zip(axes[:3], (0.05, 0.5, 0.9), curves[[0, 3, 5]], strict=True):
                ax.plot(GRID, fits[:25].T, color="#56B4E9", lw=0.7)
                ax.plot(GRID, fits.mean(0), color="#0072B2", lw=2.5, label="mean of 100 fits")
                ax.plot(GRID, TRUTH, "k--", label="truth")
                ax.set(ylim=(-2, 2), xlabel="x", ylabel="y", title=f"25 fits, dropout p = {p}")
    axes[3].set_xlabel("probability of dropping p")
    axes[4].set(xlabel="standard deviation s", xscale="log")
    axes[0].legend(fontsize=8)
    axes[4].legend(fontsize=8)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "05_unbiased_noise.png", dpi=150)
    (out / "05_unbiased_noise.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Noise while training: bias, variance and smoothness.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
