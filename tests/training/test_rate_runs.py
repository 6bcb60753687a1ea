"""Sweeps: each number is that of fit and compare, and p = 0 is one net."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import negative_log_likelihood, rmse
from mcdrop.errors import InputError, NoSiteError
from mcdrop.scratch.layer import HandDropout
from mcdrop.training import Sweep, compare, fit, initialise, sweep

G = torch.Generator().manual_seed(0)
X, X_TEST = torch.randn(40, 4, generator=G), torch.randn(60, 4, generator=G)
Y, Y_TEST = (X[:, :3] + torch.randn(40, 3, generator=G)).argmax(1), X_TEST[:, :3].argmax(1)
SETTINGS = {"optimizer": partial(torch.optim.SGD, lr=0.2), "epochs": 20, "batch_size": 10}
RATES = (0.5, 0.0, 0.95)


def build(p: float, layer=nn.Dropout) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), layer(p), nn.Linear(64, 3))


@pytest.fixture(scope="module")
def found() -> Sweep:
    return sweep(
        build, RATES, (X, Y), mcdrop.Categorical(), test=(X_TEST, Y_TEST), seeds=(4, 1), num_samples=20, **SETTINGS
    )


def test_each_number_is_the_mean_over_seeds_of_what_compare_finds(found) -> None:
    assert found.rates == RATES
    for point, p in zip(found.points, RATES, strict=True):
        if p == 0:
            continue
        nets = [initialise(partial(build, p), seed) for seed in (4, 1)]
        for net, seed, history in zip(nets, (4, 1), point.histories, strict=True):
            alone = fit(net, (X, Y), mcdrop.Categorical(), seed=seed, **SETTINGS)
            assert history.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
        options = {"train": (X, Y), "likelihood": mcdrop.Categorical(), "num_samples": 20, "seed": 0}
        comparisons = [compare(net, (X_TEST, Y_TEST), **options) for net in nets]
        for name in ("one tree", "weight-scaled net", "forest"):
            for part in ("test", "train"):
                contenders = [getattr(comparison, part)[name] for comparison in comparisons]
                for quantity in ("loss", "error"):
                    ours = getattr(point, f"{part}_{quantity}")[name]
                    theirs = [getattr(contender, quantity).value for contender in contenders]
                    assert ours.per_seed == pytest.approx(theirs, rel=1e-3)
                    assert ours.value == pytest.approx(np.mean(theirs), rel=1e-3)


def test_at_p_0_all_contenders_are_the_net(found) -> None:
    point = found.points[1]
    nets = mcdrop.Ensemble([point.models[0]]), mcdrop.Ensemble([point.models[1]])
    predictions = [mcdrop.predict(net, X_TEST, likelihood=mcdrop.Categorical()) for net in nets]
    scores = [negative_log_likelihood(prediction, Y_TEST) for prediction in predictions]
    for name in ("one tree", "weight-scaled net", "forest"):
        assert point.test_loss[name].per_seed == pytest.approx([score.value for score in scores])
        assert point.test_loss[name].score.mc_error is None


def test_noise_raises_the_loss_that_training_sees(found) -> None:
    by_rate = sorted((point.rate, point.train_loss["one tree"].value) for point in found.points)
    losses = [loss for _, loss in by_rate]
    assert losses == sorted(losses)


@pytest.mark.parametrize(
    ("rates", "epochs", "fits"),
    [((0.0, 0.95), 400, ("overfits", "the best")), ((0.2, 0.95), 20, ("the best", "underfits"))],
    ids=["noisy labels learnt by heart", "trained briefly"],
)
def test_rates_are_named_by_what_they_do(rates, epochs, fits) -> None:
    settings = {"seeds": range(3), "num_samples": 20, **SETTINGS, "epochs": epochs}
    more = sweep(build, rates, (X, Y), mcdrop.Categorical(), test=(X_TEST, Y_TEST), **settings)
    assert more.fits == fits
    assert more.best.rate == rates[fits.index("the best")]
    assert [answer.split(";")[0] for answer in more.answers] == [
        f"p = {rate:g}: {fit}" for rate, fit in zip(rates, fits, strict=True)
    ]


def test_differences_between_rates_are_paired_by_their_masks(found) -> None:
    forest, other = (found.points[place].test_loss["forest"] for place in (0, 2))
    assert forest.score.counts == other.score.counts
    difference = forest - other
    deleted = forest.score.deleted - other.score.deleted
    groups = len(deleted)
    spread = (deleted - deleted.mean()).square().sum() * (groups - 1) / groups
    assert difference.score.mc_error == pytest.approx(float(spread.sqrt()), rel=0.05)


def test_dropout_by_hand_and_built_in_give_the_same_within_error() -> None:
    options = {"test": (X_TEST, Y_TEST), "seeds": range(6), "num_samples": 50, **SETTINGS}
    hand, built_in = (
        sweep(partial(build, layer=layer), [0.5], (X, Y), mcdrop.Categorical(), **options).points[0]
        for layer in (HandDropout, nn.Dropout)
    )
    for name in ("one tree", "weight-scaled net", "forest"):
        difference = hand.test_loss[name] - built_in.test_loss[name]
        assert 0 < abs(difference.value) < 4 * difference.total_error


def test_loaders_are_taken_too() -> None:
    train = [(x, y) for x, y in zip(X.split(10), Y.split(10), strict=True)]
    test = [(x, y) for x, y in zip(X_TEST.split(25), Y_TEST.split(25), strict=True)]
    settings = {**SETTINGS, "batch_size": None, "epochs": 2}
    by_loader = sweep(build, [0.0, 0.5], train, mcdrop.Categorical(), test=test, num_samples=10, **settings)
    by_pair = sweep(build, [0.0, 0.5], train, mcdrop.Categorical(), test=(X_TEST, Y_TEST), num_samples=10, **settings)
    for one, other in zip(by_loader.points, by_pair.points, strict=True):
        for name, loss in one.test_loss.items():
            assert loss.value == pytest.approx(other.test_loss[name].value)


def test_regression_is_judged_by_density_and_rmse() -> None:
    def numbers(p: float) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 1))

    y, y_test = X.sum(1, keepdim=True), X_TEST.sum(1, keepdim=True)
    likelihood = mcdrop.Gaussian(4.0)
    settings = {**SETTINGS, "optimizer": partial(torch.optim.Adam, lr=0.01)}
    found = sweep(numbers, [0.0, 0.2], (X, y), likelihood, test=(X_TEST, y_test), num_samples=10, **settings)
    assert found.error_name == "rmse"
    for point in found.points:
        posterior = point.models[0] if point.rate else mcdrop.Ensemble(point.models)
        draws = 10 if point.rate else None
        prediction = mcdrop.predict(posterior, X_TEST, likelihood=likelihood, num_samples=draws, seed=0)
        assert point.test_error["forest"].value == pytest.approx(rmse(prediction, y_test).value, rel=1e-5)
        expected = negative_log_likelihood(prediction, y_test).value
        assert point.test_loss["forest"].value == pytest.approx(expected, rel=1e-5)


def test_nothing_global_moves() -> None:
    before = torch.get_rng_state()
    sweep(build, [0.0, 0.5], (X, Y), mcdrop.Categorical(), test=(X_TEST, Y_TEST), num_samples=4,
          **{**SETTINGS, "epochs": 1})  # fmt: skip
    assert torch.equal(torch.get_rng_state(), before)


def never(parameters):
    raise AssertionError("training began")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rates": []}, InputError, "expected different numbers in"),
        ({"seeds": []}, InputError, r"seeds=\(\) was given; expected different integers >= 0, at least one"),
        ({"seeds": [1, 1]}, InputError, r"seeds=\(1, 1\) was given"),
        ({"seeds": [-1]}, InputError, "seed=-1 was given"),
        ({"num_samples": 1}, InputError, "num_samples=1 was given; expected an integer >= 2"),
        ({"test": (X_TEST, Y_TEST[1:])}, InputError, "60.* rows and 59 targets"),
        ({"test": (X_TEST, Y_TEST + 1)}, InputError, "3"),
        ({"data": (X / 0, Y)}, InputError, "160 input values are NaN or infinite"),
        ({"data": (X[:0], Y[:0])}, InputError, "0 rows were given"),
        ({"build": lambda p: None}, InputError, r"build\(\) returned a NoneType"),
        ({"build": lambda p: nn.Linear(4, 3)}, NoSiteError, "no dropout|nothing to sample|no stochastic"),
        ({"batch_size": None}, InputError, "batch_size=None was given with arrays"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(change, error, message, without_type_checks) -> None:
    given = {
        "build": build, "rates": [0.0, 0.5], "data": (X, Y), "objective": mcdrop.Categorical(),
        "test": (X_TEST, Y_TEST), **SETTINGS, "optimizer": never, **change,
    }  # fmt: skip
    with pytest.raises(error, match=f"(?i){message}"):
        sweep(given.pop("build"), given.pop("rates"), given.pop("data"), given.pop("objective"), **given)


def test_numpys_integers_are_integers(without_type_checks) -> None:
    one, two = (
        sweep(
            build, np.array([0.5]), (X, Y), mcdrop.Categorical(), test=(X_TEST, Y_TEST), epochs=integer(2),
            optimizer=SETTINGS["optimizer"], batch_size=integer(10), seeds=map(integer, (4, 1)), num_samples=integer(5),
        )
        for integer in (int, np.int64)
    )  # fmt: skip
    assert one.seeds == two.seeds == (4, 1)
    assert one.points[0].histories == two.points[0].histories
