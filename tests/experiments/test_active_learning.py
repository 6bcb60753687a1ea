"""What is labelled, and by which score; that it helps as much as the stored figures say."""

import pytest
import torch
from torch import nn

import mcdrop
from examples.experiments import active_learning
from examples.experiments import active_learning_page as page


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return mcdrop.training.initialise(active_learning.build, seed=0).eval()


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_the_start_is_two_of_each_class_and_the_pool_holds_none_of_them() -> None:
    labels = torch.arange(400) % 10
    labelled, pool = active_learning.start(labels, 300, seed=1)
    assert torch.equal(labels[labelled], torch.arange(10).repeat_interleave(2))
    assert len(pool) == 300
    assert len(torch.cat([labelled, pool]).unique()) == 320
    again, other = (active_learning.start(labels, 300, seed=seed)[1] for seed in (1, 2))
    assert torch.equal(again, pool)
    assert not torch.equal(other, pool)


def test_the_penalty_is_the_authors_c_over_n_on_the_first_dense_layer(net) -> None:
    objective = active_learning.objective()
    assert net[7].weight.shape == (128, 800)
    assert objective.penalties(net, objective.rates, num_rows=50) == pytest.approx({"7.weight": 3.5 / 50})


def test_scores_are_what_their_formulas_say_of_the_draws(net, x) -> None:
    mc = mcdrop.MCDropout(net, likelihood=mcdrop.Categorical(), num_samples=active_learning.NUM_SAMPLES, seed=3)
    p = mc.sample(x).softmax(dim=-1).double()
    mean = p.mean(dim=0)
    entropy, expected_entropy = -(mean * mean.log()).sum(dim=-1), -(p * p.log()).sum(dim=-1).mean(dim=0)
    scores = {name: active_learning.score(name, net, x, 3).double() for name in active_learning.FULL.functions}
    assert torch.allclose(scores["max entropy"], entropy, atol=1e-5)
    assert torch.allclose(scores["BALD"], entropy - expected_entropy, atol=1e-5)
    assert torch.allclose(scores["variation ratios"], 1 - mean.amax(dim=-1), atol=1e-5)
    assert 0 <= scores["random"].min() < 0.2 < 0.8 < scores["random"].max() <= 1


def test_the_score_of_an_image_does_not_depend_on_the_others_beside_it(net, x) -> None:
    alone = torch.cat([active_learning.score("BALD", net, x[rows], 3) for rows in torch.arange(30).split(7)])
    assert torch.allclose(active_learning.score("BALD", net, x, 3), alone, atol=1e-5)


@pytest.mark.slow
def test_all_functions_start_from_one_network_and_learn(quick_run) -> None:
    numbers = quick_run("active_learning")
    for seed in ("seed 0", "seed 1", "seed 2"):
        ours, random = numbers[f"variation ratios, {seed}"], numbers[f"random, {seed}"]
        assert ours["labels"] == random["labels"] == list(range(20, 81, 10))
        assert ours["error"][0] == random["error"][0]
        assert ours["digits"][:20] == random["digits"][:20] == "00112233445566778899"
        assert len(ours["digits"]) == len(random["digits"]) == 80
        assert ours["digits"][20:] != random["digits"][20:]
        bound = 2.6 * (2 * 0.5 * 0.5 / ours["test"]) ** 0.5  # standard errors of a difference of two shares of rows
        assert max(ours["error"][-1], random["error"][-1]) < ours["error"][0] - bound


SCORES = ("BALD", "variation ratios", "max entropy")


def test_full_run_all_functions_begin_with_one_network_and_end_with_300_labels(full_run) -> None:
    numbers = full_run("active_learning")
    assert list(numbers) == list(active_learning.parts(quick=False))
    for seed in ("seed 0", "seed 1", "seed 2"):
        parts = [part for name, part in numbers.items() if name.endswith(seed)]
        assert len({part["error"][0] for part in parts}) == 1
        assert {len(part["digits"]) for part in parts} == {300}


def test_full_run_with_300_labels_the_error_is_below_that_of_random_images(full_run) -> None:
    numbers = full_run("active_learning")
    less = {function: page.difference_in_the_end(numbers, function) for function in SCORES}
    assert all(mean < -0.02 for mean, _ in less.values())
    beyond_doubt = {function for function, (mean, error) in less.items() if mean < -2.6 * error}
    assert beyond_doubt == {"BALD", "max entropy"}
    assert less["variation ratios"][0] < -2.3 * less["variation ratios"][1]


def test_full_run_labels_to_10_percent_are_fewer_and_not_beyond_doubt(full_run) -> None:
    for function in SCORES:
        mean, error = page.difference_in_labels(full_run("active_learning"), function, 0.1)
        assert -2.6 * error < mean < 0


def test_full_run_bald_begins_with_bold_digits_and_the_others_with_thin_ones(full_run) -> None:
    numbers = full_run("active_learning")
    ink = {name: [page.first_images(part).mean() for part in page.runs(numbers, name)] for name in (*SCORES, "random")}
    assert min(ink["BALD"]) > 1.5 * max(ink["random"])
    assert max(*ink["variation ratios"], *ink["max entropy"]) < min(ink["random"])
