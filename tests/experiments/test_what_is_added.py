"""What is added to the published networks: folds, noise, repeated draws, tables, a quick run, the stored full run."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import mcdrop
from examples.experiments import fewer_passes
from examples.experiments.cross_validated import FOLDS, SeveralPrecisions, folds_of, held_out, most_likely, predicted
from examples.experiments.estimates import BOUND
from examples.experiments.fewer_passes import CLOSED, PASSES, blocks, repeated, ways
from examples.experiments.uci_runs import Net, Trained
from examples.experiments.what_is_added_page import (
    DESIGNED,
    PLAIN,
    PRECISION,
    SCALED,
    SEVERAL,
    WORTH,
    against_plain,
    against_published,
    pictures,
    tables,
)
from mcdrop.data.scaling import Scaling
from mcdrop.data.uci import Split
from mcdrop.prediction import from_draws


def split_of(rows: int, tests: int = 4) -> Split:
    """Rows that are numbered, so that each can be told from the others."""
    x = torch.arange(rows + tests, dtype=torch.float64)[:, None]
    return Split(x[:rows], 10 * x[:rows], x[rows:], 10 * x[rows:], (), ())


def trained(split: Split, p: float = 0.05, seed: int = 0) -> Trained:
    torch.manual_seed(seed)
    unit = Scaling(torch.zeros(1, dtype=torch.float64), torch.full((1,), 2.0, dtype=torch.float64))
    return Trained(Net(1, p).eval(), split, unit, unit)


# Folds


@pytest.mark.parametrize("rows", [50, 53])
def test_each_row_of_the_training_part_is_held_out_once_and_no_test_row_is_seen(rows) -> None:
    split = split_of(rows)
    parts = folds_of(split, number=3)
    assert len(parts) == FOLDS
    assert torch.equal(torch.cat([part.test_x for part in parts]).sort(dim=0).values, split.train_x)
    for part in parts:
        held, seen = set(part.test_x.flatten().tolist()), set(part.train_x.flatten().tolist())
        assert not held & seen
        assert held | seen <= set(split.train_x.flatten().tolist())
        assert torch.equal(part.train_y, 10 * part.train_x)
        assert torch.equal(part.test_y, 10 * part.test_x)


def test_training_parts_are_equally_long_and_lack_one_row_at_most() -> None:
    assert [len(part.train_x) for part in folds_of(split_of(53), number=0)] == [42] * FOLDS
    assert [len(part.test_x) for part in folds_of(split_of(53), number=0)] == [11, 11, 11, 10, 10]


def test_rows_are_dealt_out_by_the_number_of_the_split() -> None:
    again, other = folds_of(split_of(50), number=1), folds_of(split_of(50), number=2)
    assert torch.equal(folds_of(split_of(50), number=1)[0].test_x, again[0].test_x)
    assert not torch.equal(other[0].test_x, again[0].test_x)


def test_each_fold_is_predicted_by_the_network_that_has_not_seen_it() -> None:
    nets = [trained(part, seed=fold) for fold, part in enumerate(folds_of(split_of(20), number=0))]
    whole, targets = held_out(nets, 1.0, 40, mcdrop.Independent(), 0)
    for fold, net in enumerate(nets):
        alone, y = predicted(net, 1.0, 40, mcdrop.Independent(), 0)
        torch.testing.assert_close(whole.mean[4 * fold : 4 * fold + 4], alone.mean)
        assert torch.equal(targets[4 * fold : 4 * fold + 4], y)


def test_predictions_are_in_the_units_of_the_targets_and_run_as_a_chain() -> None:
    net = trained(split_of(8))
    prediction, _ = predicted(net, 1.0, 40, mcdrop.Independent(), 0)
    plain = mcdrop.predict(net.net, net.rows(net.split.test_x), likelihood=mcdrop.Identity(), num_samples=40, seed=0)
    torch.testing.assert_close(prediction.mean, 2 * plain.mean, rtol=1e-5, atol=1e-5)
    assert prediction.provenance.execution.startswith("chain")


# Noise of several precisions


def test_rows_that_only_one_component_explains_give_it_their_share() -> None:
    log_densities = torch.tensor([[0.0, -1e3]] * 3 + [[-1e3, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(most_likely(log_densities), torch.tensor([0.75, 0.25], dtype=torch.float64))


def test_no_other_weights_are_likelier() -> None:
    generator = torch.Generator().manual_seed(0)
    log_densities = torch.randn(200, 4, generator=generator, dtype=torch.float64)

    def log_likelihood(weights):
        return (log_densities + weights.log()).logsumexp(dim=1).mean()

    best = log_likelihood(most_likely(log_densities))
    others = torch.distributions.Dirichlet(torch.ones(4, dtype=torch.float64)).sample((500,))
    assert all(log_likelihood(weights) <= best + 1e-9 for weights in others)


def test_the_density_is_that_of_the_mixture_over_draws_and_precisions() -> None:
    draws, y = torch.randn(5, 6, 1, generator=torch.Generator().manual_seed(1)).double(), torch.linspace(-3, 3, 6)
    prediction, y = from_draws(draws, mcdrop.Gaussian(2.0)), y[:, None].double()
    noise = SeveralPrecisions.fit(prediction, y)
    assert noise.weights.sum().item() == pytest.approx(1)
    expected = np.zeros(6)
    for reading, weight in zip(noise.readings, noise.weights.tolist(), strict=True):
        scale = reading.precisions[0] ** -0.5
        expected += weight * stats.norm.pdf(y[:, 0], draws[:, :, 0], scale).mean(axis=0)
    np.testing.assert_allclose(noise.log_prob(prediction, y), np.log(expected))


def test_noise_of_two_widths_is_found_where_one_precision_must_fit_both() -> None:
    generator = torch.Generator().manual_seed(2)
    wide = torch.rand(4000, 1, generator=generator) < 0.1
    y = (torch.where(wide, 8.0, 1.0) * torch.randn(4000, 1, generator=generator)).double()
    prediction = from_draws(torch.zeros(1, 4000, 1).double(), mcdrop.Gaussian(1.0))
    found = SeveralPrecisions.fit(prediction, y).log_prob(prediction, y).mean()
    values = y[:, 0].numpy()
    truth = np.log(0.9 * stats.norm.pdf(values, scale=1) + 0.1 * stats.norm.pdf(values, scale=8)).mean()
    assert found == pytest.approx(truth, abs=0.01)
    assert found > stats.norm.logpdf(values, scale=values.std()).mean() + 0.2


# Repeated draws


def test_means_vary_as_known_hardly_with_stratified_draws_and_not_in_closed_form(monkeypatch) -> None:
    p, net = 0.05, trained(split_of(8), p=0.05)
    with torch.no_grad():
        for parameter, value in ((net.net[1].weight, 0.0), (net.net[1].bias, 1.0), (net.net[4].weight, 0.5)):
            parameter.fill_(value)
    # 50 units of value .5, in a unit that is half of that of the targets
    variance = 2**2 * 50 * 0.5**2 * p / (1 - p) / PASSES
    independent = repeated(net, 1.0, mcdrop.Independent(), closed=False, repeats=50)["of mean"]
    assert independent == pytest.approx(variance, rel=4 * math.sqrt(2 / 49))
    # not 0: 1/20 is no multiple of 2^-16
    assert repeated(net, 1.0, blocks(p), closed=False, repeats=50)["of mean"] < 1e-3 * variance
    monkeypatch.setattr(fewer_passes, "PASSES", 4)
    assert repeated(net, 1.0, mcdrop.Independent(), closed=True, repeats=2)["of mean"] < 1e-8 * variance


def test_closed_form_and_draws_agree_on_the_scores(monkeypatch) -> None:
    monkeypatch.setattr(fewer_passes, "PASSES", 20)
    net = trained(split_of(8))
    drawn, closed = (repeated(net, 1e-3, blocks(0.05), closed=closed, repeats=2) for closed in (False, True))
    assert closed["RMSE"] == pytest.approx(drawn["RMSE"], rel=1e-2)
    assert closed["LL"] == pytest.approx(drawn["LL"], abs=2e-2)


def test_what_is_compared_holds_both_designs_with_and_without_the_closed_form() -> None:
    assert list(ways(0.05)) == ["independent", "antithetic", "stratified", CLOSED, f"{CLOSED}, stratified"]


def test_blocks_drop_every_unit_once() -> None:
    assert [blocks(p).block for p in (0.05, 0.01)] == [20, 100]


# Tables


@pytest.fixture
def numbers() -> dict:
    """Two seeds and two splits; each step is .1 nats better than the one before it, the first as the published one."""
    published = [[3.0, -2.0], [5.0, -3.0]]

    def part(shift: float) -> dict:
        steps = (PLAIN, DESIGNED, PRECISION, SEVERAL, SCALED)
        scores = {s: [[rmse + shift, ll + 0.1 * place] for rmse, ll in published] for place, s in enumerate(steps)}
        intervals = {PRECISION: [[0.7 + shift / 10, 2.0], [0.9 + shift / 10, 4.0]]}
        return {"published": published, "scores": scores, "intervals": intervals, "tau": [2.0 + shift, 4.0]}

    passes = {"independent": {"of mean": 4.0, "of LL": 0.04, "RMSE": 3.0, "LL": -2.0}}
    passes["stratified"] = {"of mean": 0.25, "of LL": 0.01, "RMSE": 3.0, "LL": -2.0}
    return {"boston, seed 0": part(-1.0), "boston, seed 1": part(1.0), f"boston, {WORTH}": passes}


def test_scores_are_averaged_over_seeds_and_compared_by_split(numbers) -> None:
    rmse, log_likelihood = against_published(numbers, "boston", SEVERAL)
    assert (rmse.difference, rmse.error) == (pytest.approx(0), pytest.approx(0.04))
    assert (log_likelihood.difference, log_likelihood.z) == (pytest.approx(0.3), pytest.approx(30))


def test_tables_show_the_numbers(numbers) -> None:
    found = tables(numbers)
    assert "| boston | published | 4.000 |  | -2.500 |  |  |  |  |" in found["scores"]
    row = f"| boston | {PRECISION} | 4.000 | +0.000 ± 0.040 | -2.300 |" + 2 * " +0.200 ± 0.010 | +20.0 |"
    assert row in found["scores"]
    assert f"| {PLAIN} | 0 of 1 | 0 of 1 | 0 of 1 | 0 of 1 | 0 of 1 |" in found["count"]
    assert f"| {SEVERAL} | 1 of 1 | 1 of 1 | 0 of 1 | 1 of 1 | 0 of 1 |" in found["count"]
    assert "| boston | 0.16 | 3.5 | 1 | 4 |" in found["tau"]
    assert "| boston | stratified | 0.5 | 1,600 | 0.1 | 400 | 3.000 | -2.000 |" in found["passes"]
    assert f"| boston | {PRECISION} | 80.0 ± 10.0 | 3 |" in found["intervals"]


def test_the_picture_shows_the_differences(numbers) -> None:
    _, figure = pictures(numbers)["gains"]
    shown = [line.get_ydata()[0] for line in figure.axes[0].get_lines() if line.get_marker() in "os^D"]
    np.testing.assert_allclose(shown, [0, 0.1, 0.2, 0.3], atol=1e-12)


# The runs


@pytest.mark.slow
def test_quickly_noise_of_several_precisions_adds_to_the_same_networks_and_they_are_as_good_as_the_published(
    quick_run,
) -> None:
    numbers = quick_run("what_is_added")
    assert against_plain(numbers, "yacht", SEVERAL).z > BOUND
    for name in ("boston", "yacht"):
        assert abs(against_published(numbers, name, PLAIN)[1].z) < BOUND
        assert against_plain(numbers, name, SEVERAL).difference > 0
        assert against_published(numbers, name, SEVERAL)[1].difference > 0


@pytest.mark.slow
def test_quickly_stratified_draws_are_worth_ten_times_as_many_independent_ones(quick_run) -> None:
    for name in ("boston", "yacht"):
        ways = quick_run("what_is_added")[f"{name}, {WORTH}"]
        assert ways["stratified"]["of mean"] < ways["independent"]["of mean"] / 10


SETS = ("boston", "energy", "yacht", "wine")


def test_the_networks_are_no_worse_than_the_published_ones(full_run) -> None:
    numbers = full_run("what_is_added")
    for name in SETS:
        rmse, log_likelihood = against_published(numbers, name, PLAIN)
        assert rmse.z < BOUND
        assert log_likelihood.z > -BOUND


def test_noise_of_several_precisions_adds_to_the_same_networks_on_three_sets(full_run) -> None:
    numbers = full_run("what_is_added")
    assert sum(against_plain(numbers, name, SEVERAL).z > BOUND for name in SETS) >= 3


def test_it_is_better_than_the_published_on_three_sets_and_surely_so_on_yacht(full_run) -> None:
    numbers = full_run("what_is_added")
    assert sum(against_published(numbers, name, SEVERAL)[1].difference > 0 for name in SETS) >= 3
    assert against_published(numbers, "yacht", SEVERAL)[1].z > BOUND


def test_tau_alone_adds_on_yacht_only(full_run) -> None:
    numbers = full_run("what_is_added")
    assert [name for name in SETS if against_plain(numbers, name, PRECISION).z > BOUND] == ["yacht"]


def test_stratified_draws_are_worth_ten_times_as_many_independent_ones(full_run) -> None:
    numbers = full_run("what_is_added")
    for name in SETS:
        ways = numbers[f"{name}, {WORTH}"]
        assert ways["stratified"]["of mean"] < ways["independent"]["of mean"] / 10
        assert ways[f"{CLOSED}, stratified"]["of mean"] < ways["stratified"]["of mean"]
