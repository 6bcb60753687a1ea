"""What training M networks at once by `members` costs, in fits of one of them.

    python -m tests.benchmarks.together [--rounds 7]

Networks and data of the size of UCI energy: 691 rows of 8 columns, 8-50-1, dropout .05, batches of 32, Adam, and a data
set for each member. Seconds of processor time of one thread, the least of rounds in turn: what else runs on the
machine can only add to them.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

import mcdrop
from mcdrop.posterior import Prior
from mcdrop.training import Objective, fit, initialise, members

ROWS, COLUMNS, BATCH = 691, 8, 32
MEMBERS = (1, 5, 20, 50)
OBJECTIVE = Objective(mcdrop.Gaussian(0.4271), Prior(1e-2), protocol="gal2016")


def build() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.05), nn.Linear(COLUMNS, 50), nn.ReLU(), nn.Dropout(0.05), nn.Linear(50, 1))


def seconds(train: Callable[[], object]) -> float:
    start = time.thread_time()
    train()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    data = [
        (torch.randn(ROWS, COLUMNS, generator=generator), torch.randn(ROWS, 1, generator=generator))
        for _ in range(max(MEMBERS))
    ]
    settings = {"optimizer": partial(torch.optim.Adam, lr=1e-3), "epochs": options.epochs, "batch_size": BATCH}
    trainings = {"fit": lambda: fit(initialise(build, 0), data[0], OBJECTIVE, seed=0, **settings)} | {
        f"members, M = {m}": partial(members, build, data[:m], OBJECTIVE, seeds=range(m), **settings) for m in MEMBERS
    }
    rounds = [{name: seconds(train) for name, train in trainings.items()} for _ in range(options.rounds)]
    least = {name: min(taken[name] for taken in rounds) for name in trainings}
    steps = options.epochs * -(-ROWS // BATCH)
    print(f"torch {torch.__version__}, 1 thread, {steps} steps, the least of {options.rounds} rounds\n")
    print("| training | ms a step | in fits of one network |\n|---|---|---|")
    for name, taken in least.items():
        print(f"| {name} | {1e3 * taken / steps:.2f} | {taken / least['fit']:.1f} |")


if __name__ == "__main__":
    main()
