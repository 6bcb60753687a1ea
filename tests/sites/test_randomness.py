import random
import threading

import numpy as np
import pytest
import torch

from mcdrop.sites import preserved_randomness
from mcdrop.sites.randomness import GlobalRandomness


def test_one_thread_at_a_time_seeds_the_generators_of_the_process() -> None:
    """Otherwise the second would give back what the first has seeded."""
    inside, second_done = threading.Event(), threading.Event()
    states = []

    def first() -> None:
        with preserved_randomness() as randomness:
            randomness.reseed(0)
            inside.set()
            second_done.wait(timeout=0.2)  # in vain, if it has to wait for this one
            states.append(torch.get_rng_state())

    def second() -> None:
        inside.wait()
        with preserved_randomness() as randomness:
            randomness.reseed(1)
            states.append(torch.get_rng_state())
            second_done.set()
            threads[0].join(timeout=0.2)

    before = torch.get_rng_state()
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), before)
    with preserved_randomness() as randomness:
        for state, seed in zip(states, (0, 1), strict=True):
            randomness.reseed(seed)
            assert torch.equal(state, torch.get_rng_state())


def test_it_may_be_entered_again_within() -> None:
    before = torch.get_rng_state()
    with preserved_randomness(), preserved_randomness():
        torch.rand(1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda: torch.rand(1), "torch"),
        (random.random, "random"),
        (np.random.random, "numpy.random"),
        (np.random.standard_normal, "numpy.random"),
    ],
)
@pytest.mark.parametrize("normal_held_back", [False, True])
def test_the_generator_that_was_drawn_from_is_named(draw, name, normal_held_back) -> None:
    """NumPy draws normal numbers in pairs: the second of one moves nothing but a flag."""
    with preserved_randomness():
        np.random.seed(0)  # noqa: NPY002
        if normal_held_back:
            np.random.standard_normal()  # noqa: NPY002
        snapshot = GlobalRandomness()
        assert snapshot.moved() == []
        draw()
        assert snapshot.moved() == [name]
        snapshot.restore()
        assert snapshot.moved() == []


def test_another_global_generator_of_numpy_is_watched_too() -> None:
    usual = np.random.mtrand.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(0))
    try:
        snapshot = GlobalRandomness()
        first = np.random.random()  # noqa: NPY002
        assert snapshot.moved() == ["numpy.random"]
        snapshot.restore()
        assert snapshot.moved() == []
        assert np.random.random() == first  # noqa: NPY002
    finally:
        np.random.set_bit_generator(usual)
