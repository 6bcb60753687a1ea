"""The model, the random state and PyTorch's flags are left as they were: during a call, after it, after an error."""

import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

import mcdrop
from tests.networks import ConvNet, trained_looking


class Everything(ConvNet):
    """BatchNorm, hooks, a frozen weight, a mixture of modes, and an exception when told."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        out = super().forward(x)
        if self.fails:
            raise ZeroDivisionError("as told")
        return out


def snapshot(model: nn.Module) -> dict:
    return {
        "state": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "versions": [tensor._version for tensor in (*model.parameters(), *model.buffers())],
        "modes": {name: module.training for name, module in model.named_modules()},
        "hooks": {name: list(module._forward_hooks.items()) for name, module in model.named_modules()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "grads": {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()},
        "random": torch.get_rng_state(),
        "flags": (
            torch.backends.mha.get_fastpath_enabled(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.overrides._get_current_function_mode_stack(),
        ),
    }


def assert_same(first, second) -> None:
    assert first.keys() == second.keys()
    for key in first:
        if isinstance(first[key], dict):
            assert_same(first[key], second[key])
        elif isinstance(first[key], torch.Tensor):
            assert torch.equal(first[key], second[key]), key
        else:
            assert first[key] == second[key], key


@pytest.fixture
def model() -> Everything:
    model = trained_looking(Everything())
    model.body[1].train()
    model.head[1].train()
    model.body[0].weight.requires_grad_(False)
    model.body[3].register_forward_hook(lambda module, args, output: None)
    return model


X = torch.randn(4, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("execution", ["auto", "loop"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("options", [{}, {"shared_masks": False}], ids=str)
def test_nothing_is_left_behind(model, execution, fails, options) -> None:
    model.fails = fails
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Categorical(), num_samples=5, seed=0, plan=mcdrop.Plan(execution=execution), **options
    )
    before = snapshot(model)
    for call in (lambda: mc(X), lambda: mc.sample(X), lambda: mc.predict([X, X]), lambda: mcdrop.audit(model, X)):
        if fails:
            with pytest.raises(ZeroDivisionError, match="as told"):
                call()
        else:
            call()
        assert_same(snapshot(model), before)


def test_attributes_and_containers_start_each_pass_as_the_model_has_them() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()
            self.seen = []
            self.last = None

        def forward(self, x):
            factor = 1 + len(self.seen) + (self.last is not None)
            self.seen.append(x)
            self.last = self.drop(x)
            return self.last * factor

    model, x = Remembering(), torch.ones(2, 40)
    for execution in ("loop", "vectorised"):
        plan = mcdrop.Plan(execution=execution, on_error="raise", memory=1)
        draws = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=5, seed=0, plan=plan).sample(x)
        assert set(draws.unique().tolist()) == {0.0, 2.0}
    assert model.seen == []


def test_buffers_start_each_pass_as_the_model_has_them() -> None:
    """A counter that the forward reads is the same in every pass, and in every execution."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.drop(x) * self.calls

    x = torch.ones(2, 40)
    for execution in ("loop", "vectorised"):
        plan = mcdrop.Plan(execution=execution, on_error="raise")
        draws = mcdrop.MCDropout(Counting(), likelihood=mcdrop.Identity(), num_samples=5, seed=0, plan=plan).sample(x)
        assert set(draws.unique().tolist()) == {0.0, 2.0}


def test_global_random_states_of_python_and_numpy_too() -> None:
    """In a process of its own: the type checks of the test run draw from Python's generator."""
    code = """
import random, numpy as np, torch, mcdrop
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.drop = torch.nn.Dropout()
    def forward(self, x):
        if self.training:
            x = x + torch.rand(1) + random.random() + np.random.rand()
        return self.drop(x)
state = lambda: (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())
before = state()
model, x = Model(), torch.ones(2, 3)
try:
    mcdrop.predict(model, x, likelihood=mcdrop.Identity(), seed=0)
except mcdrop.errors.UncontrolledSiteError as error:
    print(error)
assert state() == before
sites = mcdrop.Sites(uncontrolled="native")
mcdrop.predict(model, x, likelihood=mcdrop.Identity(), seed=0, num_samples=3, sites=sites)
assert state() == before
mcdrop.predict(torch.nn.Dropout(), x, likelihood=mcdrop.Identity(), seed=0)
assert state() == before
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Python's numpy.random in Model (the model)" in result.stdout


def test_threads_that_predict_while_another_runs_the_model() -> None:
    model = trained_looking(ConvNet())
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=10, seed=0)
    with torch.no_grad():
        plain = model(X)
    expected = mc(X).probs
    results, wrong = [], []

    def predict() -> None:
        results.extend(mc(X).probs for _ in range(10))

    def run() -> None:
        with torch.no_grad():
            wrong.extend(output for output in (model(X) for _ in range(200)) if not torch.equal(output, plain))

    threads = [threading.Thread(target=target) for target in (predict, predict, run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(results) == 20
    assert all(torch.equal(result, expected) for result in results)
