import numpy as np
import pytest
import torch

from mcdrop.calibration import brier_score, error_rate, negative_log_likelihood
from mcdrop.cli.demo.digits import measurements, network
from mcdrop.data import digits
from mcdrop.prediction import Categorical
from mcdrop.sampling import MCDropout

ROWS, T = 120, 20


@pytest.fixture(scope="module")
def data():
    return digits.load()


@pytest.fixture(scope="module")
def model(data):
    return network.train(data.train_images, data.train_labels, epochs=3, seed=0)


@pytest.fixture(scope="module")
def found(model, data):
    return measurements.measure(model, data.test_images[:ROWS], data.test_labels[:ROWS], num_samples=T, seed=7)


@pytest.fixture(scope="module")
def mc(model):
    return MCDropout(model, likelihood=Categorical(), num_samples=T, seed=7)


def test_the_mean_over_rows_has_the_textbook_error():
    values = torch.tensor([1.0, 2.0, 4.0, 9.0], dtype=torch.float64)
    score = measurements.mean_over_rows(values, mc_error=0.5)
    assert score.value == 4.0
    assert score.standard_error == pytest.approx(np.std(values.numpy(), ddof=1) / 2)
    assert score.mc_error == 0.5


def test_sub_networks_are_scored_as_each_would_be_by_itself(mc, data):
    labels = data.test_labels[:ROWS]
    logits = mc.sample(data.test_images[:ROWS])
    means, spread = measurements.score_sub_networks(logits, labels)
    functions = {"error": error_rate, "nll": negative_log_likelihood, "brier": brier_score}
    for name, score in functions.items():
        single = np.array([score(draw.double().softmax(-1), labels).value for draw in logits])
        assert means[name].value == pytest.approx(single.mean(), rel=1e-9)
        assert spread[name] == pytest.approx(single.std(ddof=1), rel=1e-9)
        assert means[name].mc_error == pytest.approx(single.std(ddof=1) / T**0.5, rel=1e-9)


def test_the_error_over_rows_is_that_of_a_row_averaged_over_sub_networks():
    labels = torch.tensor([0, 0, 1])
    right, wrong = [9.0, -9.0], [-9.0, 9.0]
    logits = torch.tensor([[right, right, right], [right, wrong, right]])
    means, spread = measurements.score_sub_networks(logits, labels)
    # The first row is right in both sub-networks, the second in one, the third in none.
    assert means["error"].value == pytest.approx(3 / 6)
    assert means["error"].standard_error == pytest.approx(np.std([0, 1 / 2, 1], ddof=1) / 3**0.5)
    assert spread["error"] == pytest.approx(np.std([1 / 3, 2 / 3], ddof=1))


def test_mc_dropout_is_scored_as_evaluate_does(found, mc, data):
    scores = mc.evaluate([(data.test_images[:ROWS], data.test_labels[:ROWS])])
    assert found.mc_dropout["nll"] == scores["negative_log_likelihood"]
    assert found.mc_dropout["brier"] == scores["brier_score"]
    assert found.mc_dropout["error"].value == pytest.approx(1 - scores["accuracy"].value)


def test_the_weight_scaled_network_is_the_model_in_eval_mode(found, model, data):
    with torch.no_grad():
        probs = model(data.test_images[:ROWS]).double().softmax(-1)
    assert found.weight_scaled["error"].value == (probs.argmax(-1) != data.test_labels[:ROWS]).double().mean()
    expected = -probs[torch.arange(ROWS), data.test_labels[:ROWS]].log().mean()
    assert found.weight_scaled["nll"].value == pytest.approx(expected.item())
    assert found.weight_scaled["nll"].mc_error is None


def test_the_difference_of_likelihoods_is_paired(found):
    difference = found.mc_dropout["nll"].value - found.weight_scaled["nll"].value
    assert found.nll_difference.value == pytest.approx(difference)
    assert found.nll_difference.mc_error == found.mc_dropout["nll"].mc_error
    # The same rows are hard for both, so pairing takes most of the rows' error away.
    assert found.nll_difference.standard_error < found.weight_scaled["nll"].standard_error


def test_averaging_cannot_have_a_worse_likelihood_than_a_single_sub_network(found):
    assert found.mc_dropout["nll"].value < found.sub_networks["nll"].value
    assert found.mc_dropout["brier"].value < found.sub_networks["brier"].value


def test_uncertainty_is_that_of_the_draws(found, mc, data):
    images = data.test_images[:ROWS]
    assert [kind.images for kind in found.foreign] == [
        "digits turned by 30 degrees",
        "digits turned by 90 degrees",
        "uniform noise",
    ]
    asked = [images, digits.rotate(images, 30), digits.rotate(images, 90), digits.uniform_noise(ROWS, seed=7)]
    for kind, inputs in zip([found.own, *found.foreign], asked, strict=True):
        probs = mc.sample(inputs).double().softmax(-1)
        whole = torch.special.entr(probs.mean(0)).sum(-1)
        information = whole - torch.special.entr(probs).sum(-1).mean(0)
        assert kind.predictive_entropy.value == pytest.approx(whole.mean().item(), rel=1e-6)
        assert kind.mutual_information.value == pytest.approx(information.mean().item(), rel=1e-6)
    assert found.own.error == found.mc_dropout["error"]
    assert found.foreign[-1].error is None


def test_one_seed_is_one_set_of_numbers_and_global_state_is_left_as_found(found, model, data):
    torch.manual_seed(99)
    before, weights = torch.get_rng_state(), [parameter.clone() for parameter in model.parameters()]
    again = measurements.measure(model, data.test_images[:ROWS], data.test_labels[:ROWS], num_samples=T, seed=7)
    assert again == found
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), weights, strict=True))
