"""`evaluate` streams what the scores of the whole give."""

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import accuracy, aurc, brier_score, negative_log_likelihood, rmse
from mcdrop.errors import InputError
from mcdrop.prediction import Summary
from tests.networks import MLP, trained_looking

X = torch.randn(30, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def batches(y, size=7):
    return list(zip(X.split(size), y.split(size), strict=True))


def test_classification() -> None:
    model, y = trained_looking(MLP()), torch.arange(30) % 3
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=40, seed=0)
    scores, whole = mc.evaluate(batches(y)), mc(X)
    expected = {
        "accuracy": accuracy(whole, y),
        "negative_log_likelihood": negative_log_likelihood(whole, y),
        "brier_score": brier_score(whole, y),
    }
    assert scores.keys() == expected.keys()
    for name, score in expected.items():
        for field in ("value", "standard_error", "mc_error"):
            assert getattr(scores[name], field) == pytest.approx(getattr(score, field), rel=1e-9), (name, field)


def test_scores_by_name() -> None:
    model, y = trained_looking(MLP()), torch.arange(30) % 3
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=40, seed=0)
    scores, expected = mc.evaluate(batches(y), scores=["aurc", "accuracy"]), aurc(mc(X), y)
    assert list(scores) == ["aurc", "accuracy"]
    for field in ("value", "standard_error", "mc_error"):
        assert getattr(scores["aurc"], field) == pytest.approx(getattr(expected, field), rel=1e-9), field


def test_regression_even_if_no_samples_are_to_be_kept() -> None:
    model, y = trained_looking(MLP(outputs=1)), torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Gaussian(2.0), num_samples=40, seed=0, keep_samples=False)
    scores = mc.evaluate(batches(y))
    whole = mcdrop.predict(model, X, likelihood=mcdrop.Gaussian(2.0), num_samples=40, seed=0)
    assert scores["rmse"].value == pytest.approx(rmse(whole, y).value, rel=1e-9)
    expected = negative_log_likelihood(whole, y)
    for field in ("value", "standard_error", "mc_error"):
        assert getattr(scores["negative_log_likelihood"], field) == pytest.approx(getattr(expected, field)), field


def test_no_score_but_those_that_need_them_holds_the_draws(monkeypatch) -> None:
    """The usual scores of numbers are streamed over draws, so that memory does not grow with T."""
    kept: list[bool] = []
    init = Summary.init

    def noted(likelihood, **options):
        kept.append(options["keep_samples"])
        return init(likelihood, **options)

    monkeypatch.setattr(Summary, "init", noted)
    model, y = trained_looking(MLP(outputs=1)), torch.zeros(30, 1, dtype=torch.float64)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Gaussian(2.0), num_samples=10, seed=0)
    mc.evaluate(batches(y, 30))
    mc.evaluate(batches(y, 30), scores=["crps", "rmse"])
    assert kept == [False, True]


def test_batches_without_targets() -> None:
    mc = mcdrop.MCDropout(MLP(), likelihood=mcdrop.Categorical(), num_samples=4, seed=0)
    with pytest.raises(InputError, match=r"evaluate was given batches without targets; expected pairs"):
        mc.evaluate([X.float()])


def test_the_monte_carlo_error_of_a_score_is_its_spread_over_seeds() -> None:
    """Promise 7: with shared masks the errors of all rows are one; mc_error^2 against the variance over seeds."""
    model, y = trained_looking(nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 3))), torch.arange(30) % 3
    scores = [
        mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=50, seed=seed).evaluate(batches(y, 30))
        for seed in range(120)
    ]
    nll = [score["negative_log_likelihood"] for score in scores]
    values = torch.tensor([score.value for score in nll])
    squared = torch.tensor([score.mc_error**2 for score in nll])
    ratio = squared.mean() / values.var()
    # Relative errors: of a variance from 120 values sqrt(2/119) = .13; of the mean of the squares what they show.
    bound = 4 * ((2 / 119) + (squared.std() / squared.mean()) ** 2 / 120) ** 0.5
    assert abs(ratio.item() - 1) < bound
    assert bound < 0.7  # tight enough to see an error that is half or twice the truth
