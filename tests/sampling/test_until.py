"""Drawing until the Monte Carlo error is small enough: when it stops, what it says, how honest the error is then."""

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import Temperature
from mcdrop.errors import InputError, NoSpreadError, UnavailableError
from mcdrop.prediction import concatenate


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3)).eval()


def worst(prediction) -> float:
    return prediction.mc_error.square().mean(dim=0).sqrt().max().item()


def test_it_stops_at_the_first_look_at_which_the_error_is_small_enough(model) -> None:
    x, until = torch.randn(8, 4), mcdrop.Until(mc_error=0.008, max_samples=5000)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=until, seed=0)
    prediction = mc(x)
    looks = until.looks(block_size=1)
    place = looks.index(prediction.num_samples)
    assert 0 < place < len(looks) - 1
    errors = [
        worst(mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=look, seed=0)(x))
        for look in looks[: place + 1]
    ]
    assert errors[-1] <= 0.008 < min(errors[:-1])
    assert prediction.provenance.until == repr(until)
    assert prediction.num_samples_per_row.tolist() == [prediction.num_samples] * 8


@pytest.mark.parametrize("design", [mcdrop.Independent(), mcdrop.Stratified(20), mcdrop.Antithetic()])
@pytest.mark.parametrize("execution", ["loop", "vectorised", "chain"])
def test_the_draws_are_those_of_a_number_given(model, design, execution) -> None:
    model = nn.Sequential(*model, nn.ReLU(), nn.Linear(3, 2))  # of a linear head stratified draws know the mean at once
    x, plan = torch.randn(3, 4), mcdrop.Plan(execution=execution, chunk=7)
    options = {"likelihood": mcdrop.Gaussian(1.0), "seed": 1, "design": design, "plan": plan}
    until = mcdrop.MCDropout(model, num_samples=mcdrop.Until(mc_error=1e-9, max_samples=345), **options)(x)
    given = mcdrop.MCDropout(model, num_samples=345, **options)(x)
    assert until.num_samples == 345  # the most there may be
    torch.testing.assert_close(until.samples, given.samples)


def test_looks_are_geometric_and_never_within_a_block() -> None:
    looks = mcdrop.Until(mc_error=1.0, max_samples=10_000).looks(block_size=20)
    assert looks[:4] == [320, 480, 720, 1080]
    assert all(look % 20 == 0 for look in looks[:-1])
    assert looks[-1] == 10_000


def test_every_batch_stops_on_its_own_and_rows_know_their_number(model) -> None:
    sure, unsure = torch.zeros(5, 4), 5 * torch.randn(6, 4)
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Categorical(), seed=0, num_samples=mcdrop.Until(mc_error=0.01, max_samples=3000)
    )
    both, one, two = mc.predict([sure, unsure]), mc(sure), mc(unsure)
    assert one.num_samples < two.num_samples == both.num_samples
    assert both.num_samples_per_row.tolist() == [one.num_samples] * 5 + [two.num_samples] * 6
    for name in ("probs", "mc_error", "predictive_entropy", "mutual_information", "epistemic"):
        torch.testing.assert_close(getattr(both, name), torch.cat([getattr(one, name), getattr(two, name)]))
    torch.testing.assert_close(both[3:7].mc_error, both.mc_error[3:7])
    with pytest.raises(UnavailableError, match="rows with different numbers of draws"):
        both.moments["probs"].group_means  # noqa: B018


def test_parts_of_uneven_predictions_know_their_own_number_and_can_be_joined(model) -> None:
    sure, unsure = torch.zeros(5, 4), 5 * torch.randn(6, 4)
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Categorical(), seed=0, num_samples=mcdrop.Until(mc_error=0.01, max_samples=3000)
    )
    both, one, two = mc.predict([sure, unsure]), mc(sure), mc(unsure)
    assert both[:5].num_samples == one.num_samples
    assert both.to(torch.float32).num_samples_per_row.dtype == torch.int64
    for parts in ([both, two], [two, both], [both, one]):
        joined = concatenate(parts)
        torch.testing.assert_close(joined.mc_error, torch.cat([part.mc_error for part in parts]))


def test_what_is_fitted_on_one_such_prediction_is_applied_to_another(model) -> None:
    until = mcdrop.Until(mc_error=0.01, max_samples=3000)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), seed=0, num_samples=until)
    held_out, new = mc(torch.randn(20, 4)), mc(5 * torch.randn(20, 4))
    assert held_out.num_samples != new.num_samples
    temperature = Temperature.fit(held_out, torch.arange(20) % 3)
    assert temperature(new).probs.shape == (20, 3)
    given = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), seed=0, num_samples=100)(torch.randn(20, 4))
    with pytest.raises(InputError, match="num_samples=100 given"):
        temperature(given)


