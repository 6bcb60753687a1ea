"""The least that arithmetic and memory cost on the machine."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

SIDE = 1536
COPIED = 1 << 26


@dataclass(frozen=True)
class Prices:
    """Seconds that the machine needs at best.

    Args:
        multiply_add: For one multiplication and addition, in a product of two matrices of 1536 x 1536.
        byte: To read or write one byte of memory, in a copy of 64 MiB.
    """

    multiply_add: float
    byte: float


def prices(rounds: int = 5) -> Prices:
    """Measured now, with the threads that torch has now; medians of rounds."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    source, target = (torch.zeros(COPIED, dtype=torch.uint8) for _ in range(2))
    return Prices(
        _median(lambda: a @ b, rounds) / SIDE**3, _median(lambda: target.copy_(source), rounds) / (2 * COPIED)
    )


def _median(run: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
