"""What a seed decides in training, and the global generators left as they were.

Dropout layers draw from torch's global generator, so that is seeded at the beginning of every epoch: an epoch depends
on (seed, its number) and on nothing that came before, which is what makes it possible to resume.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.training.integers import integer


def derived_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A seed of 63 bits for one purpose, a function of its arguments alone.

    Example:
        >>> derived_seed(0, "epoch", 1) == derived_seed(0, "epoch", 1) != derived_seed(0, "epoch", 2)
        True
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def seeded(devices: Iterable[torch.device] = ()) -> Iterator[Callable[[int], None]]:
    """Gives a function that seeds the global generators of torch, Python and NumPy; restores them at the end.

    Args:
        devices: Those in use; CUDA devices have generators of their own.
    """
    cuda = sorted({device.index or 0 for device in devices if device.type == "cuda"})
    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002 (what models may draw from)

    def reseed(seed: int) -> None:
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002

    with torch.random.fork_rng(cuda):
        try:
            yield reseed
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def devices_of(model: nn.Module) -> set[torch.device]:
    """Where the model's weights and buffers lie."""
    return {tensor.device for tensor in (*model.parameters(), *model.buffers())}


def random_states(model: nn.Module) -> object:
    """The states of the global generators, for comparison: equal unless something was drawn in between."""
    cuda = sorted({device.index or 0 for device in devices_of(model) if device.type == "cuda"})
    numpy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    torchs = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, cuda)]
    return [*(state.tolist() for state in torchs), random.getstate(), numpy["key"].tolist(), numpy["pos"]]


def initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """build() with the global generators seeded, so that the first weights depend on the seed alone.

    Args:
        build: Makes a network.
        seed: Integer >= 0.

    Raises:
        InputError: The seed is none, or `build` makes no network.

    Example:
        >>> one, two = (initialise(lambda: nn.Linear(3, 2), seed=5) for _ in range(2))
        >>> torch.equal(one.weight, two.weight)
        True
    """
    seed = integer("seed", seed, least=0)
    with seeded([torch.device("cuda", torch.cuda.current_device())] if torch.cuda.is_available() else []) as reseed:
        reseed(derived_seed(seed, "weights"))
        model = build()
    if not isinstance(model, nn.Module):
        raise InputError(f"build() returned a {type(model).__name__}; expected a torch.nn.Module.")
    return model
