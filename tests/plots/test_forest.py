import matplotlib.pyplot as plt
import pytest
import torch

import mcdrop
from mcdrop.errors import InputError
from mcdrop.plots.forest import loss_against_samples
from mcdrop.training import Comparison, compare
from tests.networks import MLP, trained_looking

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(30, 6, generator=G, dtype=torch.float64), torch.randint(3, (30,), generator=G)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    members = mcdrop.Ensemble([trained_looking(MLP(), seed) for seed in range(2)])
    return compare(members, (X, Y), train=(X[:10], Y[:10]), likelihood=mcdrop.Categorical(), num_samples=20)


@pytest.fixture
def ax():
    figure = plt.figure()
    yield figure.subplots()
    plt.close(figure)


@pytest.mark.parametrize("quantity", ["loss", "error"])
def test_what_is_drawn_are_the_numbers_of_the_comparison(comparison, ax, quantity) -> None:
    assert loss_against_samples(comparison, ax, quantity=quantity) is ax
    lines = {line.get_label(): line for line in ax.get_lines()}
    forest = lines.pop("forest: k trees averaged, test")
    assert tuple(forest.get_xdata()) == comparison.curve.num_samples
    assert forest.get_ydata().tolist() == pytest.approx(getattr(comparison.curve, quantity).mean(dim=1).tolist())
    expected = {
        "one tree, test": comparison.test["one tree"],
        "one tree, train: what training sees": comparison.train["one tree"],
        "forest, train": comparison.train["forest"],
        "weight-scaled net, test": comparison.test["weight-scaled net"],
        "weight-scaled members, averaged, test": comparison.test["members, averaged"],
    }
    assert {label: line.get_ydata()[0] for label, line in lines.items()} == {
        label: getattr(contender, quantity).value for label, contender in expected.items()
    }
    assert ax.get_ylabel() == {"loss": "-log p(y), nats", "error": "error rate"}[quantity]


def test_without_training_data_there_are_no_lines_of_them(ax) -> None:
    model = trained_looking(MLP())
    alone = compare(model, (X, Y), likelihood=mcdrop.Categorical(), num_samples=4)
    labels = [line.get_label() for line in loss_against_samples(alone, ax).get_lines()]
    assert labels == ["forest: k trees averaged, test", "one tree, test", "weight-scaled net, test"]


def test_another_quantity_is_refused(comparison, ax, without_type_checks) -> None:
    with pytest.raises(InputError, match="quantity='nll' was given; expected 'loss' or 'error'"):
        loss_against_samples(comparison, ax, quantity="nll")
