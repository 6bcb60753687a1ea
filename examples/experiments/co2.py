"""CO2: what a network trained with dropout says beyond its data, beside a Gaussian process. After Gal & Ghahramani
2016, section 5.1 and figure 2, https://arxiv.org/abs/1506.02142.

Their networks have 4 hidden layers of 1024 units, dropout after each, and take 10^6 steps of gradient descent with
momentum on a GPU; ours have 128 units and take 80,000 steps of Adam, which fit the 23 waves of the data less well. How
well is measured. The three seeds of a network are trained at once.
"""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from torch import nn

import mcdrop
from examples.experiments.co2_pictures import pictures
from examples.experiments.estimates import with_error
from examples.experiments.experiment import SEEDS, Experiment, Numbers
from examples.experiments.lines import from_line, to_line
from examples.experiments.page import table
from mcdrop.data import co2
from mcdrop.training import members

ACTIVATIONS = {"ReLU": nn.ReLU, "tanh": nn.Tanh}
HIDDEN, WIDTH, P = 4, 128, 0.1
WEIGHT_DECAY = 1e-6  # as theirs, beside half the mean squared error
LEARNING_RATE, BATCH_SIZE = 3e-3, 68
EPOCHS, QUICK_EPOCHS = 20_000, 800  # of four steps
SAMPLES = 1000
FUNCTIONS = 12
DISTANCES = (0, 0.5, 1, 2, 5, 10)
"""Of the table, from the last training time."""
ERRORS = {"under .25": (0, 0.25), ".25 to .5": (0.25, 0.5), ".5 to 1": (0.5, 1), "over 1": (1, math.inf)}
FAR = 10.0
"""How far from the last training time we ask; the publisher's test times end at 2."""
EACH_SEED = ("RMSE", "RMSE, dropout off", "in range", "at x*", "std by distance")
FIRST_SEED = ("mean", "std", "dropout off", "functions")


def build(activation: type[nn.Module]) -> nn.Sequential:
    """1-128-128-128-128-1 with dropout after each activation; weights from their U(-sqrt(3 / k), sqrt(3 / k)).

    Biases remain torch's: with theirs, 0, all units of the first layer bend at the one same time.
    """
    layers: list[nn.Module] = []
    for inputs in (1, *[WIDTH] * (HIDDEN - 1)):
        layers += [nn.Linear(inputs, WIDTH), activation(), nn.Dropout(P)]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 1))
    for layer in net:
        if isinstance(layer, nn.Linear):
            bound = math.sqrt(3 / layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound)
    return net


def axis(data: co2.Co2) -> torch.Tensor:
    """The training times, and every tenth test time."""
    return torch.cat([data.train_x, data.test_x[9::10]])


def distances() -> torch.Tensor:
    """From the last training time."""
    return torch.linspace(0, FAR, 41)


def measure_nets(activation: str, quick: bool) -> dict[str, Any]:
    """What three networks say of the training times, the test times and far beyond."""
    data, epochs = co2.load(), QUICK_EPOCHS if quick else EPOCHS
    nets, _ = members(
        partial(build, ACTIVATIONS[activation]),
        (data.train_x, data.train_y),
        mcdrop.Gaussian(precision=1.0),
        seeds=SEEDS,
        optimizer=partial(torch.optim.Adam, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        schedule=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=epochs),
        epochs=epochs,
        batch_size=BATCH_SIZE,
    )
    found = [_ask(net, data, seed) for seed, net in zip(SEEDS, nets.members, strict=True)]
    of_seeds = {name: [of_net[name] for of_net in found] for name in EACH_SEED}
    return of_seeds | {name: found[0][name] for name in FIRST_SEED}


