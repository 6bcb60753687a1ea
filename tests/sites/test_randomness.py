import threading

import torch

from mcdrop.sites import preserved_randomness


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
