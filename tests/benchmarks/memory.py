"""Peak memory of predicting classes from T = 10 and T = 1000 passes, each in a process of its own.

    python -m tests.benchmarks.memory mcdrop "MLP 784-256-256-10, p=.2, 64 rows" 1000

prints the bytes that the process holds before predicting, and the most that it holds afterwards, as JSON. Linux only.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mcdrop
from tests.benchmarks.speed_contenders import naive_loop, repeated_batch
from tests.benchmarks.speed_work import WORK

FEW, MANY = 10, 1000
FLOOR = 1.1
"""The peak with MANY passes may be this many times that with FEW."""


def with_mcdrop(model: nn.Module, x: Tensor, num_samples: int) -> Callable[[], object]:
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=num_samples, seed=0)
    return lambda: mc(x).probs


def with_naive_loop(model: nn.Module, x: Tensor, num_samples: int) -> Callable[[], object]:
    draw = naive_loop(model, x, num_samples)
    return lambda: draw().softmax(dim=-1).mean(dim=0)


def with_repeated_batch(model: nn.Module, x: Tensor, num_samples: int) -> Callable[[], object]:
    draw = repeated_batch(model, x, num_samples)
    return lambda: draw().softmax(dim=-1).mean(dim=0)


WAYS = {"mcdrop": with_mcdrop, "naive loop": with_naive_loop, "repeated batch": with_repeated_batch}
_LARGE, _SMALL, _CONV = (WORK[place].name for place in (0, 1, 5))
MEASURED = (
    ("mcdrop", _SMALL), ("naive loop", _SMALL), ("repeated batch", _SMALL), ("mcdrop", _LARGE), ("mcdrop", _CONV),
)  # fmt: skip
"""Ways and work; the batch of the others, repeated 1000 times, would not fit into every memory."""


@dataclass(frozen=True)
class Held:
    """Bytes that a process holds: before predicting, and at most."""

    before: int
    peak: int


@dataclass(frozen=True)
class Growth:
    """One way on one line of work."""

    who: str
    work: str
    few: Held
    many: Held

    @property
    def ratio(self) -> float:
        """Of the peaks."""
        return self.many.peak / self.few.peak

    @property
    def ratio_above(self) -> float:
        """Of what the peaks lie above what was held before."""
        return (self.many.peak - self.many.before) / (self.few.peak - self.few.before)

    @property
    def holds(self) -> bool:
        return self.ratio <= FLOOR

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        ratios = {"ratio": self.ratio, "ratio_above": self.ratio_above}
        return vars(self) | {"few": vars(self.few), "many": vars(self.many)} | ratios


def growth(who: str, work: str, threads: int) -> Growth:
    """Measured in two new processes."""
    few, many = (_in_a_process(who, work, count, threads) for count in (FEW, MANY))
    return Growth(who, work, few, many)


def _in_a_process(who: str, work: str, num_samples: int, threads: int) -> Held:
    command = [sys.executable, "-m", "tests.benchmarks.memory", who, work, str(num_samples), "--threads", str(threads)]
    return Held(**json.loads(subprocess.check_output(command, text=True, cwd=Path(__file__).parents[2])))


def held(who: str, work: str, num_samples: int) -> Held:
    """Measured in this process."""
    line = next(line for line in WORK if line.name == work)
    run = WAYS[who](line.model(), line.x(), num_samples)
    # What importing held for a moment is no part of this. getrusage cannot forget it, and its ru_maxrss may be that of
    # the process that started this one.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    return Held(before, _status("VmHWM"))


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("who", choices=WAYS)
    parser.add_argument("work", choices=[line.name for line in WORK])
    parser.add_argument("num_samples", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(vars(held(options.who, options.work, options.num_samples))))
