import random
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import mcdrop
from mcdrop.errors import InputError, NonFiniteError
from mcdrop.posterior import Prior
from mcdrop.training import History, Objective, fit, initialise

ADAM = partial(torch.optim.Adam, lr=1e-2)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
GAUSSIAN = mcdrop.Gaussian(4.0)


def network(p: float = 0.2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(p), nn.Linear(8, 1))


def data(rows: int = 22, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=generator)
    return x, x[:, 0].square() + 0.1 * torch.randn(rows, generator=generator)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_is_the_loop_that_one_would_write() -> None:
    """Without dropout and in one batch: Adam on 1/2 tau (y - f)^2 + KL / N, step by step."""
    ours, theirs = (initialise(partial(network, 0.0), 0) for _ in range(2))
    (x, y), tau, n = data(), 4.0, 22
    objective = Objective(GAUSSIAN, Prior(0.5))
    history = fit(ours, (x, y), objective, optimizer=ADAM, epochs=5, batch_size=n)
    adam, losses = ADAM(theirs.parameters()), []
    layers = [theirs[0].weight, theirs[0].bias, theirs[4].weight, theirs[4].bias]
    for _ in range(5):
        nll = (tau / 2 * (theirs(x)[:, 0] - y).square() - np.log(tau / 2 / np.pi) / 2).mean()
        losses.append(nll.item())
        adam.zero_grad()
        (nll + 0.25 / 2 / n * sum(w.square().sum() for w in layers)).backward()
        adam.step()
    assert history.train_loss == pytest.approx(losses, rel=1e-5)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_every_row_is_seen_once_in_an_epoch_and_in_another_order_in_the_next() -> None:
    seen: list[list[float]] = []

    class Watched(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x[:, 0].tolist())
            return super().forward(x)

    x = torch.arange(10.0)[:, None]
    fit(Watched(1, 1), (x, x), GAUSSIAN, optimizer=partial(torch.optim.SGD, lr=1e-6), epochs=2, batch_size=4)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = ([row for batch in batches for row in batch] for batches in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == x[:, 0].tolist()
    assert first != second


def test_a_seed_decides_everything_and_nothing_global_moves(without_type_checks) -> None:
    def run(seed: int, disturb: int) -> tuple[dict[str, Tensor], History]:
        model = initialise(network, 0)
        torch.manual_seed(disturb)
        before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
        history = fit(
            model, data(), GAUSSIAN, optimizer=ADAM, epochs=3, batch_size=5, seed=seed, validation=data(7, 1),
            num_samples=4,
        )  # fmt: skip
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # noqa: NPY002
        return weights(model), history

    (one, history), (two, again), (other, _) = run(0, 1), run(0, 2), run(1, 1)
    assert same(one, two)
    assert history == again
    assert not same(one, other)


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(5)])
def test_a_shuffling_loader_follows_the_seed_and_is_left_alone(generator: torch.Generator | None) -> None:
    def run(disturb: int) -> dict[str, Tensor]:
        torch.manual_seed(disturb)
        model = initialise(network, 0)
        fit(model, loader, GAUSSIAN, optimizer=ADAM, epochs=2)
        return weights(model)

    loader = DataLoader(TensorDataset(*data()), batch_size=5, shuffle=True, generator=generator)
    before = generator.get_state() if generator else torch.manual_seed(2).get_state()
    assert same(run(1), run(2))
    assert torch.equal(generator.get_state() if generator else torch.get_rng_state(), before)


def test_a_loader_of_one_batch_is_the_pair_of_arrays() -> None:
    one, two = (initialise(partial(network, 0.0), 0) for _ in range(2))
    run = partial(fit, objective=Objective(GAUSSIAN, Prior(0.1)), optimizer=ADAM, epochs=3)
    history = run(one, data(), batch_size=22)
    again = run(two, DataLoader(TensorDataset(*data()), batch_size=22))
    assert history.train_loss == pytest.approx(again.train_loss, rel=1e-5)
    for name, tensor in two.state_dict().items():
        torch.testing.assert_close(tensor, one.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_arrays_tuples_and_dictionaries_of_inputs_are_one_data_set() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, a, b):
            return self.layer(torch.cat([a, b], dim=1))

    x, y = data()
    run = partial(fit, objective=GAUSSIAN, optimizer=ADAM, epochs=2, batch_size=5)
    histories = [
        run(initialise(partial(nn.Linear, 3, 1), 0), (x.numpy(), y.numpy())),
        run(initialise(Two, 0), ((x[:, :1], x[:, 1:]), y)),
        run(initialise(Two, 0), ({"a": x[:, :1], "b": x[:, 1:]}, y)),
    ]
    assert histories[0] == histories[1] == histories[2]


