"""Networks on images: built and trained as their sources say."""

import pytest
import torch
from torch import nn

from examples.experiments import image_nets
from mcdrop.data.idx import LabelledImages


def test_networks_are_those_of_their_sources() -> None:
    found = {name: image_nets.network(name, 0).requires_grad_(False) for name in ("fashion-mnist", "mnist")}
    layers = {name: [type(layer).__name__ for layer in net] for name, net in found.items()}
    hidden = ["Linear", "ReLU", "Dropout"]
    assert layers["fashion-mnist"] == ["Flatten", *hidden, *hidden, "Linear"]
    assert layers["mnist"] == ["Flatten", "Dropout", *hidden, *hidden, "Linear"]
    units = {name: [layer.out_features for layer in net if isinstance(layer, nn.Linear)] for name, net in found.items()}
    assert units == {"fashion-mnist": [256, 256, 10], "mnist": [512, 512, 10]}
    rates = {name: [layer.p for layer in net if isinstance(layer, nn.Dropout)] for name, net in found.items()}
    assert rates == {"fashion-mnist": [0.2, 0.5], "mnist": [0.2, 0.5, 0.5]}
    assert float(found["mnist"][2].weight.std()) == pytest.approx(0.01, rel=0.01)
    assert not found["mnist"][2].bias.any()
    assert found["mnist"](torch.rand(3, 28, 28)).shape == (3, 10)


def test_weights_depend_on_the_seed_alone() -> None:
    one, same, other = (image_nets.network("mnist", seed)[-1].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_training_goes_the_stated_way(monkeypatch) -> None:
    """Against a plain loop; a single batch, so that its order does not matter, and dropout off."""
    generator = torch.Generator().manual_seed(0)
    data = LabelledImages(torch.rand(64, 28, 28, generator=generator), torch.arange(64) % 10)
    monkeypatch.setattr(image_nets.images, "load", lambda name, part: data)
    undropped = image_nets.Architecture((16, 16), 0.0, (0.0, 0.0), epochs=7)
    monkeypatch.setitem(image_nets.ARCHITECTURES, "fashion-mnist", undropped)
    for quick, epochs in ((False, 7), (True, image_nets.QUICK_EPOCHS)):
        expected = image_nets.network("fashion-mnist", 3)
        optimiser = torch.optim.SGD(expected.parameters(), lr=0.5)
        for _ in range(epochs):
            optimiser.zero_grad()
            nn.functional.cross_entropy(expected(data.images), data.labels).backward()
            optimiser.step()
        found = image_nets.train("fashion-mnist", 3, quick)
        assert not found.training
        for one, other in zip(found.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(one, other)
