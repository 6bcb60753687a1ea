import json

import pytest
import torch

from mcdrop.cli.demo.digits import drawn, measurements, network
from mcdrop.data import digits
from mcdrop.prediction import Categorical
from mcdrop.sampling import MCDropout
from mcdrop.training import compare

T, SEED = 4, 3


@pytest.fixture(scope="module")
def data():
    return digits.load()


@pytest.fixture(scope="module")
def model(data):
    return network.train(data.train_images, data.train_labels, epochs=2, seed=0)


@pytest.fixture(scope="module")
def pictures(data, model, tmp_path_factory):
    """The pictures of the page by name, as its JSON has them."""
    page = tmp_path_factory.mktemp("page") / "page.html"
    found = measurements.measure(model, data.test_images, data.test_labels, num_samples=T, seed=SEED)
    drawn.write(page, model, data, found, seed=SEED, epochs=2)
    record = json.loads(page.with_suffix(".json").read_text())
    assert record["metadata"] == {"command": f"mcdrop demo --seed {SEED} --num-samples {T} --epochs 2"}
    return {picture["name"]: picture for section in record["sections"] for picture in section["pictures"]}


@pytest.fixture(scope="module")
def mc(model):
    return MCDropout(model, likelihood=Categorical(), num_samples=T, seed=SEED)


def test_the_most_and_the_least_certain_digits_are_those_of_least_and_most_entropy(pictures, mc, data):
    prediction = mc(data.test_images)
    entropy, order = prediction.predictive_entropy.sort()
    for name, rows, values in (("most", order[:8], entropy[:8]), ("least", order.flip(0)[:8], entropy.flip(0)[:8])):
        series = pictures[f"{name}_certain"]["series"]
        assert series["row"] == rows.tolist()
        assert series["predictive entropy, nats"] == pytest.approx(values.tolist(), rel=1e-5)
        for row in rows.tolist():
            answer, truth = int(prediction.labels[row]), int(data.test_labels[row])
            shown = f"{answer}" if answer == truth else f"{answer}, is {truth}"
            assert shown in pictures[f"{name}_certain"]["alternative"]


def test_foreign_images_are_the_turned_digits_and_noise(pictures, mc, data):
    images = {
        "upright": data.test_images,
        "turned by 30°": digits.rotate(data.test_images, 30),
        "turned by 90°": digits.rotate(data.test_images, 90),
        "noise": digits.uniform_noise(len(data.test_images), seed=SEED),
    }
    series = pictures["foreign_information"]["series"]
    assert list(series) == list(images)
    for name, x in images.items():
        information = mc(x).mutual_information
        torch.testing.assert_close(torch.tensor(series[name]).double(), information, rtol=1e-4, atol=1e-7)
        assert f"{information.mean():.3f} on {name}" in pictures["foreign_information"]["alternative"]


def test_the_loss_against_trees_is_that_of_compare(pictures, model, data):
    test, train = (data.test_images, data.test_labels), (data.train_images, data.train_labels)
    found = compare(model, test, train=train, likelihood=Categorical(), num_samples=T, seed=SEED)
    series = pictures["loss_against_trees"]["series"]
    assert series["trees"] == list(found.curve.num_samples)
    assert series["loss, nats"] == pytest.approx(found.curve.loss.mean(dim=1).tolist(), rel=1e-5)
    assert pictures["loss_against_trees"]["alternative"] == " ".join(found.answers)
