import torch
from torch import nn

from mcdrop.cli.demo.digits import network
from mcdrop.data import digits


def _train(seed, rows=200, epochs=2):
    data = digits.load()
    return network.train(data.train_images[:rows], data.train_labels[:rows], epochs=epochs, seed=seed)


def test_the_network_has_the_stated_shape():
    model = network.build()
    assert [tuple(layer.weight.shape) for layer in model if isinstance(layer, nn.Linear)] == [
        (256, 64),
        (256, 256),
        (10, 256),
    ]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert model(torch.zeros(3, 8, 8)).shape == (3, 10)


def test_training_learns_and_ends_in_eval_mode():
    data = digits.load()
    model = network.train(data.train_images, data.train_labels, epochs=10, seed=0)
    assert not any(module.training for module in model.modules())
    assert (model(data.test_images).argmax(-1) == data.test_labels).double().mean() > 0.9


def test_one_seed_is_one_network_whatever_the_global_generator():
    first = _train(seed=1)
    torch.manual_seed(123)
    again, other = _train(seed=1), _train(seed=2)
    for one, two, three in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_the_global_generator_is_left_as_found():
    before = torch.get_rng_state()
    _train(seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_bar_without_a_terminal(capfd):
    _train(seed=0)
    assert capfd.readouterr() == ("", "")
