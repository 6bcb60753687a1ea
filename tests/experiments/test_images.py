"""Networks on images: their averages, their temperatures, and what they make of images they have never seen."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import mcdrop
from examples.experiments import images, images_pictures, images_tables
from examples.experiments.estimates import mean_and_error, of_same_rows
from examples.experiments.images_tables import less_weight_scaling, of_set
from mcdrop.calibration import expected_calibration_error
from mcdrop.data.idx import LabelledImages
from mcdrop.prediction import Categorical, from_draws

SETS = ("fashion-mnist", "mnist")
BOUND = 2.6  # standard errors


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Pixels alone decide, some of them dropped."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(16, 10)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def test_images(net) -> LabelledImages:
    """Labelled by chance as the network believes, at a temperature of 2."""
    generator = torch.Generator().manual_seed(1)
    shown = 6 * torch.randn(4000, 4, 4, generator=generator)
    probs = (net(shown) / 2).softmax(dim=1)
    return LabelledImages(shown, torch.multinomial(probs, 1, generator=generator)[:, 0])


@pytest.fixture(scope="module")
def few_images(test_images) -> LabelledImages:
    return LabelledImages(test_images.images[:300], test_images.labels[:300])


def test_each_network_is_a_part() -> None:
    assert list(images.parts(False)) == [f"{name} seed {seed}" for name in SETS for seed in (0, 1, 2)]
    assert list(images.parts(True)) == [f"{name} seed 0" for name in SETS]


def test_averages_are_compared_with_weight_scaling_on_the_same_rows(net, few_images) -> None:
    found = images.averaging(net, few_images, seed=0, drawn=100)
    scaled = net(few_images.images)
    assert found["weight scaling"]["error"] == pytest.approx(
        float((scaled.argmax(1) != few_images.labels).double().mean())
    )
    assert found["weight scaling"]["nll"] == pytest.approx(
        float(nn.functional.cross_entropy(scaled, few_images.labels)), rel=1e-5
    )
    assert found["trees"] == [1, 2, 5, 10, 20, 50, 100]
    forest = mcdrop.predict(net, few_images.images, likelihood=Categorical(), num_samples=100, seed=0)
    error = float((forest.labels != few_images.labels).double().mean())
    assert found["error"][-1] == pytest.approx(error)
    assert found["spread"]["error"][-1] == 0  # all trees: one subset
    assert found["all trees less weight scaling"]["error"][0] == pytest.approx(
        error - found["weight scaling"]["error"], abs=1e-12
    )


def test_the_temperature_is_chosen_by_other_images_than_it_is_judged_by(net, test_images) -> None:
    read = images.readings(net, seed=0, trees=5)["weight scaling"]
    found = images.calibration(read, test_images)
    assert found["temperature"] == pytest.approx(2, abs=0.15)
    assert found["change"]["error"] == (0, 0)
    assert found["change"]["nll"][0] == pytest.approx(found["after"]["nll"] - found["before"]["nll"])
    ece = float(expected_calibration_error(net(test_images.images[1::2]).softmax(1), test_images.labels[1::2]).value)
    assert found["before"]["ece"] == pytest.approx(ece, abs=1e-6)
    assert found["after"]["ece"] < ece / 3
    others = LabelledImages(test_images.images, test_images.labels.clone())
    others.labels[1::2] = 0
    assert images.calibration(read, others)["temperature"] == found["temperature"]


def test_sums_over_bins_make_the_calibration_error(net, test_images) -> None:
    found = images.calibration(images.readings(net, seed=0, trees=5)["average"], test_images)
    bins = {name: np.array(sums) for name, sums in found["bins"]["before"].items()}
    assert bins["counts"].sum() == 2000
    ece = np.abs(bins["right"] - bins["confidence"]).sum() / 2000
    assert ece == pytest.approx(found["before"]["ece"])


def test_areas_are_those_of_scikit_learn(net, test_images) -> None:
    other = 3 * test_images.images[:500].flip(0)
    found = images.foreign(net, test_images.images, other, seed=3)
    foreign = np.arange(4500) >= 4000
    forest = mcdrop.MCDropout(net, likelihood=Categorical(), num_samples=20, seed=3)
    drawn = torch.cat([torch.stack([of.predictive_entropy, of.mutual_information])
                       for of in (forest(test_images.images), forest(other))], dim=1)  # fmt: skip
    scaled = torch.distributions.Categorical(logits=net(torch.cat([test_images.images, other]))).entropy()
    areas = [roc_auc_score(foreign, values) for values in (scaled, *drawn)]
    assert found["weight scaling"] == pytest.approx(areas[0], abs=1e-6)
    assert found["average"] == pytest.approx({"entropy": areas[1], "mutual information": areas[2]})
    more = found["average less weight scaling"]
    assert more["mutual information"][0] == pytest.approx(areas[2] - areas[0], abs=1e-6)


def test_shares_of_entropies() -> None:
    logits = torch.tensor([[9e3, *[0.0] * 9], [0.0] * 10, [0.0] * 10, [9e3, 9e3, *[0.0] * 8]])[None]
    found = images.shares(from_draws(logits, Categorical()))
    assert len(found) == 25
    assert {at: share for at, share in enumerate(found) if share} == {
        0: 0.25,
        7: 0.25,
        24: 0.5,
    }  # log 2 / log 10 = .301


def test_errors_of_the_same_rows() -> None:
    assert of_same_rows([(1.0, 0.3), (2.0, 0.3), (3.0, 0.6)]) == pytest.approx((2, np.hypot(0.4, 1 / np.sqrt(3))))
    assert of_same_rows([(1.0, 0.3)]) == (1, 0.3)


def test_gaps_of_bins_that_all_networks_have_filled() -> None:
    one = {"counts": [100, 10], "confidence": [80, 5], "right": [70, 5]}
    other = {"counts": [300, 90], "confidence": [240, 50], "right": [290, 50]}
    at, gap, error = images_pictures.gaps([one, other])
    assert (at, gap) == (pytest.approx([0.8]), pytest.approx([0.1]))  # 360 right of 400
    assert error == pytest.approx([np.sqrt(0.9 * 0.1 / 199)])  # as of 200 images


def test_tables_and_pictures_of_a_small_run(net, test_images, few_images) -> None:
    """What stands in the tables, by hand from the parts; pictures can be drawn of a single network of each set."""
    other = test_images.images[::2]
    part = {
        "averaging": images.averaging(net, few_images, 0, 100),
        "calibration": {
            reading: images.calibration(read, test_images) for reading, read in images.readings(net, 0, 5).items()
        },
        "foreign": {"notmnist": images.foreign(net, test_images.images, other, 0)},
    }
    numbers = {"fashion-mnist seed 0": part, "mnist seed 0": part}
    found = images_tables.tables(numbers)
    assert list(found) == ["trees of fashion-mnist", "trees of mnist", "calibration", "foreign"]
    one_tree = found["trees of mnist"].splitlines()[3]
    difference = 100 * (part["averaging"]["error"][0] - part["averaging"]["weight scaling"]["error"])
    assert one_tree.startswith(f"| 1 | {100 * part['averaging']['error'][0]:.4g} | {difference:.4g} |")
    assert f"{part['calibration']['average']['before']['ece']:.4f} → " in found["calibration"]
    assert f"| MNIST, notMNIST | {part['foreign']['notmnist']['weight scaling']:.4g} |" in found["foreign"]
    pictures = images_pictures.pictures(numbers)
    assert {name: len(figure.axes) for name, (_, figure) in pictures.items()} == {
        "trees": 4, "reliability": 4, "areas": 1, "entropies": 4
    }  # fmt: skip
    assert not found.keys() & pictures.keys()  # which share their markers on the page


@pytest.mark.slow
def test_quickly_one_tree_is_worse_and_the_forest_is_not(quick_run) -> None:
    for name in SETS:
        (part,) = of_set(quick_run("images"), name)
        error = part["averaging"]["spread"]["error"][0] / np.sqrt(20)  # of the mean over 20 single trees
        assert less_weight_scaling(part, "error")[0] > BOUND * error
        difference, error = part["averaging"]["all trees less weight scaling"]["error"]
        assert abs(difference) < 0.0015 + BOUND * error


@pytest.mark.slow
def test_quickly_a_temperature_mends_an_average_that_is_too_modest(quick_run) -> None:
    numbers = quick_run("images")
    for name in SETS:
        for found in of_set(numbers, name)[0]["calibration"].values():
            assert found["change"]["error"] == [0, 0]
    (part,) = of_set(numbers, "mnist")
    found = part["calibration"]["average"]
    assert found["temperature"] < 1
    for score in ("nll", "ece", "smooth ece"):
        change, error = found["change"][score]
        assert change < -BOUND * error
    assert found["after"]["ece"] < found["before"]["ece"] / 2


@pytest.mark.slow
def test_quickly_disagreement_tells_letters_from_clothes(quick_run) -> None:
    (part,) = of_set(quick_run("images"), "fashion-mnist")
    more, error = part["foreign"]["notmnist"]["average less weight scaling"]["mutual information"]
    assert more > BOUND * error


def test_the_network_of_the_book_errs_as_in_a_run_without_mcdrop(full_run) -> None:
    errors = [part["averaging"]["weight scaling"]["error"] for part in of_set(full_run("images"), "fashion-mnist")]
    assert len(errors) == 3
    assert abs(np.mean(errors) - 0.137) < 0.007


@pytest.mark.parametrize("name", SETS)
def test_one_tree_is_clearly_worse_than_weight_scaling(full_run, name) -> None:
    more = np.array([less_weight_scaling(part, "error")[0] for part in of_set(full_run("images"), name)])
    mean, error = mean_and_error(more)
    assert mean > BOUND * error
    assert (more > 0.005).all()


@pytest.mark.parametrize("name", SETS)
def test_fifty_trees_are_as_good_as_weight_scaling(full_run, name) -> None:
    parts = of_set(full_run("images"), name)
    trees = parts[0]["averaging"]["trees"]
    assert trees[-3:] == [50, 100, 200]
    more = np.mean([less_weight_scaling(part, "error") for part in parts], axis=0)
    assert (abs(more[-3:]) < 0.001).all()
    assert (np.diff(more[:5]) < 0).all()  # to 20 trees each more helps


@pytest.mark.parametrize("name", SETS)
def test_a_temperature_changes_no_label(full_run, name) -> None:
    for part in of_set(full_run("images"), name):
        for found in part["calibration"].values():
            assert found["change"]["error"] == [0, 0]


def test_the_average_on_mnist_is_too_modest_and_a_temperature_mends_it(full_run) -> None:
    found = [part["calibration"]["average"] for part in of_set(full_run("images"), "mnist")]
    assert all(one["temperature"] < 0.9 for one in found)
    assert all(one["after"]["ece"] < one["before"]["ece"] / 2 for one in found)
    change, error = of_same_rows([one["change"]["nll"] for one in found])
    assert change < -BOUND * error


def more_than_weight_scaling(numbers, own: str, other: str, measure: str) -> tuple[float, float]:
    parts = of_set(numbers, own)
    return of_same_rows([part["foreign"][other]["average less weight scaling"][measure] for part in parts])


@pytest.mark.parametrize("other", ["mnist", "notmnist"])
def test_averages_on_fashion_mnist_tell_foreign_images_better(full_run, other) -> None:
    for measure in ("entropy", "mutual information"):
        more, error = more_than_weight_scaling(full_run("images"), "fashion-mnist", other, measure)
        assert more > BOUND * error


def test_averages_on_mnist_tell_letters_better_and_clothes_no_better(full_run) -> None:
    letters, clothes = (
        {m: more_than_weight_scaling(full_run("images"), "mnist", other, m) for m in ("entropy", "mutual information")}
        for other in ("notmnist", "fashion-mnist")
    )
    assert letters["entropy"][0] > BOUND * letters["entropy"][1]
    assert abs(clothes["entropy"][0]) < BOUND * clothes["entropy"][1]
    assert clothes["mutual information"][0] < -BOUND * clothes["mutual information"][1]


def test_the_average_on_mnist_has_the_worse_likelihood(full_run) -> None:
    more = [less_weight_scaling(part, "nll")[-1] for part in of_set(full_run("images"), "mnist")]
    mean, error = mean_and_error(np.array(more))
    assert mean > BOUND * error
