"""Heavy dropout on MNIST: how the network is read, and what is kept of a reading."""

import pytest
import torch

from examples.experiments import no_gain_mnist
from examples.experiments.image_nets import network
from mcdrop.prediction import Categorical, from_draws


@pytest.fixture
def prediction():
    """Three labels: .65 sure and right, .95 sure and right, .95 sure and wrong."""
    probs = torch.tensor([[[0.65, 0.35], [0.95, 0.05], [0.95, 0.05]]], dtype=torch.float64)
    return from_draws(probs.log(), Categorical())


def test_modesty_and_bins_of_three_labels(prediction) -> None:
    found = no_gain_mnist.judged(prediction, torch.tensor([0, 0, 1]))
    assert found["error"] == pytest.approx(1 / 3)
    assert found["modesty"] == pytest.approx((0.35 + 0.05 - 0.95) / 3)
    assert found["bins"]["counts"] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert found["bins"]["forecast"] == pytest.approx([0, 0, 0, 0, 0, 0, 0.65, 0, 0, 1.9])
    assert found["bins"]["happened"] == pytest.approx([0, 0, 0, 0, 0, 0, 1, 0, 0, 1])


def test_averaging_is_compared_state_by_state(prediction) -> None:
    labels = torch.tensor([0, 0, 1])
    sure = from_draws(torch.tensor([[[9.0, 0.0]] * 3], dtype=torch.float64), Categorical())
    found = no_gain_mnist.averaging([prediction, sure], [prediction, prediction], labels)
    assert found["as trained"]["nll"] == (0.0, 0.0)
    known = no_gain_mnist.scores(sure, labels)["nll"].value - no_gain_mnist.scores(prediction, labels)["nll"].value
    assert found["tempered"]["nll"][0] == pytest.approx(known)


def test_a_network_is_read_without_masks_with_one_a_row_and_on_average() -> None:
    net, x = network("mnist", 0).eval(), torch.rand(6, 28, 28, generator=torch.Generator().manual_seed(0))
    off, tree, average = (read(x) for read in no_gain_mnist.read_by(net, 0).values())
    assert torch.allclose(off.probs.float(), net(x).softmax(dim=1))
    assert (tree.num_samples, tree.provenance.shared_masks) == (1, False)
    assert (average.num_samples, average.provenance.shared_masks) == (no_gain_mnist.NUM_SAMPLES, True)
