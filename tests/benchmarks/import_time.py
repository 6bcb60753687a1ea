"""What `import mcdrop` adds to `import torch`: medians over new processes, in seconds."""

import statistics
import subprocess
import sys

REPEATS = 7
CODE = """
import time
start = time.perf_counter()
import torch
between = time.perf_counter()
import mcdrop
print(between - start, time.perf_counter() - between)
"""


def measure(repeats: int = REPEATS) -> tuple[float, float]:
    """Median seconds of `import torch`, and of `import mcdrop` after it."""
    runs = [
        [float(part) for part in subprocess.check_output([sys.executable, "-c", CODE], text=True).split()]
        for _ in range(repeats + 1)
    ][1:]  # the first run may compile to bytecode
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


if __name__ == "__main__":
    torch_seconds, mcdrop_seconds = measure()
    print(f"import torch {torch_seconds:.2f} s, then import mcdrop {mcdrop_seconds:.2f} s (medians of {REPEATS})")
