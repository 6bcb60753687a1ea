"""Deep ensembles and learned rates: their arithmetic, and what their runs found."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import norm

import mcdrop
from examples.experiments import concrete_rates, deep_ensembles, uci_rows
from examples.experiments.estimates import BOUND
from examples.experiments.uci_rivals_page import (
    ROUNDING,
    against_printed,
    against_two_layers,
    gain,
    in_errors,
    learned,
    rows,
    sets,
    tables,
)
from examples.experiments.uci_rows import Rows
from mcdrop.data import uci
from mcdrop.prediction import from_draws
from mcdrop.training import Objective, fit, initialise

VARIANCE = mcdrop.HeteroscedasticGaussian("variance")


def part(y: list[float], unit: float = 1.0) -> Rows:
    targets = torch.tensor(y, dtype=torch.float64)[:, None]
    return Rows((torch.zeros(2, 1), torch.zeros(2, 1)), (torch.zeros_like(targets), targets), unit)


def noise_part(num_rows: int) -> Rows:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(num_rows, 3, generator=generator), torch.randn(num_rows, 1, generator=generator)
    return Rows((x, y), (x, y), 1.0)


def numbers_of_one_set() -> dict[str, object]:
    five = np.random.default_rng(0).uniform(1, 2, (2, 20, 3))
    one = five[..., [0, 2]] + [0.5, 0.25]
    mc_dropout = five.mean(axis=0)[:, [0, 2]] * [1, -1] + [0.0, -0.3]  # log-likelihoods
    held_out = np.tile([3.0, 2.0, 1.0, 2.0, 3.0], (20, 1))
    steps = {"tried": [10, 200], "held_out": [[2.0, 1.0]] * 20, "steps": [200] * 19 + [10]}
    return {
        "published": {"boston": {"400 epochs": mc_dropout.tolist(), "two layers": mc_dropout.tolist()}},
        "ensembles boston": {
            "held_out": held_out.tolist(),
            "learning_rates": [0.01] * 20,
            "ensemble": five.tolist(),
            "alone": one.tolist(),
        },
        "rates boston": {"scores": (five + 0.1).tolist(), "rates": np.full((2, 20, 3), 0.02).tolist(), **steps},
        "noise boston": {"scores": five[:1].tolist(), "rates": np.full((1, 20, 3), 0.01).tolist(), **steps},
        "rates by rows": {"50": [[0.1, 0.2, 0.3, 0.4, 0.5]] * 2, "100": [[0.05, 0.1, 0.15, 0.2, 0.25]] * 2},
    }


def test_scores_are_in_the_unit_of_the_targets() -> None:
    draws = torch.tensor([[[1.0, 0.5], [-1.0, 2.0]]])  # one draw: mean and variance of two standardised rows
    found = part([2.0, 0.0], unit=3.0).scores(from_draws(draws, VARIANCE))
    density = norm.logpdf([6.0, 0.0], [3.0, -3.0], [3 * math.sqrt(0.5), 3 * math.sqrt(2)])
    assert found == pytest.approx([3.0, -density.mean()])


def test_the_matched_normal_has_the_mean_and_variance_of_the_mixture() -> None:
    draws = torch.tensor([[[0.0, 1.0]], [[2.0, 3.0]]])  # N(0, 1) and N(2, 3): mean 1, variance 2 + 1
    found = part([2.0], unit=10.0).matched_nll(from_draws(draws, VARIANCE))
    assert found == pytest.approx(-norm.logpdf(20.0, 10.0, 10 * math.sqrt(3)))


def test_the_last_fifth_is_held_out_and_unknown_to_the_scaling() -> None:
    x = torch.arange(11.0, dtype=torch.float64)[:, None]
    split = uci.Split(x, 2 * x, torch.full((1, 1), 99.0), torch.full((1, 1), 99.0), (), ())
    rows = uci_rows.held_out(split)
    assert [len(rows.train[0]), len(rows.test[0])] == [9, 2]
    std = np.arange(9).std()
    assert rows.unit == pytest.approx(2 * std)
    np.testing.assert_allclose(rows.test[0].ravel(), (np.array([9, 10]) - 4) / std, rtol=1e-6)
    np.testing.assert_allclose(rows.train[1].mean(), 0, atol=1e-6)


def test_few_rows_are_the_first_and_the_test_rows_all() -> None:
    x = torch.arange(11.0, dtype=torch.float64)[:, None]
    split = uci.Split(x, x, x[:3] + 20, x[:3] + 20, (), ())
    rows = uci_rows.first(split, 2)
    np.testing.assert_allclose(rows.train[0].ravel(), [-1, 1])
    np.testing.assert_allclose(rows.test[0].ravel(), (np.array([20, 21, 22]) - 0.5) / 0.5)
    assert torch.equal(uci_rows.whole(split).train[0], uci_rows.first(split, 11).train[0])


def test_the_variance_of_a_network_stays_positive() -> None:
    network = deep_ensembles.Net(1)
    with torch.no_grad():
        network[2].bias[1] = -1000.0
    assert network(torch.zeros(1, 1))[0, 1].item() == pytest.approx(1e-6)
    network[2].bias.data[1] = 0.0
    network[2].weight.data[:] = 0.0
    assert network(torch.zeros(1, 1))[0, 1].item() == pytest.approx(math.log(2), rel=1e-4)


def test_networks_of_an_ensemble_belong_to_the_seed_of_their_part() -> None:
    one, other = noise_part(20), noise_part(20)
    together = deep_ensembles.train([one, other], seeds=[3, 4], learning_rate=0.01)
    (alone,) = deep_ensembles.train([other], seeds=[4], learning_rate=0.01)
    assert len(alone.members) == 5
    for here, there in zip(together[1].members, alone.members, strict=True):
        torch.testing.assert_close(list(here.parameters()), list(there.parameters()), rtol=1e-4, atol=1e-5)
    networks = [network for ensemble in together for network in ensemble.members]
    assert len({network[0].weight[0, 0].item() for network in networks}) == 10


def test_networks_with_learned_rates_are_those_that_fit_trains() -> None:
    part, likelihood = noise_part(40), mcdrop.Gaussian(1.0)
    network = concrete_rates.train([part] * 2, likelihood, seeds=[3, 4], steps=20)[1]
    alone = initialise(partial(concrete_rates.Net, 3, 1), 4)
    adam = partial(torch.optim.Adam, lr=concrete_rates.LEARNING_RATE)
    objective = Objective(likelihood, concrete_rates.PRIOR)
    fit(alone, part.train, objective, optimizer=adam, epochs=10, batch_size=32, seed=4)  # of two batches
    assert network.rates == pytest.approx(alone.rates, rel=1e-4)
    assert all(abs(rate - concrete_rates.STARTING_RATE) > 1e-3 for rate in network.rates)


def test_fixed_noise_is_the_published_for_standardised_targets() -> None:
    likelihood = concrete_rates.fixed_noise("boston", [part([0.0], unit=2.0), part([0.0], unit=4.0)])
    assert likelihood.precision == pytest.approx(0.1597 * 10)


def test_differences_are_in_errors_of_both_and_of_rounding() -> None:
    assert in_errors(3.0, 0.3, 2.0, 0.4) == pytest.approx(2.0, rel=1e-3)
    assert in_errors(0.093, 0.0, 0.09, 0.0) == pytest.approx(0.003 / ROUNDING)


def test_gains_are_differences_of_errors_and_of_losses() -> None:
    found = gain(numbers_of_one_set(), "boston")
    differences = {other: [one.difference for one in pair] for other, pair in found.items()}
    assert differences == {"one": pytest.approx([-0.5, -0.25]), "MC dropout": pytest.approx([0.0, -0.3], abs=1e-9)}
    rmse, nll = against_two_layers(numbers_of_one_set(), "boston")
    assert (rmse.difference, nll.difference) == pytest.approx((0.1, 0.1 - 0.3))


def test_means_are_over_seeds_first_and_printed_deviations_become_errors() -> None:
    numbers = numbers_of_one_set()
    mean, error, printed, printed_error = against_printed(numbers)["ensembles", "RMSE"]["boston"]
    values = np.mean(numbers["ensembles boston"]["ensemble"], axis=0)[:, 0]
    assert (mean, error) == pytest.approx((values.mean(), values.std(ddof=1) / math.sqrt(20)))
    assert (printed, printed_error) == pytest.approx((3.28, 1.0 / math.sqrt(20)))


def test_tables_show_what_was_chosen_and_learned() -> None:
    shown = tables(numbers_of_one_set())
    assert "| boston | 3.00 (0) | 2.00 (0) | 1.00 (20) | 2.00 (0) | 3.00 (0) |" in shown["held_out"]
    assert "| boston | 0.0200 ± 0.0000 | 0.0200 ± 0.0000 | 0.0200 ± 0.0000 |" in shown["rates"]
    assert shown["noise"].count("| 0.0100 ± 0.0000 | 0.0100 ± 0.0000 | 0.0100 ± 0.0000 |") == 1
    assert "| 50 | 0.100 | 0.200 | 0.300 | 0.400 | 0.500 |" in shown["rows"]


@pytest.mark.slow
class TestQuickRun:
    def test_five_networks_are_as_good_as_printed_and_better_than_one(self, quick_run) -> None:
        numbers = quick_run("uci_rivals")
        assert sets(numbers, "ensembles") == ["yacht", "energy"]
        for compared in (against_printed(numbers)["ensembles", score] for score in ("RMSE", "NLL")):
            assert all(in_errors(*four) < BOUND for four in compared.values())
        for name in sets(numbers, "ensembles"):
            assert all(one.z < -BOUND for one in gain(numbers, name)["one"])

    def test_the_learning_rate_of_the_paper_does_not_train(self, quick_run) -> None:
        numbers = quick_run("uci_rivals")
        for name in sets(numbers, "ensembles"):
            held_out = np.array(numbers[f"ensembles {name}"]["held_out"])
            assert (held_out[:, 0] > held_out[:, 2]).all()

    def test_rates_of_the_hidden_layers_are_larger_with_fewer_rows(self, quick_run) -> None:
        few, many = rows(quick_run("uci_rivals")).values()
        difference = (few - many)[:, 1:3]  # of the hidden layers, network by network
        assert (difference.mean(axis=0) > BOUND * difference.std(axis=0, ddof=1) / math.sqrt(len(difference))).all()

    def test_rates_fall_from_where_they_started(self, quick_run) -> None:
        assert (learned(quick_run("uci_rivals"), "rates yacht") < concrete_rates.STARTING_RATE).all()


class TestFullRun:
    def test_ensembles_are_as_good_as_printed_or_better(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        assert sets(numbers, "ensembles") == list(uci.NAMES)
        for compared in (against_printed(numbers)["ensembles", score] for score in ("RMSE", "NLL")):
            assert all(in_errors(*four) < BOUND for four in compared.values())

    def test_five_networks_are_better_than_one(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        for name in sets(numbers, "ensembles"):
            assert all(one.z < -BOUND for one in gain(numbers, name)["one"])

    def test_ensembles_are_more_likely_than_mc_dropout_on_energy_yacht_and_kin8nm(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        rmse, nll = ({name: gain(numbers, name)["MC dropout"][score].z for name in uci.NAMES} for score in (0, 1))
        assert {name for name, z in nll.items() if z < -BOUND} == {"energy", "yacht", "kin8nm"}
        assert max(nll.values()) < BOUND
        assert rmse["energy"] > BOUND
        assert rmse["kin8nm"] < -BOUND

    def test_the_learning_rate_of_the_paper_is_hardly_ever_chosen(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        chosen = [
            rate for name in sets(numbers, "ensembles") for rate in numbers[f"ensembles {name}"]["learning_rates"]
        ]
        assert len(chosen) == 100
        assert chosen.count(deep_ensembles.LEARNING_RATES[0]) < 3

    def test_learned_rates_meet_the_printed_rmse(self, full_run) -> None:
        compared = against_printed(full_run("uci_rivals"))["concrete dropout", "RMSE"]
        assert set(compared) == set(concrete_rates.PUBLISHED_RMSE)
        assert all(abs(in_errors(*four)) < BOUND for four in compared.values())

    def test_beside_two_layers_of_ordinary_dropout_wine_is_worse_and_kin8nm_better(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        assert sets(numbers, "rates") == list(uci.NAMES)
        rmse, nll = ({name: against_two_layers(numbers, name)[score].z for name in uci.NAMES} for score in (0, 1))
        assert {name for name, z in rmse.items() if z > BOUND} == {"wine"}
        assert {name for name, z in rmse.items() if z < -BOUND} == {"kin8nm"}
        assert {name for name, z in nll.items() if z > BOUND} == {"boston", "wine"}
        assert {name for name, z in nll.items() if z < -BOUND} == {"energy", "kin8nm"}

    def test_some_sets_are_trained_shortly_and_keep_their_dropout_and_others_neither(self, full_run) -> None:
        numbers = full_run("uci_rivals")
        for name in sets(numbers, "rates"):
            steps, p = numbers[f"rates {name}"]["steps"], learned(numbers, f"rates {name}").mean(axis=0)
            if name in ("boston", "wine"):
                assert np.median(steps) <= 3_000
                assert (p > 0.02).all()
            else:
                assert np.median(steps) >= 10_000
                assert (p < 0.01).all()

    def test_more_rows_lower_the_rates_of_hidden_layers_and_the_doubt(self, full_run) -> None:
        means = {count: networks.mean(axis=0) for count, networks in rows(full_run("uci_rivals")).items()}
        few, some, many = means[50], means[150], means[500]
        for column in (1, 2, 3):  # the rates of the hidden layers, the epistemic deviation
            assert few[column] > some[column] > many[column]
