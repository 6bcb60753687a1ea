"""The draws of an ensemble: one pass of each member, or with dropout inside the members a pass of each in turn."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcdrop.errors import InputError, OutputError
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Provenance
from mcdrop.sampling.known import Settings
from mcdrop.sampling.predictor import Draws
from mcdrop.sampling.until import Until
from mcdrop.sites import Shadow, Switch
from mcdrop.tree import describe, map_tensors, tensors
from mcdrop.types import Tree

_USUAL = 100
"""T where none is given."""


def draws_of(model: object, num_samples: int | Until | None) -> int | Until:
    """T for a model or an ensemble.

    Args:
        model: The network, or an `Ensemble`.
        num_samples: What was asked for; None: 100 for a network, the members for an ensemble, and with dropout inside
            them the least multiple of their number that is 100 or more.

    Raises:
        InputError: The draws cannot be shared out evenly among the members.

    Example:
        >>> from torch import nn
        >>> members = [nn.Linear(2, 1) for _ in range(7)]
        >>> [draws_of(Ensemble(members, dropout=dropout), None) for dropout in (False, True)]
        [7, 105]
    """
    if not isinstance(model, Ensemble):
        return _USUAL if num_samples is None else num_samples
    members = len(model.members)
    if isinstance(num_samples, Until):
        raise InputError(
            f"num_samples={num_samples} was given for an ensemble; expected a number: its members are all there is, "
            "and each has draws of its own."
        )
    if num_samples is None:
        return -(-_USUAL // members) * members if model.dropout else members
    if not model.dropout and num_samples != members:
        raise InputError(
            f"num_samples={num_samples!r} was given for an ensemble of {members}; expected {members}, or None: its "
            "members are the draws. Ensemble(members, dropout=True) draws masks inside them too."
        )
    if model.dropout and isinstance(num_samples, int) and num_samples % members:
        raise InputError(
            f"num_samples={num_samples} was given for an ensemble of {members} with dropout; expected a multiple of "
            f"{members}, so that each member has as many draws."
        )
    return num_samples


def member_seeds(seed: int, members: int) -> list[int]:
    """The seeds of the members' masks, which are independent of each other.

    Example:
        >>> member_seeds(0, 2) == member_seeds(0, 3)[:2], len(set(member_seeds(0, 100)))
        (True, 100)
    """
    return [int(np.random.SeedSequence((seed, m)).generate_state(1, np.uint64)[0]) for m in range(members)]


class OnePass(Draws):
    """One pass of each member in evaluation mode."""

    def __init__(self, ensemble: Ensemble, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings) -> None:
        self._ensemble = ensemble
        self._inputs = (args, kwargs)
        self._settings = settings

    @property
    def block_size(self) -> int:
        return 1

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            num_samples=len(self._ensemble.members),
            design=repr(self._ensemble),
            members=True,
            execution="loop: one pass of each member",
        )

    def __iter__(self) -> Iterator[Tree]:
        for member in self._ensemble.members:
            args, kwargs = map_tensors(torch.clone, self._inputs)
            with torch.set_grad_enabled(self._settings.grad):
                output = self._settings.select(Shadow(member, Switch(off=True)).root(*args, **kwargs))
            yield map_tensors(lambda tensor: tensor[None], output)


class InTurn(Draws):
    """Draw t is of member t mod M, with that member's mask t // M.

    Each M draws hold one of every member, so blocks of M (times the design's) are alike, and their spread is the Monte
    Carlo error that the masks make: the members are all there is.
    """

    def __init__(self, ensemble: Ensemble, members: Sequence[Draws], settings: Settings) -> None:
        self._ensemble = ensemble
        self._members = members
        self._settings = settings

    @property
    def block_size(self) -> int:
        return self._members[0].block_size * len(self._members)

    @property
    def provenance(self) -> Provenance:
        parts = [member.provenance for member in self._members]
        return Provenance(
            num_samples=self._settings.num_samples,
            seed=self._settings.seed,
            design=f"{self._ensemble!r}, {self._settings.design!r}",
            block_size=self.block_size,
            shared_masks=parts[0].shared_masks,
            execution="; ".join(dict.fromkeys(part.execution for part in parts)),
        )

    def __iter__(self) -> Iterator[Tree]:
        streams = [iter(member) for member in self._members]
        waiting: list[Tree | None] = [None] * len(streams)
        while True:
            waiting = [
                next(stream, None) if chunk is None else chunk for stream, chunk in zip(streams, waiting, strict=True)
            ]
            if any(chunk is None for chunk in waiting):
                return  # all have as many draws, and so end together
            _check_alike(waiting)
            count = min(len(tensors(chunk)[0]) for chunk in waiting)
            yield map_tensors(partial(_in_turn, count), *waiting)
            waiting = [_after(count, chunk) for chunk in waiting]


def _check_alike(chunks: Sequence[Tree]) -> None:
    """Raises unless the members' outputs have the same structure and shapes, whatever the number of draws."""
    outputs = [describe(map_tensors(lambda draws: draws[0], chunk)) for chunk in chunks]
    for number, output in enumerate(outputs):
        if output != outputs[0]:
            raise OutputError(
                f"The members of the ensemble return different outputs: member 0 {outputs[0]}, member {number} "
                f"{output}. Expected networks with the same kind of output, or output= to pick what they share."
            )


def _in_turn(count: int, *members: Tensor) -> Tensor:
    """The first `count` draws of each: those of the first draw, then those of the second."""
    return torch.stack([draws[:count] for draws in members], dim=1).flatten(0, 1)


def _after(count: int, chunk: Tree) -> Tree | None:
    return map_tensors(lambda draws: draws[count:], chunk) if len(tensors(chunk)[0]) > count else None
