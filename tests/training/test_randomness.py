import contextlib
import random

import numpy as np
import pytest
import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.training import initialise
from mcdrop.training.randomness import derived_seed, random_states, seeded

MODEL = nn.Linear(1, 1)


def test_seeds_for_different_purposes_differ_and_are_what_they_were() -> None:
    seeds = {derived_seed(s, purpose, n) for s in range(20) for purpose in ("epoch", "order") for n in range(20)}
    assert len(seeds) == 800
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed(0, "epoch", 0) == 5326116194759978245  # a checkpoint written today must resume tomorrow


def test_the_generators_are_seeded_and_given_back(without_type_checks) -> None:
    def draw() -> list[float]:
        return [torch.rand(()).item(), random.random(), np.random.random()]  # noqa: NPY002

    before = random_states(MODEL)
    with contextlib.suppress(ZeroDivisionError), seeded() as reseed:
        reseed(5)
        first = draw()
        reseed(5)
        assert draw() == first
        raise ZeroDivisionError
    assert random_states(MODEL) == before


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), random.random, lambda: np.random.random()])  # noqa: NPY002
def test_states_differ_after_any_draw(draw, without_type_checks) -> None:
    with seeded():
        before = random_states(MODEL)
        assert random_states(MODEL) == before
        draw()
        assert random_states(MODEL) != before


def test_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    one = initialise(lambda: nn.Linear(3, 2), 1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(one.weight, initialise(lambda: nn.Linear(3, 2), 1).weight)
    assert not torch.equal(one.weight, initialise(lambda: nn.Linear(3, 2), 2).weight)
    assert torch.equal(before, torch.get_rng_state())


def test_refuses(without_type_checks) -> None:
    with pytest.raises(InputError, match="seed=None was given; expected an integer >= 0"):
        initialise(lambda: nn.Linear(3, 2), None)
    with pytest.raises(InputError, match=r"build\(\) returned a type; expected a torch.nn.Module"):
        initialise(lambda: nn.Linear, 0)
