"""What a model does with numbers of Python's and NumPy's generators, which come to it past every interception.

They are judged by what they change. Modules that run or not are dropout (LayerDrop). Tensors that are filled with such
numbers, and then added or used to pick what is overwritten, are noise and augmentation (SpecAugment), which stay off
where the numbers do nothing else. The rest cannot be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from mcdrop.sites.observation import Draw
from mcdrop.sites.observe import observe, trial
from mcdrop.sites.switch import Reader
from mcdrop.sites.uses import NOISE, REPLACEMENT

_TRIALS = 32
"""Passes that show whether the generators decide which modules run."""
_HELD_TRIALS = 8
"""Passes that show whether they do anything but fill tensors."""

Inputs = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]
"""The model, its positional and its keyword inputs."""


@dataclass(frozen=True)
class HostNumbers:
    """What readers of `training` make of numbers of the host program.

    Args:
        decisions: Draws that decide which modules run.
        effects: Noise and augmentation, in words.
        unexplained: Draws that are neither.
    """

    decisions: tuple[Draw, ...] = ()
    effects: tuple[str, ...] = ()
    unexplained: tuple[Draw, ...] = ()


def host_numbers(inputs: Inputs, on: Sequence[Reader], always_drawn: Sequence[Draw]) -> HostNumbers:
    """Judges the draws that these readers wake.

    Args:
        inputs: What runs.
        on: The readers that are told True.
        always_drawn: Draws that evaluation mode makes too.
    """
    draws = tuple(draw for draw in observe(*inputs, on).draws if draw.host and draw not in always_drawn)
    if not draws:
        return HostNumbers()
    if len(set(_modules_run(inputs, on))) > 1:
        return HostNumbers(decisions=draws)
    uses = _uses_of_tensors(inputs, on)
    if uses and uses <= {NOISE, REPLACEMENT}:
        return HostNumbers(effects=tuple(f"{draw.operation} wakes up ({', '.join(sorted(uses))})" for draw in draws))
    return HostNumbers(unexplained=draws)


def fullest_seed(inputs: Inputs, on: Sequence[Reader]) -> int:
    """The seed of Python's and NumPy's generators with which the most modules run."""
    ran = _modules_run(inputs, on)
    return max(range(_TRIALS), key=lambda seed: len(ran[seed]))


def _modules_run(inputs: Inputs, on: Sequence[Reader]) -> list[frozenset[str]]:
    return [trial(*inputs, on, host_seed=seed).ran for seed in range(_TRIALS)]


def _uses_of_tensors(inputs: Inputs, on: Sequence[Reader]) -> frozenset[str]:
    """What becomes of tensors made of the numbers; nothing if the numbers do more than fill tensors: with the tensors
    held, passes of several seeds must have one output."""
    first = trial(*inputs, on)
    uses: frozenset[str] = frozenset()
    for seed in range(1, _HELD_TRIALS + 1):
        held = trial(*inputs, on, host_seed=seed, held=first.host_tensors)
        if not held.same_output(first):
            return frozenset()
        uses |= held.host_uses
    return uses
