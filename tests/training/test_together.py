import copy
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError, NonFiniteError, UncontrolledSiteError, VectorisationError
from mcdrop.noise import BernoulliDropout, ConcreteDropout
from mcdrop.posterior import Prior
from mcdrop.training import Objective, fit, initialise, members

ADAM = partial(torch.optim.Adam, lr=1e-2)
GAUSSIAN = mcdrop.Gaussian(4.0)
SEEDS = (3, 0, 11)


def rows(seed: int = 0, count: int = 22) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, x[:, 0].square()


def network() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))


def batch_norm() -> nn.Module:
    # no bias before the norm: its gradient is rounding error, which Adam would take at full size
    return nn.Sequential(nn.Linear(3, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 4, 2), nn.ReLU(), nn.Dropout1d(0.3), nn.Flatten(), nn.Linear(8, 1)
    )


def learned_rates() -> nn.Module:
    return nn.Sequential(
        ConcreteDropout(0.2), nn.Linear(3, 8), nn.Dropout(0.1), nn.ReLU(), ConcreteDropout(0.4), nn.Linear(8, 1)
    )


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.second(F.dropout(self.first(F.dropout(x, 0.2, training=self.training)).relu(), 0.5, self.training))


class Around(nn.Module):
    """A dropout function applied to a hidden layer that `there` brings into another shape or order and `back`."""

    def __init__(self, drop, there, back) -> None:
        super().__init__()
        self.drop, self.there, self.back = drop, there, back
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 1)

    def forward(self, x):
        hidden = self.there(self.first(x))
        return self.second(self.back(self.drop(hidden, 0.4, self.training)).relu())


def in_place(hidden, p, training):
    F.dropout(hidden, p, training, inplace=True)  # what it returns is not used
    return hidden


def same(hidden):
    return hidden


def all_and_half(hidden, p, training):
    return hidden + F.dropout(hidden, 1.0, training) + F.dropout(hidden, p, training)


class StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sign()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return 0.5 * gradient


