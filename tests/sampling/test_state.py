"""Models in use: by several threads at once, and after a forward that failed."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import mcdrop
from mcdrop.errors import UncontrolledSiteError
from tests.networks import FAMILIES, MLP

X = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Fuse:
    """No module and no container, so that every skeleton of a model leads to the same one."""

    def __init__(self) -> None:
        self.left = [10**6]  # in a list, which is no option of the model

    def burn(self) -> None:
        self.left[0] -= 1
        if self.left[0] == 0:
            raise ZeroDivisionError("as told")


class Failing(MLP):
    """Raises once, in the pass that its fuse says."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fuse = Fuse()

    def forward(self, x):
        self.calls += 1
        out = super().forward(x)
        self.fuse.burn()
        return out


@pytest.mark.parametrize(("execution", "call"), [("loop", 1), ("loop", 4), ("vectorised", 1)])
def test_a_call_after_one_that_failed_gives_what_it_would_have_given(execution, call) -> None:
    model = Failing().double()
    plan = mcdrop.Plan(execution=execution)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=6, seed=0, plan=plan)
    expected, before = mc.sample(X), torch.get_rng_state()
    model.fuse.left[0] = call
    with pytest.raises(ZeroDivisionError, match="as told"):
        mc.sample(X)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.calls == 0
    assert model.training
    assert torch.equal(mc.sample(X), expected)


class Functional(nn.Module):
    """Reads `training` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        return self.linear(nn.functional.dropout(x, 0.5, self.training))


def test_a_predictor_in_use_is_pickled_and_copied() -> None:
    mc = mcdrop.MCDropout(Functional().double(), likelihood=mcdrop.Identity(), num_samples=6, seed=0)
    expected = mc.sample(X)
    for again in (pickle.loads(pickle.dumps(mc)), copy.deepcopy(mc)):
        assert torch.equal(again.sample(X), expected)
    assert torch.equal(mc.sample(X), expected)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout())
        self.norm, self.last = nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(checkpoint(self.norm, self.body(x), use_reentrant=True))


class CheckpointedDropout(Checkpointed):
    def forward(self, x):
        return self.last(checkpoint(self.body, x, use_reentrant=True))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # of torch, where nobody wants gradients
def test_dropout_that_runs_again_in_backward_is_refused_and_other_layers_may() -> None:
    x = X.clone().requires_grad_()
    options = {"likelihood": mcdrop.Identity(), "num_samples": 4, "seed": 0, "grad": True}
    mcdrop.MCDropout(Checkpointed().double(), **options).sample(x).sum().backward()
    assert x.grad.abs().sum() > 0
    draws = mcdrop.MCDropout(CheckpointedDropout().double(), **options).sample(x)
    with pytest.raises(UncontrolledSiteError, match=r"Dropout runs again after the pass.*Switch checkpointing off"):
        draws.sum().backward()


THREADS = """
import sys, threading, warnings
warnings.simplefilter("ignore")
sys.setswitchinterval(1e-5)  # threads take turns as often as can be
import torch, mcdrop
from tests.networks import FAMILIES, family

def check(model, x, execution):
    options = {"likelihood": mcdrop.Identity(), "num_samples": 5, "seed": 0, "plan": mcdrop.Plan(execution=execution)}
    with torch.no_grad():
        plain = model(x)
    expected = mcdrop.MCDropout(model, **options).sample(x)
    results, wrong, count, done = [], [], [0], threading.Event()

    def predict():
        for _ in range(4):  # each looks for the sites anew
            results.append(mcdrop.MCDropout(model, **options).sample(x))

    def run():
        with torch.no_grad():
            while not done.is_set():
                wrong.extend([] if torch.equal(model(x), plain) else [1])
                count[0] += 1

    predicting, running = [threading.Thread(target=predict) for _ in range(2)], threading.Thread(target=run)
    for thread in (*predicting, running):
        thread.start()
    for thread in predicting:
        thread.join()
    done.set()
    running.join()
    assert count[0] > 0 and not wrong and len(results) == 8, (count, wrong, len(results))
    assert all(torch.equal(result, expected) for result in results)

for name in FAMILIES:
    for execution in ("loop", "auto"):
        print(name, execution)
        check(*family(name), execution)
model, x = family("mlp")
check(torch.compile(model, backend="eager"), x, "auto")
check(torch.nn.DataParallel(model), x, "auto")
"""


def test_threads_that_predict_while_another_runs_the_model() -> None:
    """Bit for bit: PyTorch's fused kernels, which mcdrop's threads do without, stay on in the other.

    In a process of its own: in this one the type checks draw from Python's generator, which belongs to all threads.
    """
    result = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(result.stdout.splitlines()) == 2 * len(FAMILIES)
