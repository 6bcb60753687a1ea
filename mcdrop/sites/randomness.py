"""The global random state: noticing that something drew from it, and giving it back."""

import ctypes
import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from mcdrop.tree import tensors
from mcdrop.types import Tree

_ONE_AT_A_TIME = threading.RLock()


class GlobalRandomness:
    """A snapshot of the global generators of torch (the CPU's and those of `devices`), Python and NumPy.

    Example:
        >>> snapshot = GlobalRandomness()
        >>> _ = torch.rand(3)
        >>> snapshot.moved()
        ['torch']
        >>> snapshot.restore(); snapshot.moved()
        []
    """

    def __init__(self, devices: Iterable[torch.device] = ()) -> None:
        self._devices = sorted({device for device in devices if device.type == "cuda"}, key=str)
        self._torch = torch.get_rng_state()
        self._cuda = [torch.cuda.get_rng_state(device) for device in self._devices]
        self._python = random.getstate()
        self._numpy = np.random.get_state(legacy=False)  # noqa: NPY002 (the global state is what is watched)
        self._words = _numpy_words()

    def _torch_moved(self) -> bool:
        return not torch.equal(self._torch, torch.get_rng_state()) or any(
            not torch.equal(before, torch.cuda.get_rng_state(device))
            for before, device in zip(self._cuda, self._devices, strict=True)
        )

    def moved(self) -> list[str]:
        """The generators that were drawn from since: of "torch", "random", "numpy.random"."""
        names = ["torch"] if self._torch_moved() else []
        if self._python != random.getstate():
            names.append("random")
        if self._numpy_moved():
            names.append("numpy.random")
        return names

    def _numpy_moved(self) -> bool:
        # A normal number that is held back for the next call is no part of the words.
        if self._words is not None and not self._numpy["has_gauss"]:
            return self._words != _numpy_words()
        return not same_state(self._numpy, np.random.get_state(legacy=False))  # noqa: NPY002

    def reseed(self, *key: int) -> None:
        """Seeds all of these generators from `key`; `restore` still gives back what was."""
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint32)[0])
        torch.default_generator.manual_seed(seed)
        for device in self._devices:
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        self.reseed_host(*key)

    def reseed_host(self, *key: int) -> None:
        """Seeds Python's and NumPy's generators alone."""
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint32)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002

    def restore(self) -> None:
        """Gives back what was drawn; generators that did not move are not written to (another thread may use them)."""
        moved = self.moved()
        if "torch" in moved:
            torch.set_rng_state(self._torch)
            for state, device in zip(self._cuda, self._devices, strict=True):
                torch.cuda.set_rng_state(state, device)
        if "random" in moved:
            random.setstate(self._python)
        if "numpy.random" in moved:
            np.random.set_state(self._numpy)  # noqa: NPY002


def _numpy_words() -> bytes | None:
    """The state of NumPy's global generator as it lies in memory, 624 words and a position; None for any other than the
    usual one. `get_state` fills its array word by word, which takes as long as a small network's pass."""
    generator = np.random.mtrand.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 4 * 625)


def same_state(first: Any, second: Any) -> bool:
    """Whether two states of NumPy generators (nested dictionaries of arrays and numbers) are equal."""
    if isinstance(first, dict):
        return all(same_state(first[key], second[key]) for key in first)
    return bool(np.array_equal(first, second))


def devices_of(model: nn.Module, inputs: Tree) -> set[torch.device]:
    """The devices whose generators a pass may draw from; none beside the CPU while CUDA is not in use."""
    if not torch.cuda.is_initialized():  # walking all parameters costs as much as a small network's pass
        return set()
    return {tensor.device for tensor in (*tensors(inputs), *model.parameters())}


@contextmanager
def preserved_randomness(devices: Iterable[torch.device] = ()) -> Iterator[GlobalRandomness]:
    """Leaves the global random state as it was, also after an exception.

    The generators belong to the process: one thread at a time is let in, since the seed that one gives them looks to
    another as if its model had drawn.
    """
    with _ONE_AT_A_TIME:
        snapshot = GlobalRandomness(devices)
        try:
            yield snapshot
        finally:
            snapshot.restore()
