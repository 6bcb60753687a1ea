"""Each loss is that of a network trained and judged alone, and the precision that made the data is found."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import negative_log_likelihood
from mcdrop.data.scaling import measure
from mcdrop.errors import InputError, NoSiteError
from mcdrop.posterior import Prior
from mcdrop.training import Objective, fit, initialise, search

G = torch.Generator().manual_seed(0)
X = torch.rand(200, 1, generator=G) * 2 - 1
Y = 3 + 2 * X + torch.randn(200, 1, generator=G) / 4**0.5  # precision 4
SETTINGS = {"optimizer": partial(torch.optim.Adam, lr=0.02), "epochs": 20, "batch_size": 32}
PRIOR = Prior(0.1)


def build(p: float) -> nn.Module:
    return nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Dropout(p), nn.Linear(20, 1))


def test_each_point_is_a_network_trained_on_the_first_rows_and_judged_on_the_last() -> None:
    rates, precisions = (0.02, 0.3), (1.0, 4.0)
    (choice,) = search(build, (X, Y), rates=rates, precisions=precisions, prior=PRIOR, num_samples=50, seed=3,
                       **SETTINGS).choices  # fmt: skip
    for i, p in enumerate(rates):
        for j, tau in enumerate(precisions):
            net = initialise(partial(build, p), 3)
            fit(net, (X[:160], Y[:160]), Objective(mcdrop.Gaussian(tau), PRIOR), seed=3, **SETTINGS)
            alone = mcdrop.predict(net, X[160:], likelihood=mcdrop.Gaussian(tau), num_samples=50, seed=3)
            score = negative_log_likelihood(alone, Y[160:])
            assert choice.losses[i][j].value == pytest.approx(score.value, rel=1e-4)
            assert choice.losses[i][j].standard_error == pytest.approx(score.standard_error, rel=1e-3)
    losses = -choice.log_likelihood
    assert (choice.rate, choice.precision) == (rates[choice.place[0]], precisions[choice.place[1]])
    assert losses[choice.place] == losses.min()
    whole = initialise(partial(build, choice.rate), 3)
    fit(whole, (X, Y), Objective(mcdrop.Gaussian(choice.precision), PRIOR), seed=3, **SETTINGS)
    for ours, theirs in zip(choice.model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_precision_that_made_the_data_is_found() -> None:
    """With standardised rows too: precisions are in the units of the data."""
    for scaling in (None, measure):
        (choice,) = search(build, (X, Y), rates=[0.02], precisions=[0.25, 4.0, 64.0], prior=None, scaling=scaling,
                           num_samples=100, **{**SETTINGS, "epochs": 60}).choices  # fmt: skip
        assert choice.precision == 4.0
        assert choice.ties == ()
        prediction = choice.predict(X)
        assert (prediction.mean - (3 + 2 * X)).abs().mean() < 0.2
        assert torch.equal(prediction.aleatoric, torch.full((200, 1), 0.25, dtype=torch.float64))


def test_parts_are_searched_each_by_itself() -> None:
    options = {"rates": [0.1], "precisions": [1.0, 4.0], "prior": PRIOR, "num_samples": 20, **SETTINGS}
    both = search(build, [(X[:100], Y[:100]), (X[100:], Y[100:])], seed=5, **options)
    alone = search(build, (X[100:], Y[100:]), seed=6, **options)
    # the masks that judge are those of the search's seed; the networks are those of seed 5 + 1
    assert both.choices[1].model is not alone.choices[0].model
    for ours, theirs in zip(both.choices[1].model.parameters(), alone.choices[0].model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both.choices[1].log_likelihood, alone.choices[0].log_likelihood, rtol=0.05)
    again = json.loads(json.dumps(both.to_dict()))
    assert again["choices"][0]["precision"] == both.choices[0].precision
    assert str(both).splitlines()[1].startswith("part 1: p = 0.1, tau = ")
    assert "tau = 4" in str(both.choices[0]).splitlines()[0]


def test_numpys_integers_are_integers(without_type_checks) -> None:
    one, two = (
        search(
            build, (X, Y), rates=np.array([0.1]), precisions=np.array([1.0]), prior=PRIOR, num_samples=integer(5),
            optimizer=SETTINGS["optimizer"], epochs=integer(2), batch_size=integer(32), seed=integer(3),
        )
        for integer in (int, np.int64)
    )  # fmt: skip
    assert one.to_dict() == two.to_dict()


def with_norm(p: float) -> nn.Module:
    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(p), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": []}, "expected different numbers in"),
        ({"precisions": [1.0, 1.0]}, r"precisions=\(1.0, 1.0\) was given; expected different positive numbers"),
        ({"precisions": [-1.0]}, "precision=-1.0 given"),
        ({"held_out": 1.0}, r"held_out=1.0 was given; expected a share in \(0, 1\)"),
        ({"data": (X[:3], Y[:3])}, "expected at least 1 and 2"),
        ({"data": (X, Y[:-1])}, "expected as many"),
        ({"data": [(X, Y), (X, Y.where(X.max() > X, torch.nan))]}, "1 targets are NaN or infinite"),
        ({"data": [(X, Y), (X, Y.expand(-1, 2))]}, r"Targets of shape \(\d+, 2\) given, predictions need \(\d+, 1\)"),
        ({"build": with_norm, "data": (X[:101], Y[:101]), "batch_size": 20}, r"1 row \(101 rows were given\)"),
        ({"num_samples": 0}, "num_samples=0 was given"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(change, message) -> None:
    def never(parameters):
        raise AssertionError("training began")

    options = {"rates": [0.1], "precisions": [1.0], "prior": PRIOR, **SETTINGS, "optimizer": never, **change}
    with pytest.raises(InputError, match=message):
        search(options.pop("build", build), options.pop("data", (X, Y)), **options)


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(NoSiteError):
        search(lambda p: nn.Linear(1, 1), (X, Y), rates=[0.1], precisions=[1.0], prior=None, **SETTINGS)
