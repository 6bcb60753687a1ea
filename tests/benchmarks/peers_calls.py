"""Which random operations of torch run in a pass: among many sites, the law alone does not tell that one is off."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

PASSES = 8


class Recorder(TorchDispatchMode):
    """Counts what is drawn from torch's global generator, by operation and rate."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **(kwargs or {}))
        before = torch.get_rng_state()
        result = func(*args, **(kwargs or {}))
        if not torch.equal(before, torch.get_rng_state()):  # attention with p = 0 bears the tag and draws nothing
            self.calls[(str(func), *(arg for arg in args if isinstance(arg, float)))] += 1
        return result


def calls(one_pass: Callable[[], Any]) -> list[Counter]:
    """What each of `PASSES` passes draws."""
    counted = []
    for _ in range(PASSES):
        with Recorder() as recorder:
            one_pass()
        counted.append(recorder.calls)
    return counted


def missing(ours: list[Counter], theirs: list[Counter]) -> int:
    """How many operations each of `theirs` runs and none of `ours` does.

    Passes that leave out layers run fewer at times, hence the fewest of theirs against the most of ours. Zero where
    ours draw nothing at all from torch: their masks come from somewhere else.
    """
    most = {key: max(counter[key] for counter in ours) for key in set().union(*ours)}
    fewest = {key: min(counter[key] for counter in theirs) for key in set().union(*theirs)}
    return sum(max(0, count - most.get(key, 0)) for key, count in fewest.items()) if most else 0
