import torch
from torch import nn

from mcdrop.cli.demo.regression import networks
from mcdrop.data import sinusoid


def test_the_points_are_those_of_the_sinusoid_on_a_longer_axis():
    points, drawn = networks.draw(3), sinusoid.draw(200, noise=0.1, gap=(0.0, 0.5), seed=3)
    torch.testing.assert_close(points.x, 6 * drawn.x)
    assert torch.equal(points.y, drawn.y)
    torch.testing.assert_close(networks.curve(points.x), sinusoid.truth(drawn.x), atol=1e-5, rtol=0)
    assert not ((points.x > 0) & (points.x < 3)).any()


def test_the_network_has_the_stated_shape():
    model = networks.build()
    assert [tuple(layer.weight.shape) for layer in model if isinstance(layer, nn.Linear)] == [
        (200, 1),
        (200, 200),
        (1, 200),
    ]
    assert [type(layer) for layer in model][-2:] == [nn.Dropout, nn.Linear]
    assert model[-2].p == 0.2


def test_training_learns_and_makes_networks_that_differ():
    points = networks.draw(0)
    models = networks.train(points, epochs=150, seed=0)
    assert len(models) == networks.MEMBERS
    for model in models:
        assert not any(module.training for module in model.modules())
        assert nn.functional.mse_loss(model(points.x), points.y) < 0.5 * points.y.var()
    assert not torch.equal(models[0][0].weight, models[1][0].weight)


def test_one_seed_is_one_set_of_networks_and_global_state_and_terminal_are_left_as_found(capfd):
    points = networks.draw(0)
    before = torch.get_rng_state()
    first = networks.train(points, epochs=2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again, other = networks.train(points, epochs=2, seed=1), networks.train(points, epochs=2, seed=2)
    assert torch.equal(first[4][0].weight, again[4][0].weight)
    assert not torch.equal(first[4][0].weight, other[4][0].weight)
    assert capfd.readouterr() == ("", "")
