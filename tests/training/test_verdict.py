"""Sentences that follow from numbers made up for them."""

import pytest
import torch

from mcdrop.calibration.score import scored
from mcdrop.training.contender import Contender
from mcdrop.training.curve import Curve
from mcdrop.training.verdict import answers, table, total_error


def score(value: float, noise: float = 0.0, mc: float = 0.0):
    """A score of 100 rows that contribute +-`noise`, and of three groups of draws that move it by `mc`."""
    influence = noise * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(50)
    values = value + torch.tensor([0.0, -mc, 0.0, mc], dtype=torch.float64)
    return scored(values, influence, (1, 1, 1))


def contenders(scaled: float, tree: float, forest: float, *, noise: float = 0.0, mc: float = 0.0):
    values = {"weight-scaled net": scaled, "one tree": tree, "forest": forest}
    found = {name: Contender(score(value), score(value)) for name, value in values.items()}
    return found | {"forest": Contender(score(forest), score(forest, noise, mc))}


def curve(*losses: float) -> Curve:
    loss = torch.tensor(losses, dtype=torch.float64)[:, None].expand(-1, 20)
    return Curve((1, 2, 5, 10)[: len(losses)], loss, loss)


def test_tree_against_forest() -> None:
    test, train = contenders(0.4, 0.6, 0.42), contenders(0.3, 0.5, 0.33)
    first, _, _ = answers(test, train, curve(0.6, 0.42), "error rate")
    assert first == (
        "Why test loss can lie below train loss: training sees single trees, 0.5 on the training data. The forest of "
        "the same trees has 0.33 there (-0.17 by averaging) and 0.42 on test data (+0.09 by new rows): below what "
        "training sees."
    )
    worse, _, _ = answers(contenders(0.4, 0.9, 0.7), train, curve(0.6, 0.42), "error rate")
    assert worse.endswith("0.7 on test data (+0.37 by new rows): above what training sees.")
    alone, _, _ = answers(test, None, curve(0.6, 0.42), "error rate")
    assert alone.endswith("give train= to see. On test data one tree has 0.6, the forest 0.42.")


@pytest.mark.parametrize(
    ("forest", "noise", "mc", "words"),
    [
        (0.35, 0.0, 0.0, "lowers the test rmse (-0.05"),
        (0.402, 0.0, 0.0, "raises the test rmse (+0.002"),
        (0.40, 0.0, 0.0, "makes no difference beyond the errors to the test rmse (+0"),
        (0.42, 0.05, 0.0, "raises the test rmse (+0.02 ± 0.005)"),
        (0.42, 0.15, 0.0, "makes no difference beyond the errors to the test rmse (+0.02 ± 0.015)"),
        (0.42, 0.0, 0.02, "makes no difference beyond the errors to the test rmse (+0.02"),
    ],
    ids=["helps", "hurts by little", "equal", "surely", "rows too few", "masks too few"],
)
def test_whether_averaging_helps_is_said_only_beyond_two_errors(forest, noise, mc, words) -> None:
    _, second, _ = answers(contenders(0.4, 0.6, forest, noise=noise, mc=mc), None, curve(0.6, 0.42), "rmse")
    assert words in second


def test_both_errors_count() -> None:
    both = score(1.0, noise=0.3, mc=0.02)
    assert total_error(both) == pytest.approx((both.standard_error**2 + both.mc_error**2) ** 0.5)
    assert total_error(both) > max(both.standard_error, both.mc_error)


def test_how_many_passes_suffice() -> None:
    test = contenders(0.4, 0.6, 0.4)
    test["forest"] = Contender(score(0.4, noise=0.1), score(0.4))  # standard error .01, a tenth of it .001
    *_, third = answers(test, None, curve(0.6, 0.45, 0.4008, 0.4), "error rate")
    assert third.startswith(
        "How many passes suffice: 5. From there on more passes, up to 10, change the test loss by less"
    )
    *_, third = answers(test, None, curve(0.6, 0.4005, 0.45, 0.4), "error rate")
    assert third.startswith("How many passes suffice: perhaps more than 10")
    assert curve(0.4, 0.4, 0.4, 0.4).suffices(0.001) == 1


def test_the_table_has_a_line_for_each_contender() -> None:
    lines = table(contenders(0.4, 0.6, 0.42), None, "error rate").splitlines()
    assert lines[0].split() == ["test", "loss", "test", "error", "rate", "spread", "of", "test", "loss"]
    assert [line.split("  ")[0] for line in lines[1:4]] == ["weight-scaled net", "one tree", "forest"]


def test_an_infinite_loss_is_said_instead_of_a_difference() -> None:
    _, second, _ = answers(contenders(float("inf"), 0.6, 0.42), None, curve(0.6, 0.42), "rmse")
    assert "it has the test loss 0.42 against inf, too far for a difference" in second
