"""04. MC dropout: where the sub-networks agree, the net is right.

Chapter 02 asked all 1024 sub-networks of a tiny net. A useful net has too many, so leave dropout on after training and
ask T of them, drawn as in training. The forest answers with their average: this is MC dropout.

    p(y | x) = 1/T sum_t p_t(y),    p_t = softmax(f(x, z_t)),    z_t ~ Bernoulli(1 - p) / (1 - p)

Each tree votes for a class; the share that the forest's class gets is their agreement on x. Or, in nats: the entropy
H[p] = -sum_y p(y) log p(y) of the forest is all the doubt there is; less what the trees have one by one, disagreement:

    mutual information = H[1/T sum_t p_t] - 1/T sum_t H[p_t],    0 where all trees say the same

We train on 200 digits and ask about 1597 others. Where hardly a tree dissents, the forest is nearly always right; where
no class has half of the votes, less than half of the time; in between, a little more often than the trees agree. What
they do not do here: read more digits correctly than the whole net, dropout off, in one pass; or find misread digits
better than that pass's entropy does. Gal and Ghahramani 2016, arXiv:1506.02142; Houlsby et al. 2011, arXiv:1112.5745.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import mcdrop
from mcdrop.data import digits

P, T, SEEDS = 0.5, 200, range(8)
BANDS = {"under 50 %": 0, "50 to 70": 0.5, "70 to 90": 0.7, "90 to 99": 0.9, "99 to 100": 0.99}  # agreement from


def train(images, labels, seed):
    """A net with two hidden layers, dropout after each."""
    torch.manual_seed(seed)
    first, second = (nn.Sequential(nn.Linear(k, 128), nn.ReLU(), nn.Dropout(P)) for k in (64, 128))
    net = nn.Sequential(nn.Flatten(), first, second, nn.Linear(128, 10))
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3, fused=True)
    for _ in range(60):
        for rows in torch.randperm(len(labels)).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images[rows]), labels[rows]).backward()
            optimiser.step()
    return net.eval()


def ask(seed):
    """Images and classes that were not trained on, the votes on them (T, N), the forest's classes, measurements."""
    data = digits.load(test_share=0.8887, seed=seed)
    x, y, net = data.test_images, data.test_labels.numpy(), train(data.train_images, data.train_labels, seed)
    forest = mcdrop.predict(net, x, likelihood=mcdrop.Categorical(), num_samples=T, seed=seed, keep_samples=True)
    votes, labels = forest.samples.argmax(-1).numpy(), forest.labels.numpy()
    whole = torch.distributions.Categorical(logits=net(x).detach())
    agreement, right, whole_right = (votes == labels).mean(0), labels == y, whole.probs.argmax(-1).numpy() == y
    found = {"accuracy: a tree": votes == y, "accuracy: forest": right, "accuracy: whole net": whole_right}
    for k, name in enumerate(BANDS):
        band = np.digitize(agreement, list(BANDS.values())) == k + 1
        found |= {f"{name}: share": band, f"{name}: accuracy": right[band], f"{name}: agreement": agreement[band]}
    found["errors found: agreement"] = roc_auc_score(~right, -agreement)
    found["errors found: mutual information"] = roc_auc_score(~right, forest.mutual_information)
    found["errors found: entropy, whole net"] = roc_auc_score(~whole_right, whole.entropy())
    return x, y, votes, labels, {name: float(np.mean(values)) for name, values in found.items()}


def main(out: Path) -> None:
    runs = [ask(seed) for seed in SEEDS]
    numbers = {name: [found[name] for *_, found in runs] for name in runs[0][-1]}
    summary = {name: (np.mean(v), np.std(v, ddof=1) / np.sqrt(len(SEEDS))) for name, v in numbers.items()}
    print(f"Means over {len(SEEDS)} nets. Errors found: chance that a misread digit looks more doubtful than another")
    for name, (mean, error) in summary.items():
        print(f"  {name:34} {mean:.4f} +- {error:.4f}")
    left, right = plt.figure(figsize=(13, 4.8), layout="constrained").subfigures(1, 2, width_ratios=[1, 1.6])
    ax, names = left.subplots(), list(BANDS)
    share, accuracy, trees = np.array([*summary.values()])[3:18].reshape(len(names), 3, 2).transpose(1, 2, 0)
    ax.bar(names, share[0], color="0.85", label="share of the digits")
    ax.plot(names, trees[0], "k--", label="mean agreement")
    ax.errorbar(names, *accuracy, fmt="o-", color="#0072B2", capsize=4, label="accuracy of the forest")
    ax.set(xlabel="agreement: share of the votes that the forest's class gets", ylim=(0, 1.03))
    ax.legend()
    x, y, votes, labels, _ = runs[0]
    picked = np.argsort((votes == labels).mean(0), kind="stable")[np.r_[:6, -6:0]]
    for ax, k in zip(right.subplots(2, 6).flat, picked, strict=True):
        cast = np.bincount(votes[:, k], minlength=10) / T
        ax.imshow(x[k].numpy(), cmap="gray_r")
        ax.set(xticks=[], yticks=[], xlabel="\n".join(f"{c}: {cast[c]:.0%}" for c in cast.argsort()[:-3:-1] if cast[c]))
        ax.set_title(f"a {y[k]}", color="black" if labels[k] == y[k] else "#D55E00")
    right.suptitle(f"Least and most agreement, and the votes of {T} sub-networks (orange: misread)")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "04_mc_dropout_on_digits.png", dpi=150)
    (out / "04_mc_dropout_on_digits.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="MC dropout: where the sub-networks agree, the net is right.")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the picture and the numbers")
    main(parser.parse_args().out)
