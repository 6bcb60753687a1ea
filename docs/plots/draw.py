"""The pictures of the page "Pictures": one of each function of `mcdrop.plots`, 340 pixels wide, for light and dark.

python docs/plots/draw.py --out docs/plots
"""

import argparse
from functools import cache, partial
from io import StringIO
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from torch import Tensor, nn

import mcdrop
from mcdrop import calibration
from mcdrop.data import digits
from mcdrop.plots import (
    comparison,
    convergence,
    coverage,
    decision,
    forest,
    history,
    images,
    regression,
    reliability,
    selective,
    subnetworks,
    sweep,
    uncertainty,
    weights,
)
from mcdrop.posterior import Dropout, EffectiveWeights, Units
from mcdrop.training import compare, fit
from mcdrop.training import sweep as train_at_rates

INK = "#010203"
"""Stands for the colour of the text, which the file takes from where it is shown."""

LIGHT_AND_DARK = "<style>svg {color: #1b1b1b} @media (prefers-color-scheme: dark) {svg {color: #e2e4e9}}</style>"

SETTINGS = {
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.facecolor": "none", "figure.facecolor": "none", "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "",
    "font.family": "DejaVu Sans",
}  # fmt: skip


def dense(inputs: int, width: int, outputs: int, p: float) -> nn.Sequential:
    """Two hidden layers, with dropout after each."""
    layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(p), nn.Linear(width, width), nn.ReLU(), nn.Dropout(p)]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def trained(model: nn.Module, x: Tensor, y: Tensor, loss, steps: int, rate: float = 3e-3) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return model.eval()


@cache
def of_digits() -> tuple[nn.Module, mcdrop.Prediction, mcdrop.Prediction, Tensor, Tensor, Tensor]:
    """A net that learnt 90 digits until it is overconfident: the net, what 100 draws say of 1707 others and of noise,
    the probabilities of one pass, images and labels."""
    data = digits.load(test_share=0.95, seed=0)
    torch.manual_seed(0)
    net = dense(64, 200, 10, 0.5)
    trained(net, data.train_images.flatten(1), data.train_labels, nn.functional.cross_entropy, 400, 2e-3)
    mc = mcdrop.MCDropout(net, likelihood=mcdrop.Categorical(), num_samples=100, seed=0)
    x = data.test_images.flatten(1)
    with torch.no_grad():
        single = net(x).softmax(dim=1)
    return net, mc(x), mc(digits.uniform_noise(1000, seed=0).flatten(1)), single, data.test_images, data.test_labels


