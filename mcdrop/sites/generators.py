"""Generators of random numbers that a model holds: a pass draws from copies, and whether it did is noticed."""

import copy
import random
from typing import Any

import numpy as np
import torch

from mcdrop.sites.randomness import same_state

_KINDS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)


class HeldGenerators:
    """Copies of the generators that a model holds.

    Example:
        >>> generator, held = torch.Generator(), HeldGenerators()
        >>> ours = held.copied(generator)
        >>> _ = torch.rand(1, generator=ours)
        >>> held.moved() == [ours], torch.equal(generator.get_state(), torch.Generator().get_state())
        (True, True)
    """

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Any, Any]] = {}

    def copied(self, value: Any) -> Any:
        """A generator in the same state, the same one for the same generator; anything else is returned as it is."""
        if not isinstance(value, _KINDS):
            return value
        if id(value) not in self._copies:
            ours = value.clone_state() if isinstance(value, torch.Generator) else copy.deepcopy(value)
            self._copies[id(value)] = (ours, value)
        return self._copies[id(value)][0]

    def moved(self) -> list[Any]:
        """The copies that were drawn from."""
        return [ours for ours, theirs in self._copies.values() if not same_state(_state(ours), _state(theirs))]

    def reseed(self) -> None:
        """Seeds the copies from torch's global generator: the passes of a model whose randomness is its own differ."""
        for ours, _ in self._copies.values():
            seed = int(torch.randint(2**31, ()))
            if isinstance(ours, torch.Generator):
                ours.manual_seed(seed)
            elif isinstance(ours, np.random.Generator):
                ours.bit_generator.state = type(ours.bit_generator)(seed).state
            else:
                ours.seed(seed)


def kind_of(generator: Any) -> str:
    """The name of its class.

    Example:
        >>> kind_of(np.random.default_rng())
        'numpy.random.Generator'
    """
    library = type(generator).__module__.partition("._")[0].removesuffix(".mtrand")
    return f"{library}.{type(generator).__name__}"


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy()
    if isinstance(generator, random.Random):
        return str(generator.getstate())
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state(legacy=False)