def test_the_history_holds_the_losses_of_tree_weight_scaling_and_forest() -> None:
    model, held_out = initialise(network, 0), data(9, 1)
    history = fit(
        model, data(), GAUSSIAN, optimizer=ADAM, epochs=3, batch_size=5, validation=held_out, num_samples=8, seed=3
    )
    assert (len(history.train_loss), len(history.weight_scaled_loss), len(history.mc_loss)) == (3, 3, 3)
    model.eval()
    whole = -GAUSSIAN.log_prob(model(held_out[0])[None], held_out[1]).mean().item()
    scores = mcdrop.MCDropout(model, likelihood=GAUSSIAN, num_samples=8, seed=3).evaluate([held_out])
    assert history.weight_scaled_loss[-1] == pytest.approx(whole, rel=1e-5)
    assert history.mc_loss[-1] == pytest.approx(scores["negative_log_likelihood"].value, rel=1e-5)


def test_early_stopping_gives_back_the_best_weights() -> None:
    """Of a rate that grows: better at first, then worse."""
    settings = {"optimizer": partial(torch.optim.SGD, lr=0.02), "batch_size": 22, "validation": data()}
    growing = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=1.5)
    run = partial(fit, data=data(), objective=mcdrop.Gaussian(1.0), schedule=growing, **settings)
    stopped, short = (initialise(partial(nn.Linear, 3, 1), 0) for _ in range(2))
    history = run(stopped, epochs=100, patience=4)
    best = history.best_epoch
    assert best is not None
    assert 0 < best < len(history) - 1 < 99
    assert len(history) == best + 1 + 4
    assert run(short, epochs=best + 1).weight_scaled_loss[-1] == min(history.weight_scaled_loss)
    assert same(weights(short), weights(stopped))


def test_a_schedule_is_stepped_after_every_epoch() -> None:
    rates: list[float] = []

    def sgd(parameters):
        optimizer = torch.optim.SGD(parameters, lr=1.0)
        optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
        return optimizer

    halving = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    fit(nn.Linear(3, 1), data(), mcdrop.Gaussian(1e-3), optimizer=sgd, schedule=halving, epochs=3, batch_size=11)
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_modes_are_left_as_they_were_and_training_is_in_training_mode() -> None:
    modes: list[bool] = []
    model = network()
    model[1].eval()
    model[3].register_forward_hook(lambda module, *_: modes.append(module.training))
    fit(model, data(), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=11)
    assert modes[-2:] == [True, True]
    assert [module.training for module in model] == [True, False, True, True, True]
    model.eval()
    with pytest.raises(InputError):
        fit(model, (data()[0], data()[1][:5]), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=11)
    assert not any(module.training for module in model.modules())


def test_several_masks_are_drawn_for_a_batch() -> None:
    model, passes = network(), []
    model[3].register_forward_hook(lambda module, _, output: passes.append((output == 0).clone()))
    fit(model, data(), Objective(GAUSSIAN, num_masks=3), optimizer=ADAM, epochs=1, batch_size=22)
    passes = passes[1:]  # the first is a look at the output
    assert len(passes) == 3
    assert not torch.equal(passes[0], passes[1])


class Killed(Exception):
    pass


def dying(step: int, at: list[int]):
    """An Adam that dies after so many steps."""

    def make(parameters):
        def count(*_):
            at[0] += 1
            if at[0] == step:
                raise Killed

        optimizer = ADAM(parameters)
        optimizer.register_step_pre_hook(count)
        return optimizer

    return make


SCHEDULES = [
    partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5),
    partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.05, total_steps=10),
    partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=5),
    partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 1 / (1 + epoch)),
]


