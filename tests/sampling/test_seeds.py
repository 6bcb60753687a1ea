"""A seed is a promise: same seed, same masks, whatever the chunks, the batches, the order of the rows, the process."""

import subprocess
import sys

import pytest
import torch

import mcdrop
from tests.networks import FAMILIES, family


def mc(model, **options) -> mcdrop.MCDropout:
    return mcdrop.MCDropout(model, **{"likelihood": mcdrop.Identity(), "num_samples": 20, "seed": 0, **options})


@pytest.mark.parametrize("memory", [1, 10_000, 1 << 30])
def test_chunks(memory) -> None:
    model, x = family("mlp")
    expected = mc(model).sample(x)
    torch.testing.assert_close(mc(model, plan=mcdrop.Plan(memory=memory)).sample(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_batch_size_and_order_of_rows_with_shared_masks(name) -> None:
    model, x = family(name)
    whole = mc(model).sample(x)
    split = torch.cat([mc(model).sample(part) for part in x.split([1, 2, len(x) - 3]) if len(part)], dim=1)
    torch.testing.assert_close(split, whole, rtol=1e-10, atol=1e-12)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mc(model).sample(x[order]), whole[:, order], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("design", [mcdrop.Independent(), mcdrop.Antithetic(), mcdrop.Stratified(5)], ids=repr)
def test_the_first_draws_of_many_are_the_draws_of_few(design, shared) -> None:
    model, x = family("mlp")
    few = mc(model, num_samples=100, design=design, shared_masks=shared).sample(x)
    many = mc(model, num_samples=200, design=design, shared_masks=shared).sample(x)
    torch.testing.assert_close(many[:100], few, rtol=1e-10, atol=1e-12)


def test_batches_of_a_loader_have_masks_of_their_own_unless_shared() -> None:
    model, x = family("mlp")
    same = [x[:1], x[:1]]
    assert torch.equal(mc(model).predict(same).samples[:, 0], mc(model).predict(same).samples[:, 1])
    own = mc(model, shared_masks=False).predict(same).samples
    assert (own[:, 0] - own[:, 1]).abs().min() > 0


def test_no_seed_is_drawn_from_the_global_generator_at_construction() -> None:
    model, x = family("mlp")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, other = mc(model, seed=None), mc(model, seed=None)
        torch.manual_seed(0)
        again = mc(model, seed=None)
    assert first.seed == again.seed != other.seed
    assert torch.equal(first.sample(x), again.sample(x))


def test_repeated_calls_repeat() -> None:
    model, x = family("convnet with BatchNorm")
    engine = mc(model)
    assert torch.equal(engine.sample(x), engine.sample(x))


def test_the_same_bits_in_another_process() -> None:
    code = (
        "import torch, mcdrop, hashlib; from tests.networks import family; model, x = family('mlp'); "
        "torch.set_num_threads(1); "
        "d = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=20, seed=0).sample(x); "
        "print(hashlib.sha256(d.numpy().tobytes()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert len(runs.pop().strip()) == 64


def test_later_training_is_seen_and_a_changed_p_too() -> None:
    model, x = family("mlp")
    engine = mc(model)
    before = engine.sample(x)
    with torch.no_grad():
        model.last.bias += 1
    torch.testing.assert_close(engine.sample(x), before + 1, rtol=1e-10, atol=1e-12)
    model.drop.p = 0.9
    assert engine.sample(x).std(dim=0).mean() > 1.2 * before.std(dim=0).mean()
    assert [site.p for site in mcdrop.audit(model, x).sites] == [0.9, 0.9, 0.25]