def test_draws_of_a_call_that_cross_a_look_are_not_lost() -> None:
    calls = []

    def many(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.randn(100, *x.shape, generator=torch.Generator().manual_seed(len(calls)))

    until = mcdrop.Until(mc_error=0.05, max_samples=1000)
    mc = mcdrop.from_callable(many, likelihood=mcdrop.Identity(), num_samples=until, draws_per_call=100)
    prediction = mc(torch.zeros(4, 1))
    assert len(calls) == -(-prediction.num_samples // 100)
    assert torch.equal(
        prediction.samples, torch.cat([many_again(call) for call in range(1, len(calls) + 1)])[: prediction.num_samples]
    )


def many_again(call: int) -> torch.Tensor:
    return torch.randn(100, 4, 1, generator=torch.Generator().manual_seed(call))


def test_uneven_predictions_are_saved_and_refuse_what_needs_common_draws(model, tmp_path) -> None:
    mc = mcdrop.MCDropout(
        model, likelihood=mcdrop.Gaussian(1.0), seed=0, num_samples=mcdrop.Until(mc_error=0.05, max_samples=3000)
    )
    both = mc.predict([torch.zeros(5, 4), 5 * torch.randn(6, 4)])
    both.save(tmp_path / "both")
    again = mcdrop.load(tmp_path / "both")
    assert torch.equal(again.variance, both.variance)
    assert torch.equal(again.num_samples_per_row, both.num_samples_per_row)
    with pytest.raises(UnavailableError, match="the rows have different numbers of them"):
        both.interval(0.9)


def test_an_error_of_zero_ends_nothing_before_min_samples() -> None:
    calls = []

    def rarely(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x + (len(calls) == 90)

    until = mcdrop.Until(mc_error=0.001, max_samples=200, min_samples=100)
    prediction = mcdrop.from_callable(rarely, likelihood=mcdrop.Identity(), num_samples=until)(torch.zeros(2, 1))
    assert prediction.num_samples == 200  # at 81 the error was 0; at 122 it is 1 / 122


def test_draws_that_never_differ_are_an_error() -> None:
    until = mcdrop.Until(mc_error=0.1, max_samples=200, min_samples=100)
    with pytest.raises(NoSpreadError, match="All 122 draws"):
        mcdrop.from_callable(lambda x: x + 0, likelihood=mcdrop.Identity(), num_samples=until)(torch.zeros(2, 1))


@pytest.mark.parametrize(("law", "mean", "std"), [("normal", 0.0, 1.0), ("lognormal", np.exp(0.125), None)])
@pytest.mark.parametrize("draws", [20, 60])
def test_two_errors_cover_nine_of_ten_at_stopping(law, mean, std, draws) -> None:
    std = mean * np.sqrt(np.expm1(0.25)) if std is None else std
    rng = np.random.default_rng(0)
    generate = {"normal": lambda n: rng.normal(size=n), "lognormal": lambda n: rng.lognormal(0, 0.5, size=n)}[law]
    until = mcdrop.Until(mc_error=std / draws**0.5, max_samples=1600, min_samples=16)
    covered = []
    for _ in range(60):
        mc = mcdrop.from_callable(
            lambda x: generate((16, 16, 1)), likelihood=mcdrop.Identity(), num_samples=until, draws_per_call=16
        )
        prediction = mc(torch.zeros(16, 1))
        covered.append(((prediction.mean - mean).abs() <= 2 * prediction.mc_error).double().mean().item())
    assert np.mean(covered) >= 0.90  # of 960 intervals; the true coverage, .92 to .95, is 2 to 5 standard errors above


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mc_error": 0, "max_samples": 100}, "expected a number > 0"),
        ({"mc_error": float("nan"), "max_samples": 100}, "expected a number > 0"),
        ({"mc_error": 0.1, "max_samples": 8}, r"Until\(max_samples=8\) was given; expected an integer >= 16"),
        ({"mc_error": 0.1, "max_samples": 100, "min_samples": 0}, "expected an integer >= 16"),
    ],
)
def test_wrong_arguments_are_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        mcdrop.Until(**options)


def test_what_cannot_be_stopped_is_refused(model) -> None:
    until = mcdrop.Until(mc_error=0.1, max_samples=100)
    with pytest.raises(InputError, match="at least 16 blocks, 320"):
        mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=until, design=mcdrop.Stratified(20))
    with pytest.raises(InputError, match="was given for an ensemble"):
        mcdrop.MCDropout(mcdrop.Ensemble([model, model]), likelihood=mcdrop.Categorical(), num_samples=until)
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=until)
    with pytest.raises(InputError, match="sample was asked of"):
        mc.sample(torch.zeros(2, 4))
    with pytest.raises(InputError, match="evaluate was asked of"):
        mc.evaluate([(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))])