@pytest.mark.parametrize(("schedule", "steps"), [(None, range(1, 13)), *((each, [5]) for each in SCHEDULES)])
def test_killed_at_any_step_it_resumes_to_the_same_bits(schedule, steps, tmp_path: Path) -> None:
    run = partial(
        fit, data=data(), objective=Objective(GAUSSIAN, Prior(0.1)), schedule=schedule, epochs=4, batch_size=8,
        validation=data(9, 1), num_samples=4, patience=2, seed=1,
    )  # fmt: skip
    whole = initialise(network, 0)
    history = run(whole, optimizer=ADAM)
    assert len(history) == 4
    path = tmp_path / "run"
    for step in steps:
        with pytest.raises(Killed):
            run(initialise(network, 0), optimizer=dying(step, [0]), checkpoint=path)
        assert path.exists() == (step > 3)
        resumed = initialise(network, 7 if path.exists() else 0)  # the first weights are those of the file then
        assert run(resumed, optimizer=ADAM, checkpoint=path) == history
        assert same(weights(resumed), weights(whole))
        assert list(tmp_path.iterdir()) == [path]
        path.unlink()


@pytest.mark.slow
def test_a_process_killed_by_the_system_resumes_to_the_same_bits(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys, torch
        from functools import partial
        from torch import nn
        import mcdrop
        from mcdrop.training import fit, initialise
        torch.set_num_threads(1)
        steps, path, out = int(sys.argv[1]), *sys.argv[2:]
        def make(parameters):
            optimizer, count = torch.optim.Adam(parameters, lr=1e-2), iter(range(10**9))
            def die(*_):
                if next(count) == steps:
                    os.kill(os.getpid(), signal.SIGKILL)
            optimizer.register_step_pre_hook(die)
            return optimizer
        x = torch.linspace(-1, 1, 20)[:, None]
        net = initialise(lambda: nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 1)), 0)
        history = fit(net, (x, x), mcdrop.Gaussian(1.0), optimizer=make, epochs=4, batch_size=7, checkpoint=path)
        torch.save([net.state_dict(), vars(history)], out)
        """
    )

    def run(steps: int, path: str) -> int:
        arguments = [sys.executable, "-c", script, str(steps), str(tmp_path / path), str(tmp_path / "out.pt")]
        return subprocess.run(arguments, cwd=Path(__file__).parents[2], check=False).returncode

    assert run(1000, "whole.pt") == 0
    whole = torch.load(tmp_path / "out.pt")
    assert run(8, "killed.pt") == -signal.SIGKILL
    assert run(1000, "killed.pt") == 0
    resumed = torch.load(tmp_path / "out.pt")
    assert same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_a_finished_run_goes_on_to_more_epochs_as_one_run(tmp_path: Path) -> None:
    whole, twice = initialise(network, 0), initialise(network, 0)
    run = partial(fit, data=data(), objective=GAUSSIAN, optimizer=ADAM, batch_size=8)
    history = run(whole, epochs=4)
    run(twice, epochs=2, checkpoint=tmp_path / "run")
    assert run(twice, epochs=4, checkpoint=tmp_path / "run") == history
    assert same(weights(whole), weights(twice))
    with pytest.raises(InputError, match="holds 4 epochs, and epochs=3 was given"):
        run(twice, epochs=3, checkpoint=tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "of another run \\(seed: 0 there, 1 here\\)"),
        ({"batch_size": 9}, "batch_size: 8 there, 9 here"),
        ({"objective": mcdrop.Gaussian(5.0)}, r"objective: .*precision=4.0.* there, .*precision=5.0.* here"),
        ({"optimizer": partial(torch.optim.Adam, lr=2e-2)}, "optimizer: Adam .*0.01.* there, Adam .*0.02"),
        ({"optimizer": SGD}, "optimizer: Adam .* there, SGD"),
        ({"data": data(22, 5)}, "data: 22 rows, .* there, 22 rows, "),
        ({"model": network(0.3)}, r"(?s)\(layers: .*p=0.2.* there, .*p=0.3"),
        ({"schedule": partial(SCHEDULES[2].func, T_max=9)}, "schedule: CosineAnnealingLR .*5.* there, .*'T_max': 9"),
        ({"model": nn.Linear(3, 1)}, r"model: 0.weight \(8, 3\) torch.float32.* there, weight \(1, 3\)"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_words(change: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    given = {"model": network(), "data": data(), "objective": GAUSSIAN, "optimizer": ADAM, "batch_size": 8}
    given["schedule"] = SCHEDULES[2]
    run = partial(fit, epochs=1, checkpoint=path)
    run(**given)
    content = path.read_bytes()
    with pytest.raises(InputError, match=message):
        run(**{**given, **change})
    assert path.read_bytes() == content


@pytest.mark.parametrize("loader", [lambda x, y: DataLoader(TensorDataset(x, y), 8), lambda x, y: [(x, y), (x, y)]])
def test_a_checkpoint_knows_the_rows_that_a_loader_holds_in_memory(loader, tmp_path: Path) -> None:
    x, y = data()
    run = partial(fit, objective=GAUSSIAN, optimizer=ADAM, checkpoint=tmp_path / "run")
    run(network(), loader(x, y), epochs=1)
    run(network(), loader(x, y), epochs=2)
    y[7] += 1
    with pytest.raises(InputError, match=r"data: .* there, .* here"):
        run(network(), loader(x, y), epochs=3)


def test_numpys_integers_are_integers(without_type_checks) -> None:
    def trained(integer) -> tuple:
        net = initialise(network, integer(3))
        history = fit(
            net, data(), GAUSSIAN, optimizer=ADAM, epochs=integer(2), batch_size=integer(5), validation=data(9, 1),
            num_samples=integer(4), patience=integer(1), seed=integer(3),
        )  # fmt: skip
        return history, net[0].weight.tolist()

    assert trained(np.int64) == trained(np.int32) == trained(int)


def test_bad_rows_of_a_later_batch_of_a_loader_are_named() -> None:
    x, y = data()
    x[13, 0] = torch.nan
    with pytest.raises(InputError, match="1 input values of batch 2 are NaN or infinite"):
        fit(network(), DataLoader(TensorDataset(x, y), batch_size=5), GAUSSIAN, optimizer=ADAM, epochs=1)


@pytest.mark.parametrize("where", ["data", "validation"])
def test_bad_targets_of_a_later_batch_of_a_loader_are_refused(where: str) -> None:
    x, y = data()
    good = DataLoader(TensorDataset(x, (y > 1).long()), batch_size=5)
    bad = DataLoader(TensorDataset(x, 2 * (torch.arange(22) > 12)), batch_size=5)
    given = {"data": good, "validation": good, where: bad}
    with pytest.raises(InputError, match="Targets other than 0 and 1 given"):
        fit(network(), objective=mcdrop.Binary(), optimizer=ADAM, epochs=1, **given)


def test_a_learning_rate_that_is_too_large_is_named_with_the_step(tmp_path: Path) -> None:
    x, y = data()
    with pytest.raises(NonFiniteError, match=r"The loss is (nan|inf) in epoch \d+, step \d+\. .*learning rate.*1e\+06"):
        fit(nn.Linear(3, 1), (x, y), GAUSSIAN, optimizer=partial(torch.optim.SGD, lr=1e6), epochs=50, batch_size=5)


def test_a_last_step_that_breaks_the_weights_leaves_no_checkpoint(tmp_path: Path) -> None:
    huge = partial(torch.optim.SGD, lr=3e38)
    run = partial(fit, data=data(), objective=GAUSSIAN, optimizer=huge, epochs=1, batch_size=22)
    with pytest.raises(NonFiniteError, match=r"Training failed in epoch 0\. The weights .*, which is 3e\+38"):
        run(nn.Linear(3, 1), checkpoint=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_zero_is_named() -> None:
    class Sure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return torch.tensor([1.0, 0.0]).expand(len(x), 2) + 0 * self.weight

    sure_of_another = (data()[0], torch.ones(22, dtype=torch.long))
    with pytest.raises(
        NonFiniteError, match=r"The loss is inf in epoch 0, step 0\. Inputs and weights are finite: .*log"
    ):
        fit(Sure(), sure_of_another, mcdrop.Categorical(probs=True), optimizer=ADAM, epochs=1, batch_size=22)


def test_a_step_that_fails_is_named_with_its_rows() -> None:
    class Particular(nn.Linear):
        def forward(self, x):
            if len(x) == 1:
                raise ValueError("one row is too few")
            return super().forward(x)

    with pytest.raises(ValueError, match="one row is too few") as raised:
        fit(Particular(3, 1), data(9), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=8)
    assert raised.value.__notes__ == ["In epoch 0, step 1, on a batch of 1 rows."]


def test_a_network_without_anything_to_train_is_refused() -> None:
    with pytest.raises(InputError, match="no parameters to train, or none of them requires a gradient"):
        fit(network().requires_grad_(False), data(), GAUSSIAN, optimizer=ADAM, epochs=1, batch_size=8)
