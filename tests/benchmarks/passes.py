"""How long T stochastic passes take: the naive loop, the batch repeated T times, and mcdrop, in turn in one process.

    python tests/benchmarks/passes.py [--rounds 5] [--threads 2]

Ratios are to the naive loop (dropout modules in training mode, one pass after the other, outputs stacked); medians of
rounds, with their spread. `spread` is the mean standard deviation of the output, so that a fast wrong answer shows.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import mcdrop


def mlp(width: int, p: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(784, width), nn.ReLU(), nn.Dropout(p),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(p), nn.Linear(width, 10),
    )  # fmt: skip


def convnet() -> nn.Module:
    blocks = [
        layer
        for place in range(4)
        for layer in (nn.Conv2d(16 if place else 3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout2d(0.2))
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 256, 0.1, batch_first=True), 4)


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "MLP 784-1024-1024-10, p=.5, 256 rows": (lambda: mlp(1024, 0.5), (256, 784), 100),
    "MLP 784-256-256-10, p=.2, 64 rows": (lambda: mlp(256, 0.2), (64, 784), 100),
    "MLP 784-256-256-10, p=.5, 1 row": (lambda: mlp(256, 0.5), (1, 784), 100),
    "CNN, Dropout2d in every block, 16 x 3 x 32 x 32": (convnet, (16, 3, 32, 32), 30),
    "Transformer encoder, 4 x 128, 8 x 32 tokens": (encoder, (8, 32, 128), 30),
}


def naive(model: nn.Module, x: Tensor, count: int) -> Tensor:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        draws = torch.stack([model(x) for _ in range(count)])
    model.eval()
    return draws


def repeated(model: nn.Module, x: Tensor, count: int) -> Tensor:
    return naive(model, x.repeat(count, *[1] * (x.ndim - 1)), 1).view(count, len(x), *model(x[:1]).shape[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, median of {options.rounds} rounds (least, most)\n")
    print("| work | T | who | ms | times the naive loop | spread |\n|---|---|---|---|---|---|")
    for name, (make, shape, count) in CASES.items():
        torch.manual_seed(0)
        model, x = make().eval(), torch.randn(shape)
        engines = {
            shared: mcdrop.MCDropout(
                model, likelihood=mcdrop.Identity(), num_samples=count, seed=0, shared_masks=shared
            )
            for shared in (True, False)
        }
        contenders: dict[str, Callable[[], Tensor]] = {
            "naive loop": lambda: naive(model, x, count),  # noqa: B023 (called in this round)
            "repeated batch": lambda: repeated(model, x, count),  # noqa: B023
            "mcdrop": lambda: engines[True].sample(x),  # noqa: B023
            "mcdrop, own masks": lambda: engines[False].sample(x),  # noqa: B023
        }
        seconds: dict[str, list[float]] = {who: [] for who in contenders}
        spread = {who: run().std(dim=0).mean().item() for who, run in contenders.items()}  # a warm-up too
        for _ in range(options.rounds):
            for who, run in contenders.items():
                start = time.perf_counter()
                run()
                seconds[who].append(time.perf_counter() - start)
        for who, taken in seconds.items():
            ratios = [slow / fast for slow, fast in zip(seconds["naive loop"], taken, strict=True)]
            print(
                f"| {name} | {count} | {who} | {1e3 * statistics.median(taken):.0f} | "
                f"{statistics.median(ratios):.1f} ({min(ratios):.1f}, {max(ratios):.1f}) | {spread[who]:.3f} |"
            )


if __name__ == "__main__":
    main()
