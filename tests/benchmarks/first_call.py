"""What the first call on a model costs beyond later ones: finding the sites and checking vmap against the loop.

    python -m tests.benchmarks.first_call [--rounds 15]

Milliseconds and passes of the model in training mode, medians of rounds; every round takes a new `MCDropout`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import mcdrop
from tests.benchmarks.speed_work import convnet, encoder, mlp


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 64, 2, dropout=0.3, batch_first=True), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP 784-256-256-10, 1 row": (lambda: mlp(256, 0.5), (1, 784)),
    "MLP 784-256-256-10, 64 rows": (lambda: mlp(256, 0.2), (64, 784)),
    "MLP 784-1024-1024-10, 256 rows": (lambda: mlp(1024, 0.5), (256, 784)),
    "CNN, 20 modules, 1 x 3 x 32 x 32": (convnet, (1, 3, 32, 32)),
    "CNN, 20 modules, 16 x 3 x 32 x 32": (convnet, (16, 3, 32, 32)),
    "Transformer encoder, 4 x 128, 8 x 32 tokens": (encoder, (8, 32, 128)),
    "LSTM, 2 layers of 64, 16 x 32 tokens": (Tagger, (16, 32, 32)),
}


def milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, median of {options.rounds} rounds\n")
    print("| model | naive pass, ms | first call less a later one, ms | in naive passes |\n|---|---|---|---|")
    for name, (make, shape) in CASES.items():
        torch.manual_seed(0)
        model, x = make().eval(), torch.randn(shape)
        naive, extra = [], []
        for _ in range(options.rounds + 1):
            mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=10, seed=0)
            first, later = milliseconds(lambda: mc.sample(x)), milliseconds(lambda: mc.sample(x))  # noqa: B023
            extra.append(first - later)
            model.train()
            with torch.no_grad():
                naive.append(milliseconds(lambda: model(x)))  # noqa: B023
            model.eval()
        one, cost = statistics.median(naive[1:]), statistics.median(extra[1:])
        print(f"| {name} | {one:.2f} | {cost:.2f} | {cost / one:.1f} |")


if __name__ == "__main__":
    main()