def wave(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """A wave with noise that grows with x, in [-2, 2]."""
    generator = torch.Generator().manual_seed(seed)
    x = 4 * torch.rand(rows, 1, generator=generator) - 2
    return x, torch.sin(2 * x) + (0.3 + 0.125 * x) * torch.randn(rows, 1, generator=generator)


@cache
def of_a_wave() -> tuple[mcdrop.MCDropout, Tensor, Tensor]:
    """A net that says mean and noise of each row, and 2000 test rows."""

    def loss(output: Tensor, y: Tensor) -> Tensor:
        mean, log_variance = output.chunk(2, dim=1)
        return nn.functional.gaussian_nll_loss(mean, y, log_variance.exp())

    torch.manual_seed(0)
    net = trained(dense(1, 100, 2, 0.05), *wave(400, seed=0), loss, 1000)
    mc = mcdrop.MCDropout(net, likelihood=mcdrop.HeteroscedasticGaussian(), num_samples=100, seed=0)
    return mc, *wave(2000, seed=1)


def reliability_bars(ax) -> None:
    _, _, _, probs, _, y = of_digits()
    reliability.reliability_bars(calibration.binned_reliability(probs, y), ax)


def reliability_curve(ax) -> None:
    _, prediction, _, _, _, y = of_digits()
    reliability.reliability_curve(calibration.corp_reliability(prediction, y), ax)


def risk_against_coverage(ax) -> None:
    _, prediction, _, probs, _, y = of_digits()
    for predicted, label in ((probs, "one pass"), (prediction, "MC dropout")):
        selective.risk_against_coverage(calibration.risk_coverage_curve(predicted, y), ax, label=label)


def right_against_wrong(ax) -> None:
    _, prediction, noise, _, _, y = of_digits()
    right = prediction.labels == y
    uncertainty.right_against_wrong(prediction.predictive_entropy, right, ax, foreign=noise.predictive_entropy)


def error_against_uncertainty(ax) -> None:
    mc, x, y = of_a_wave()
    uncertainty.error_against_uncertainty(calibration.error_against_uncertainty(mc(x), y), ax, unit="m")


def coverage_against_nominal(ax) -> None:
    mc, x, y = of_a_wave()
    coverage.coverage_against_nominal(calibration.coverage_curve(mc(x), y), ax)


def width_against_nominal(ax) -> None:
    mc, x, y = of_a_wave()
    coverage.width_against_nominal(calibration.coverage_curve(mc(x), y), ax, unit="m")


def quantiles_against_nominal(ax) -> None:
    mc, x, y = of_a_wave()
    coverage.quantiles_against_nominal(calibration.quantile_curve(mc(x), y), ax)


def pit_bars(ax) -> None:
    mc, x, y = of_a_wave()
    coverage.pit_bars(calibration.pit_histogram(mc(x), y), ax)


def value_against_draws(ax) -> None:
    net, _, _, _, x, y = of_digits()
    draws = [2, 5, 10, 20, 50, 100, 200]
    of = [mcdrop.predict(net, x.flatten(1), likelihood=mcdrop.Categorical(), num_samples=t, seed=0) for t in draws]
    scores = [calibration.negative_log_likelihood(prediction, y) for prediction in of]
    values, errors = [score.value for score in scores], [score.mc_error for score in scores]
    convergence.value_against_draws(draws, values, errors, ax, name="negative log-likelihood", unit="nats")


def compared() -> tuple[list[str], list[calibration.Score], list[calibration.Score]]:
    _, prediction, _, probs, _, y = of_digits()
    names = ["negative log-likelihood (nats)", "Brier score", "accuracy", "smooth calibration error"]
    scores = (
        calibration.negative_log_likelihood,
        calibration.brier_score,
        calibration.accuracy,
        calibration.smooth_calibration_error,
    )
    return names, [score(probs, y) for score in scores], [score(prediction, y) for score in scores]


def numbers(scores: list[calibration.Score]) -> tuple[list[float], list[float]]:
    """Values and total errors."""
    return [s.value for s in scores], [np.hypot(s.standard_error or 0, s.mc_error or 0) for s in scores]


def scores_side_by_side(ax) -> None:
    names, one, other = compared()
    (first, errors_first), (second, errors_second) = numbers(one), numbers(other)
    labels = ("one pass", "MC dropout")
    comparison.scores_side_by_side(names, first, second, errors_first, errors_second, ax, labels=labels)


def differences(ax) -> None:
    names, one, other = compared()
    values, errors = numbers([second - first for first, second in zip(one, other, strict=True)])
    comparison.differences(names, values, errors, ax, labels=("one pass", "MC dropout"))


def gallery(axes) -> None:
    _, prediction, _, _, x, y = of_digits()
    doubtful = prediction.predictive_entropy.argsort(descending=True)[:8]
    captions = [f"{y[k]}, read as {prediction.labels[k]}" for k in doubtful]
    images.gallery(x[doubtful], axes, captions=captions)


def painted_over() -> tuple[Tensor, Tensor]:
    """A digit, and how uncertain the net becomes when one pixel and its neighbours are painted black."""
    net, prediction, _, _, x, _ = of_digits()
    sure = int(prediction.predictive_entropy.argmin())
    painted = x[sure].expand(64, 8, 8).clone()
    for pixel in range(64):
        row, column = divmod(pixel, 8)
        painted[pixel, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
    mc = mcdrop.MCDropout(net, likelihood=mcdrop.Categorical(), num_samples=100, seed=0)
    return x[sure], mc(painted.flatten(1)).predictive_entropy.view(8, 8)


def value_map(ax) -> None:
    _, entropy = painted_over()
    images.value_map(entropy, ax, name="entropy without this pixel", unit="nats")


def overlay(ax) -> None:
    image, entropy = painted_over()
    images.overlay(image, entropy, ax, name="entropy without this pixel", unit="nats")


def bands(ax) -> None:
    mc, _, _ = of_a_wave()
    x = torch.linspace(-3, 3, 200)[:, None]
    regression.bands(x, mc(x), ax, data=wave(400, seed=0))


def functions(ax) -> None:
    mc, _, _ = of_a_wave()
    x = torch.linspace(-3, 3, 200)[:, None]
    means = mc.sample(x)[..., 0]
    regression.functions(x, means, ax, how_many=20)


def predicted_against_target(ax) -> None:
    mc, x, y = of_a_wave()
    regression.predicted_against_target(mc(x[:300]), y[:300], ax, unit="m")


def plane(ax) -> None:
    points, classes = (torch.tensor(part) for part in make_moons(200, noise=0.2, random_state=0))
    torch.manual_seed(0)
    loss = nn.functional.binary_cross_entropy_with_logits
    net = trained(dense(2, 50, 1, 0.2), points.float(), classes.float()[:, None], loss, 500)
    x1, x2 = torch.linspace(-2.5, 3.5, 90), torch.linspace(-2, 2.5, 70)
    grid = torch.cartesian_prod(x2, x1).flip(1)
    prediction = mcdrop.predict(net, grid, likelihood=mcdrop.Binary(), num_samples=200, seed=0)
    values = prediction.mutual_information.view(70, 90)
    decision.plane(x1, x2, values, ax, points=points, classes=classes, name="mutual information", unit="nats")


def small_digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    data = digits.load(test_share=0.8, seed=0)
    return (data.train_images.flatten(1), data.train_labels), (data.test_images.flatten(1), data.test_labels)


def losses_against_epochs(ax) -> None:
    train, test = small_digits()
    torch.manual_seed(0)
    optimizer = partial(torch.optim.Adam, lr=3e-3)
    net = dense(64, 100, 10, 0.5)
    record = fit(
        net, train, mcdrop.Categorical(), validation=test, optimizer=optimizer, epochs=40, batch_size=60, num_samples=20
    )
    history.losses_against_epochs(record, ax)


def loss_against_samples(ax) -> None:
    net, _, _, _, x, y = of_digits()
    found = compare(net, (x.flatten(1), y), likelihood=mcdrop.Categorical(), num_samples=50)
    forest.loss_against_samples(found, ax)


def loss_against_rate(ax) -> None:
    train, test = small_digits()
    found = train_at_rates(
        lambda p: dense(64, 100, 10, p),
        [0.0, 0.2, 0.4, 0.6, 0.8],
        train,
        mcdrop.Categorical(),
        test=test,
        num_samples=50,
        optimizer=partial(torch.optim.Adam, lr=3e-3),
        epochs=40,
        batch_size=60,
    )
    sweep.loss_against_rate(found, ax)


def weight_law(ax) -> None:
    net, *_ = of_digits()
    law = EffectiveWeights(net[3].weight.detach(), p_in=0.5, p_out=0.2)
    weights.weight_law(law, (0, 1), ax)


def layer_law(ax) -> None:
    net, *_ = of_digits()
    law = EffectiveWeights(net[3].weight.detach(), p_in=0.5, p_out=0.2)
    weights.layer_law(law, ax)


def subnetwork_gallery(axes) -> None:
    units = {"first": Units((10,), p=0.5), "second": Units((8,), p=0.5), "third": Units((6,), p=0.2)}
    masks = [Dropout(seed=0).draw(units, t) for t in range(6)]
    subnetworks.subnetwork_gallery(masks, axes)


ON_ONE_AXIS = (
    reliability_bars, reliability_curve, risk_against_coverage, right_against_wrong, error_against_uncertainty,
    coverage_against_nominal, width_against_nominal, quantiles_against_nominal, pit_bars, value_against_draws,
    scores_side_by_side, differences, value_map, overlay, bands, functions, predicted_against_target, plane,
    losses_against_epochs, loss_against_samples, loss_against_rate, weight_law, layer_law,
)  # fmt: skip
ON_MANY = {gallery: (2, 4), subnetwork_gallery: (2, 3)}


def draw(path: Path, picture) -> None:
    """Draws one picture into an SVG file whose text has the colour that fits the reader's screen."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(340 / 96, 2.8), layout="constrained")
        picture(figure.subplots(*ON_MANY.get(picture, (1, 1))))
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    head, tag, rest = file.getvalue().replace(INK, "currentColor").partition("<defs>")
    path.write_text(head + LIGHT_AND_DARK + tag + rest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The pictures of mcdrop.plots.")
    known = {picture.__name__: picture for picture in (*ON_ONE_AXIS, *ON_MANY)}
    parser.add_argument("names", nargs="*", help=f"which, all by default: {', '.join(known)}")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or known:
        draw(chosen.out / f"{name}.svg", known[name])
