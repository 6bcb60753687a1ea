"""01. Dropout from scratch: one mask, forward and backward.

A net with more parameters than data learns its examples by heart. Dropout disturbs that: in every training step each of
a layer's activations h is hit by a coin of its own. With probability p it becomes 0, and what survives is enlarged by
1 / (1 - p), so that on average nothing changes, and after training the layer can do without coins:

    mask = [u < 1 - p],  u ~ U[0, 1)         h' = mask * h / (1 - p)         E[h'] = h

Once the mask is drawn the layer is a plain product, so the way back multiplies with the same numbers. A dropped unit
took no part in the answer and gets no share of the blame:

    dL/dh = mask * dL/dh' / (1 - p)

Srivastava et al. 2014, JMLR 15:1929-1958. Run: python examples/01_dropout_from_scratch.py --out pictures
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mcdrop.scratch import draw_mask, dropout_backward, dropout_forward, dropout_keep, share_dropped


def main(out: Path) -> None:
    # 1. A layer of four units sees two examples, one per column.
    w = np.array([[1.0, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]])
    x = np.array([[1.0, 2], [1, 2], [1, 2]])
    h = np.maximum(w @ x + 1, 0)
    print(f"activations h = relu(w x + 1):\n{h}\n")

    # 2. Forward, with keep probability 0.8 and coins given by hand, so that the result can be checked with a pencil.
    uniforms = np.array([[0.587, 0.415], [0.160, 0.250], [0.103, 0.824], [0.281, 0.899]])
    dropped_out, mask = dropout_keep(h, 0.8, uniforms)
    print(f"mask, 1 where u < 0.8:\n{mask.astype(int)}\n")
    print(f"masked:\n{h * mask}\n")
    print(f"masked and divided by 0.8:\n{dropped_out}\n")
    print(f"share dropped: {share_dropped(mask)}  (0.2 on average; eight coins need not obey)\n")

    # 3. The same layer told by the rate of dropping, as torch and Keras do: p = 0.2.
    by_rate, _ = dropout_forward(h, 0.2, uniforms)
    print(f"p = 0.2 gives the same as keep_prob = 0.8: {np.array_equal(by_rate, dropped_out)}\n")

    # 4. Backward, for the loss L = sum(h'^2) / 2, whose slope is dL/dh' = h'; then against a finite difference.
    grad = dropout_backward(dropped_out, mask, 0.2)
    numeric = np.zeros_like(h)
    for index in np.ndindex(h.shape):
        losses = []
        for step in (1e-3, -1e-3):
            moved = h.copy()
            moved[index] += step
            losses.append((dropout_forward(moved, 0.2, uniforms)[0] ** 2).sum() / 2)
        numeric[index] = (losses[0] - losses[1]) / 2e-3
    gap = abs(grad - numeric).max() / abs(grad).max()
    print(f"gradient dL/dh:\n{grad}\nlargest difference from finite differences, relative: {gap:.1e}\n")

    # 5. Many coins obey: the observed share approaches the rate, within its standard error sqrt(p (1 - p) / n).
    large, error = draw_mask((40, 125), 0.8, np.random.default_rng(0)), np.sqrt(0.2 * 0.8 / 5000)
    print(f"5000 coins: share dropped {share_dropped(large):.4f}, expected 0.2 +- {error:.4f}")

    # 6. And the average of h' over many masks is h.
    rng, num_masks = np.random.default_rng(1), 10_000
    draws = np.array([dropout_forward(h, 0.2, rng)[0] for _ in range(num_masks)])
    z_scores = (draws.mean(axis=0) - h) / (draws.std(axis=0, ddof=1) / np.sqrt(num_masks))
    print(f"mean of h' over {num_masks} masks:\n{draws.mean(axis=0).round(2)}")
    print(f"distance from h: at most {abs(z_scores).max():.1f} standard errors")

    figure = plt.figure(figsize=(10, 6.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    titles = ["activation  h", "mask", "output  h' = mask h / 0.8", r"gradient of $\sum h'^2 / 2$"]
    axes = top.subplots(1, 4, sharey=True)
    for ax, values, title in zip(axes, [h, mask.astype(float), dropped_out, grad], titles, strict=True):
        ax.imshow(np.sqrt(values), cmap="Blues", vmin=0, vmax=1.6 * np.sqrt(values.max()), aspect="auto")
        for (unit, example), value in np.ndenumerate(values):
            ax.text(example, unit, f"{value:g}", ha="center", va="center", fontsize=12)
        ax.set(title=title, xlabel="example", xticks=[0, 1], xticklabels=["1", "2"])
    axes[0].set(ylabel="unit", yticks=range(4), yticklabels=["1", "2", "3", "4"])
    ax = bottom.subplots()
    ax.imshow(large, cmap="Blues", vmax=1.6, extent=(0.5, 125.5, 40.5, 0.5), aspect="auto")
    ax.set(xlabel="unit", ylabel="example", title=f"A larger mask, p = 0.2: {share_dropped(large):.1%} dropped (white)")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "01_dropout_from_scratch.png", dpi=150)
    numbers = {"output": dropped_out.tolist(), "gradient": grad.tolist(), "gradient_gap": gap}
    numbers |= {"share": share_dropped(large), "share_error": error, "largest_z": abs(z_scores).max()}
    (out / "01_dropout_from_scratch.json").write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Dropout from scratch: one mask, forward and backward.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