class Unusual(nn.Module):
    """Gradients of its own making and stopped ones; a weight without gradient, one without use; a buffer that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(3, 8), nn.Linear(8, 1), nn.Linear(2, 2)
        self.first.bias.requires_grad_(False)
        self.register_buffer("average", torch.zeros(8))

    def forward(self, x):
        hidden = self.first(x)
        with torch.no_grad():
            factor = hidden.abs()
            if self.training:
                self.average.mul_(0.9).add_(0.1 * hidden.mean(0))
        return self.second(F.dropout(StraightThrough.apply(hidden) * factor - self.average, 0.2, self.training))


AROUND = {
    "in place": (in_place, same, same),
    "transposed": (F.dropout, torch.t, torch.t),
    "rows for channels": (F.dropout1d, same, same),
    "four axes for unbatched": (F.dropout3d, lambda h: h.view(-1, 2, 2, 2), lambda h: h.flatten(1)),
    "after one that drops all": (all_and_half, same, same),
}
SGD = partial(torch.optim.SGD, lr=0.005, momentum=0.9)
HALVING = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
CASES = {
    "plain": (network, rows(), {"optimizer": ADAM}),
    "own data": (network, [rows(1), rows(2), rows(3)], {"optimizer": ADAM}),
    "kl": (network, rows(), {"optimizer": ADAM, "objective": Objective(GAUSSIAN, Prior(1.0))}),
    "own priors": (
        network,
        [rows(1), rows(2), rows(3)],
        {"optimizer": ADAM, "objective": [Objective(GAUSSIAN, prior) for prior in (Prior(3.0), None, Prior(10.0))]},
    ),
    "learned rates": (learned_rates, rows(), {"optimizer": ADAM, "objective": Objective(GAUSSIAN, Prior(1.0))}),
    "several masks": (network, rows(), {"optimizer": ADAM, "objective": Objective(GAUSSIAN, num_masks=3)}),
    "schedule": (network, rows(), {"optimizer": SGD, "schedule": HALVING}),
    "norm": (batch_norm, rows(), {"optimizer": ADAM}),
    "channels": (convolution, rows(), {"optimizer": ADAM}),
    "functional": (Functional, rows(), {"optimizer": ADAM}),
    "unusual": (Unusual, rows(), {"optimizer": partial(SGD, weight_decay=0.1)}),
    **{name: (partial(Around, *given), rows(), {"optimizer": ADAM}) for name, given in AROUND.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_each_member_is_the_network_that_fit_trains_alone(case: str) -> None:
    build, data, settings = CASES[case]
    settings = {"objective": GAUSSIAN, "epochs": 4, "batch_size": 5, **settings}
    ensemble, histories = members(build, data, seeds=SEEDS, **settings)
    for number, seed in enumerate(SEEDS):
        alone = initialise(build, seed)
        own = {name: given[number] if isinstance(given, list) else given for name, given in settings.items()}
        history = fit(alone, data[number] if isinstance(data, list) else data, seed=seed, **own)
        assert histories[number].train_loss == pytest.approx(history.train_loss, rel=1e-4)
        for name, tensor in ensemble.members[number].state_dict().items():
            torch.testing.assert_close(tensor, alone.state_dict()[name], rtol=1e-3, atol=1e-5, msg=f"{case} {name}")


def test_members_of_one_seed_are_one_network_and_others_are_not() -> None:
    one, two, other = members(
        network, rows(), GAUSSIAN, seeds=(5, 5, 6), optimizer=ADAM, epochs=2, batch_size=5
    )[0].members  # fmt: skip
    assert torch.equal(one[1].weight, two[1].weight)
    assert not torch.allclose(one[1].weight, other[1].weight)


def test_members_of_one_seed_may_differ_in_their_data_and_in_the_decay_of_their_weights() -> None:
    """The masks of a seed are drawn once, and are those that each of its members draws alone."""
    parts, seeds, settings = [rows(1), rows(2), rows(1)], (5, 6, 5), {"optimizer": ADAM, "epochs": 4, "batch_size": 5}
    objectives = [Objective(mcdrop.Gaussian(tau), Prior(3.0), protocol="gal2016") for tau in (9.0, 1.0, 0.1)]
    ensemble, histories = members(network, parts, objectives, seeds=seeds, **settings)
    for member, history, part, objective, seed in zip(
        ensemble.members, histories, parts, objectives, seeds, strict=True
    ):
        alone = initialise(network, seed)
        assert history.train_loss == pytest.approx(fit(alone, part, objective, seed=seed, **settings).train_loss)
        for one, other in zip(member.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    first, _, third = (member[1].weight for member in ensemble.members)
    assert not torch.allclose(first, third, rtol=0.05)


def test_the_result_is_an_ensemble_of_plain_networks_in_evaluation_mode() -> None:
    ensemble, histories = members(network, rows(), GAUSSIAN, seeds=SEEDS, optimizer=ADAM, epochs=2, batch_size=5)
    assert len(histories) == len(ensemble.members) == 3
    assert not any(module.training for member in ensemble.members for module in member.modules())
    assert all(weight.requires_grad and weight.is_leaf for weight in ensemble.members[0].parameters())
    prediction = mcdrop.predict(ensemble, rows(9)[0], likelihood=GAUSSIAN)
    by_hand = torch.stack([member(rows(9)[0]) for member in ensemble.members]).mean(dim=0)
    torch.testing.assert_close(prediction.mean.float(), by_hand)
    copy.deepcopy(ensemble.members[0])


def test_its_members_may_keep_their_dropout_on() -> None:
    ensemble, _ = members(network, rows(), GAUSSIAN, seeds=SEEDS, optimizer=ADAM, epochs=1, batch_size=5)
    forests = mcdrop.Ensemble(ensemble.members, dropout=True)
    prediction = mcdrop.predict(forests, rows(9)[0], likelihood=GAUSSIAN, num_samples=12, seed=0)
    assert prediction.num_samples == 12
    assert (prediction.mc_error > 0).all()


def test_numpys_integers_are_integers(without_type_checks) -> None:
    one, two = (
        members(
            network, rows(), GAUSSIAN, seeds=map(integer, SEEDS), optimizer=ADAM, epochs=integer(2),
            batch_size=integer(5),
        )[1]
        for integer in (int, np.int64)
    )  # fmt: skip
    assert one == two


def test_nothing_global_moves(without_type_checks) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    members(network, rows(), GAUSSIAN, seeds=SEEDS, optimizer=ADAM, epochs=1, batch_size=5)
    assert torch.equal(torch.get_rng_state(), before)


class Coin(nn.Linear):
    def forward(self, x):
        return super().forward(x) * torch.randint(0, 2, (), generator=None)


class HostCoin(nn.Linear):
    def forward(self, x):
        import random

        return super().forward(x) * (random.random() + 1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.3)

    def forward(self, x):
        return self.lstm(x[None])[0][0, :, :1]


class Decides(nn.Linear):
    def forward(self, x):
        output = super().forward(x)
        return output if output.sum() > 0 else -output


def bernoulli() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), BernoulliDropout(0.5), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: Coin(3, 1),
            UncontrolledSiteError,
            "draws random numbers outside of nn.Dropout.*Train them one by one",
        ),
        (lambda: HostCoin(3, 1), UncontrolledSiteError, "draws random numbers outside of nn.Dropout.*generators moved"),
        (bernoulli, UncontrolledSiteError, "draws random numbers outside of nn.Dropout"),
        (Recurrent, (UncontrolledSiteError, VectorisationError), "Train them one by one"),
        (lambda: Decides(3, 1), VectorisationError, r"cannot be trained at once \(RuntimeError.*Train them one by one"),
    ],
)
def test_what_cannot_be_trained_at_once_is_refused(build, error, message) -> None:
    with pytest.raises(error, match=message):
        members(build, rows(), GAUSSIAN, seeds=SEEDS, optimizer=ADAM, epochs=1, batch_size=5)


SHARED = nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": ()}, "No seed was given; expected one for each member"),
        ({"seeds": (0, -1)}, "seed=-1 was given; expected an integer >= 0"),
        ({"data": [rows(1), rows(2)]}, "2 pairs of data were given for 3 seeds; expected one for each"),
        ({"data": [rows(1), rows(2), rows(3, 21)]}, "Pairs of 21 to 22 rows were given; expected equally many.*to 21"),
        ({"data": rows()[0]}, "A Tensor was given as data; expected a pair"),
        ({"data": [rows(1), rows(2), (rows(3)[0], rows(3)[1] / 0)]}, "22 targets are NaN or infinite"),
        ({"build": lambda: None}, r"build\(\) returned a NoneType; expected a torch.nn.Module"),
        ({"build": lambda: SHARED}, r"build\(\) returned the same network twice"),
        ({"build": lambda: nn.Linear(3, 1, bias=bool(torch.rand(()) > 0.5))}, "different makes"),
        ({"build": nn.Identity, "data": (rows()[0], rows()[0])}, "Identity has no parameters to train"),
        ({"optimizer": torch.optim.Adafactor}, "Adafactor was given for members .* by its own gradients alone: SGD"),
        ({"objective": [GAUSSIAN, GAUSSIAN]}, "2 objectives were given for 3 seeds; expected one, or one for each"),
        (
            {"objective": [GAUSSIAN, Objective(GAUSSIAN, Prior(1.0)), mcdrop.Gaussian(2.0)]},
            r"different losses were given \(members 0 and 2\): Objective.*may differ in their priors, and in tau",
        ),
        (
            {"build": learned_rates, "objective": [Objective(GAUSSIAN, Prior(prior)) for prior in (1.0, 1.0, 2.0)]},
            "Different priors were given for '1.weight', which is behind concrete dropout; expected one for all",
        ),
        ({"epochs": 0}, "epochs=0 was given"),
        ({"batch_size": None}, "batch_size=None was given; expected an integer >= 1"),
    ],
)
def test_refuses(change: dict, message: str, without_type_checks) -> None:
    given = {
        "build": network, "data": rows(), "objective": GAUSSIAN, "seeds": (0, 1, 4), "optimizer": ADAM, "epochs": 1,
        "batch_size": 5, **change,
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        members(given.pop("build"), given.pop("data"), given.pop("objective"), **given)


def test_a_last_step_that_breaks_the_weights_is_found() -> None:
    huge = partial(torch.optim.SGD, lr=3e38)
    with pytest.raises(NonFiniteError, match=r"Training failed in epoch 0\. The weights"):
        members(network, rows(), GAUSSIAN, seeds=SEEDS, optimizer=huge, epochs=1, batch_size=22)


def test_the_member_that_fails_is_named() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(3, 1)
        if torch.initial_seed() == initial[1]:
            nn.init.constant_(layer.weight, 1e30)
        return layer

    initial: list[int] = []
    for seed in (0, 1, 4):
        initialise(lambda: initial.append(torch.initial_seed()) or nn.Linear(1, 1), seed)
    with pytest.raises(NonFiniteError, match=r"The loss of members \[1\] is inf in epoch 0, step 0"):
        members(build, rows(), GAUSSIAN, seeds=(0, 1, 4), optimizer=ADAM, epochs=1, batch_size=5)


def test_dropout_that_changes_its_rate_is_refused() -> None:
    rates = iter([0.3, 0.3, 0.3, 0.4])  # tried by one pass, noted by two, recorded by the last

    class Growing(nn.Module):
        def forward(self, x):
            return F.dropout(x, next(rates))

    with pytest.raises(VectorisationError, match=r"p=0.4 on \(5, 3\) runs in a step.*p=0.3.*trained one by one"):
        members(
            lambda: nn.Sequential(Growing(), nn.Linear(3, 1)), rows(count=20), GAUSSIAN, seeds=SEEDS,
            optimizer=ADAM, epochs=2, batch_size=5,
        )  # fmt: skip


class Counting(nn.Linear):
    calls = 0

    def forward(self, x):
        self.calls += self.training
        return super().forward(x) / (1 + self.calls)


class Averaging(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 1)
        self.register_buffer("average", torch.zeros(3))

    def forward(self, x):
        self.average = 0.9 * self.average + 0.1 * x.mean(0)
        return super().forward(x - self.average)


@pytest.mark.parametrize(("build", "name"), [(lambda: Counting(3, 1), "calls"), (Averaging, "average")])
def test_networks_that_set_attributes_while_they_run_are_refused(build, name) -> None:
    with pytest.raises(VectorisationError, match=f"sets its attribute {name} while it runs.*buffers in place, or"):
        members(build, rows(), GAUSSIAN, seeds=SEEDS, optimizer=ADAM, epochs=1, batch_size=5)
