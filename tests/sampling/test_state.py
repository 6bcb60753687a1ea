"""Models in use: by several threads at once, and after a forward that failed."""

import subprocess
import sys

import pytest
import torch

import mcdrop
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
