"""Time times squared error of the mean: naive independent draws against mcdrop's designs, on small trained networks.

The squared error of the mean of T independent draws is their variance over T. That of a design is measured on many
disjoint stretches of T draws. The truth, and the variance, are those of 10,000 stratified draws under other seeds. The
rows are the whole test set.
"""

import copy
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.data import digits, scaling, uci
from mcdrop.posterior import Design
from tests.benchmarks.designs import energy_net, train
from tests.benchmarks.speed import calls_for, seconds
from tests.benchmarks.speed_contenders import Draw, naive_loop

DESIGNS = {repr(design): design for design in (mcdrop.Independent(), mcdrop.Antithetic(), mcdrop.Stratified(20))}
NAIVE = "naive loop"
PASSES = (20, 40, 100, 200)
"""Whole blocks of every design: what is left over of a block would undo much of what the block gains."""
AT = 100
"""The T of the table."""
DRAWS = 10_000
PIECE = 1000
"""Draws of one seed: a multiple of every T and of every block."""


@dataclass(frozen=True)
class Problem:
    """Means to be found.

    Args:
        name: What the tables call it.
        model: A trained network.
        x: Rows.
        read: From outputs (T, N, D) to what is averaged, (T, N, D).
        floor: How many times as large time x squared error of the naive loop must be.
    """

    name: str
    model: nn.Module
    x: Tensor
    read: Callable[[Tensor], Tensor]
    floor: float


@dataclass(frozen=True)
class Point:
    """T draws in one way: seconds by rounds, and the expected squared error of their mean over rows and outputs."""

    num_samples: int
    seconds: list[float]
    error: float


@dataclass(frozen=True)
class Precision:
    """The naive loop and each design on one problem; `curves` maps each to its points by T."""

    problem: str
    rows: int
    floor: float
    curves: dict[str, list[Point]]

    def at(self, who: str) -> Point:
        """The point of the table."""
        return next(point for point in self.curves[who] if point.num_samples == AT)

    @property
    def best(self) -> str:
        """The design with the least time x squared error."""
        designs = [who for who in self.curves if who != NAIVE]
        return min(designs, key=lambda who: statistics.median(self.at(who).seconds) * self.at(who).error)

    @property
    def fewer(self) -> float:
        """Squared error of the naive loop over that of the best design."""
        return self.at(NAIVE).error / self.at(self.best).error

    @property
    def faster(self) -> list[float]:
        """By rounds, how many times as long the naive loop takes."""
        return [a / b for a, b in zip(self.at(NAIVE).seconds, self.at(self.best).seconds, strict=True)]

    @property
    def gains(self) -> list[float]:
        """By rounds, time x squared error of the naive loop over that of the best design."""
        return [self.fewer * ratio for ratio in self.faster]

    @property
    def holds(self) -> bool:
        return statistics.median(self.gains) >= self.floor

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        curves = {who: [vars(point) for point in points] for who, points in self.curves.items()}
        return vars(self) | {"curves": curves, "best": self.best, "fewer": self.fewer, "gains": self.gains}


def problems(epochs: int = 20) -> Iterator[Problem]:
    """The networks, trained one after the other."""
    split = uci.load("energy", split=0)
    of_x, of_y = scaling.measure(split.train_x), scaling.measure(split.train_y)
    x, y = of_x.standardise(split.train_x).float(), of_y.standardise(split.train_y).float()
    net = _trained(lambda: energy_net(0.1), x, y, 2 * epochs)
    yield Problem(
        "UCI energy 8-50-1, p=.1", net, of_x.standardise(split.test_x).float(), lambda outputs: outputs, floor=20
    )
    data = digits.load(seed=0)
    net = _trained(_digits_net, data.train_images.flatten(1), data.train_labels, epochs)
    x = data.test_images.flatten(1)
    yield Problem("digits 64-256-256-10, p=.5, probabilities", net, x, lambda outputs: outputs.softmax(-1), floor=15)
    yield Problem("digits 64-256-256-10, p=.5, logits", net, x, lambda outputs: outputs, floor=50)


def _digits_net() -> nn.Module:
    hidden = [layer for before in (64, 256) for layer in (nn.Linear(before, 256), nn.ReLU(), nn.Dropout(0.5))]
    return nn.Sequential(*hidden, nn.Linear(256, 10))


def _trained(make: Callable[[], nn.Module], x: Tensor, y: Tensor, epochs: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return train(make(), x, y, epochs)


def measure(problem: Problem, rounds: int, *, draws: int = DRAWS, passes: tuple[int, ...] = PASSES) -> Precision:
    """Errors first, then the times of all ways in turn."""
    truth, variance = _truth(problem, draws)
    errors = {NAIVE: {count: variance / count for count in passes}}
    errors |= {who: squared_errors(problem, design, truth, draws, passes) for who, design in DESIGNS.items()}
    taken = _times(problem, rounds, passes)
    curves = {
        who: [Point(count, taken[who, count], error) for count, error in by_count.items()]
        for who, by_count in errors.items()
    }
    return Precision(problem.name, len(problem.x), problem.floor, curves)


def _pieces(problem: Problem, design: Design, draws: int, first_seed: int) -> Iterator[Tensor]:
    for seed in range(first_seed, first_seed + draws // PIECE):
        mc = mcdrop.MCDropout(problem.model, likelihood=mcdrop.Identity(), num_samples=PIECE, seed=seed, design=design)
        yield problem.read(mc.sample(problem.x))


def _truth(problem: Problem, draws: int) -> tuple[Tensor, float]:
    """The mean, and the variance of one draw averaged over rows and outputs."""
    means, variances = [], []
    for outputs in _pieces(problem, mcdrop.Stratified(20), draws, first_seed=draws):
        means.append(outputs.mean(0))
        variances.append(outputs.var(0).mean().item())
    return torch.stack(means).mean(0), statistics.fmean(variances)


def squared_errors(
    problem: Problem, design: Design, truth: Tensor, draws: int, passes: tuple[int, ...]
) -> dict[int, float]:
    """By T, over disjoint stretches that begin where a block does, averaged over rows and outputs too."""
    found: dict[int, list[float]] = {count: [] for count in passes}
    for outputs in _pieces(problem, design, draws, first_seed=1):
        for count, errors in found.items():
            stride = -(-count // design.block_size) * design.block_size
            for start in range(0, PIECE - stride + 1, stride):
                mean = outputs[start : start + count].mean(0)
                errors.append((mean - truth).square().mean().item())
    return {count: statistics.fmean(errors) for count, errors in found.items()}


def _times(problem: Problem, rounds: int, passes: tuple[int, ...]) -> dict[tuple[str, int], list[float]]:
    """Seconds to the mean, by way and T, for each round."""
    ways: dict[tuple[str, int], Draw] = {}
    for count in passes:
        ways[NAIVE, count] = _mean_of(problem, naive_loop(copy.deepcopy(problem.model), problem.x, count))
        for who, design in DESIGNS.items():
            mc = mcdrop.MCDropout(problem.model, likelihood=mcdrop.Identity(), num_samples=count, seed=0, design=design)
            ways[who, count] = _mean_of(problem, lambda mc=mc: mc.sample(problem.x))
    calls = {way: calls_for(draw) for way, draw in ways.items()}
    taken: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, draw in ways.items():
            taken[way].append(seconds(draw, calls[way]))
    return taken


def _mean_of(problem: Problem, draw: Draw) -> Draw:
    return lambda: problem.read(draw()).mean(0)