def _ask(net: nn.Module, data: co2.Co2, seed: int) -> dict[str, Any]:
    x, num_train = axis(data), len(data.train_x)
    mc = mcdrop.MCDropout(net, likelihood=mcdrop.Identity(), num_samples=SAMPLES, seed=seed)
    prediction = mc(x)
    with torch.no_grad():
        weight_scaled = net(x)
    far = mc(data.train_x[-1:] + distances()[:, None])
    return {
        "RMSE": _rmse(prediction.mean[:num_train], data.train_y),
        "RMSE, dropout off": _rmse(weight_scaled[:num_train], data.train_y),
        "in range": prediction.std[:num_train].mean().item(),
        "at x*": prediction.std[-1].item(),
        "std by distance": to_line(far.std),
        "mean": to_line(prediction.mean),
        "std": to_line(prediction.std),
        "dropout off": to_line(weight_scaled),
        "functions": [to_line(draw) for draw in prediction.samples[:FUNCTIONS]],
    }


def measure_process() -> dict[str, Any]:
    """A Gaussian process with a squared exponential covariance, fitted by its marginal likelihood; and the data."""
    data = co2.load()
    train_x, train_y = data.train_x.double().numpy(), data.train_y[:, 0].double().numpy()
    process = GaussianProcessRegressor(ConstantKernel(1.0) * RBF(0.1) + WhiteKernel(0.1)).fit(train_x, train_y)
    noise = process.kernel_.k2.noise_level

    def ask(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, std = process.predict(x.double().numpy(), return_std=True)
        return torch.from_numpy(mean), torch.from_numpy(np.sqrt((std**2 - noise).clip(min=0)))  # of the function

    mean, std = ask(axis(data))
    return {
        "x": to_line(axis(data)),
        "y": to_line(data.train_y),
        "RMSE": _rmse(mean[: len(train_x)], data.train_y[:, 0]),
        "in range": std[: len(train_x)].mean().item(),
        "at x*": std[-1].item(),
        "mean": to_line(mean),
        "std": to_line(std),
        "distances": to_line(distances()),
        "std by distance": to_line(ask(data.train_x[-1:] + distances()[:, None])[1]),
    }


def _rmse(predicted: torch.Tensor, target: torch.Tensor) -> float:
    return (predicted - target).square().mean().sqrt().item()


def parts(quick: bool) -> dict[str, Any]:
    nets = {activation: partial(measure_nets, activation, quick) for activation in ACTIVATIONS}
    return {"Gaussian process": measure_process, **nets}


def tables(numbers: Numbers) -> dict[str, str]:
    spreads, growth = [], []
    at = from_line(numbers["Gaussian process"]["distances"])
    shown = [int(np.abs(at - distance).argmin()) for distance in DISTANCES]
    for name in (*ACTIVATIONS, "Gaussian process"):
        of = numbers[name]
        if name == "Gaussian process":
            of = {key: [value] for key, value in of.items()}
        off = with_error(of["RMSE, dropout off"]) if name in ACTIVATIONS else "-"
        ratios = [far / near for far, near in zip(of["at x*"], of["in range"], strict=True)]
        columns = (of["RMSE"], of["in range"], of["at x*"], ratios)
        spreads.append([name, off, *map(with_error, columns)])
        curves = np.array([from_line(line) for line in of["std by distance"]])
        growth.append([name, *(with_error(curves[:, place]) for place in shown)])
    head = ["", "RMSE, dropout off", "RMSE, mean of the draws", "sd in range", "sd at x*", "ratio"]
    return {
        "spread": table(head, spreads),
        "distance": table(["sd at distance", *(f"{distance:g}" for distance in DISTANCES)], growth),
        "misfit": table(["sd where the mean is off by", *ERRORS], _by_error(numbers)),
    }


def _by_error(numbers: Numbers) -> list[list[str]]:
    """The mean spread of the first network at training times of small and of large errors."""
    y = from_line(numbers["Gaussian process"]["y"])
    rows = []
    for name in ACTIVATIONS:
        mean, std = (from_line(numbers[name][line])[: len(y)] for line in ("mean", "std"))
        error = abs(mean - y)
        groups = [std[(low <= error) & (error < high)] for low, high in ERRORS.values()]
        rows.append([name, *(f"{group.mean():.3f} ({len(group)} times)" if len(group) else "-" for group in groups)])
    return rows


EXPERIMENT = Experiment("co2", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()
