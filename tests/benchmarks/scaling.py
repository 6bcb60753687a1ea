"""What T passes of a fully connected network cost against T, rows, width and depth, and the least that they can."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from tests.benchmarks.machine import Prices
from tests.benchmarks.speed import calls_for, seconds
from tests.benchmarks.speed_contenders import engine, naive_loop
from tests.benchmarks.speed_work import mlp


@dataclass(frozen=True)
class Size:
    """T passes of an MLP 784-width-...-width-10, p=.5."""

    passes: int = 100
    rows: int = 64
    width: int = 256
    depth: int = 2


SWEEPS: dict[str, tuple[int, ...]] = {
    "passes": (10, 30, 100, 300, 1000),
    "rows": (1, 8, 64, 512),
    "width": (64, 128, 256, 512, 1024),
    "depth": (1, 2, 4, 8),
}


@dataclass(frozen=True)
class Cost:
    """Of one size.

    Args:
        size: Of the work.
        naive: Seconds of the naive loop, median of rounds.
        ours: Seconds of mcdrop.
        arithmetic: Seconds that the multiplications and additions left to mcdrop take at best.
        traffic: Seconds that it takes at best to read weights, input and masks (a bit each) once and to write the
            outputs.
        execution: How mcdrop ran.
    """

    size: Size
    naive: float
    ours: float
    arithmetic: float
    traffic: float
    execution: str

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return vars(self) | {"size": vars(self.size)}


def sizes(sweep: str) -> Iterator[Size]:
    """The sizes along one axis, all else as in `Size()`."""
    for value in SWEEPS[sweep]:
        yield replace(Size(), **{sweep: value})


def cost(size: Size, prices: Prices, rounds: int) -> Cost:
    """Both ways in turn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = mlp(size.width, 0.5, depth=size.depth).eval(), torch.randn(size.rows, 784)
        looped = mlp(size.width, 0.5, depth=size.depth)
    mc = engine(model, size.passes)
    forecast = mc.plan(x)
    ways = {"naive": naive_loop(looped, x, size.passes), "ours": lambda: mc.sample(x)}
    calls = {who: calls_for(draw) for who, draw in ways.items() if draw() is not None}  # once, to warm up
    taken: dict[str, list[float]] = {who: [] for who in ways}
    for _ in range(rounds):
        for who, draw in ways.items():
            taken[who].append(seconds(draw, calls[who]))
    return Cost(
        size,
        statistics.median(taken["naive"]),
        statistics.median(taken["ours"]),
        forecast.multiply_adds * prices.multiply_add,
        bytes_at_least(model, size) * prices.byte,
        forecast.execution,
    )


def bytes_at_least(model: nn.Module, size: Size) -> int:
    """Bytes of weights, input and outputs in float32, and of the masks at a bit each."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    numbers = weights + (784 + 10 * size.passes) * size.rows
    return 4 * numbers + math.ceil(size.passes * size.width * size.depth / 8)
