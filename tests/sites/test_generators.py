import random

import numpy as np
import pytest
import torch

from mcdrop.sites.generators import HeldGenerators, kind_of

KINDS = {
    "torch.Generator": (lambda: torch.Generator().manual_seed(1), lambda g: float(torch.rand((), generator=g))),
    "random.Random": (lambda: random.Random(1), lambda g: g.random()),
    "numpy.random.Generator": (lambda: np.random.default_rng(1), lambda g: g.random()),
    "numpy.random.RandomState": (lambda: np.random.RandomState(1), lambda g: g.random_sample()),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_copy_draws_what_the_original_would_and_leaves_it_alone(name) -> None:
    make, draw = KINDS[name]
    generator, held = make(), HeldGenerators()
    ours = held.copied(generator)
    assert kind_of(ours) == name
    assert ours is not generator
    assert held.copied(generator) is ours
    assert held.moved() == []
    first = draw(ours)
    assert held.moved() == [ours]
    assert first == draw(make()) == draw(generator)


@pytest.mark.parametrize("name", KINDS)
def test_seeding_follows_the_global_generator(name) -> None:
    make, draw = KINDS[name]
    held = HeldGenerators()
    ours = held.copied(make())
    drawn = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        held.reseed()
        drawn.append(draw(ours))
    assert drawn[0] == drawn[2] != drawn[1]


def test_what_is_no_generator_is_returned() -> None:
    held, value = HeldGenerators(), object()
    assert held.copied(value) is value
    assert held.moved() == []
