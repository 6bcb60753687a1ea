"""The perceptron's gradients, against finite differences and against torch autograd under the same masks."""

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.scratch import Dense, init_mlp, loss_and_gradients, mlp_backward, mlp_forward

RATES = [0.2, 0.5]
X = np.random.default_rng(0).normal(size=(6, 4))
LABELS = np.array([0, 1, 2, 0, 1, 2])


def _net() -> list[Dense]:
    rng = np.random.default_rng(1)
    layers = init_mlp([4, 7, 5, 3], rng)
    return [Dense(layer.weight, rng.normal(size=layer.bias.shape)) for layer in layers]


def _loss(layers: list[Dense], rates: list[float] | None) -> float:
    """Loss under the masks that seed 2 draws, whatever the weights are."""
    return loss_and_gradients(layers, X, LABELS, rates, np.random.default_rng(2))[0]


@pytest.mark.parametrize("rates", [None, RATES, [0.0, 1.0]])
def test_gradients_are_finite_differences(rates: list[float] | None) -> None:
    layers = _net()
    _, gradients = loss_and_gradients(layers, X, LABELS, rates, np.random.default_rng(2))
    for number, layer in enumerate(layers):
        for field, values in layer._asdict().items():
            for index in np.ndindex(values.shape):
                # Richardson's extrapolation of central differences: error O(h^4), which leaves rounding, some 1e-12.
                # With these seeds no rectifier has its kink within the step; at h = 2e-3 one has.
                slopes = []
                for h in (2e-4, 1e-4):
                    losses = []
                    for sign in (1, -1):
                        moved = values.copy()
                        moved[index] += sign * h
                        changed = [*layers]
                        changed[number] = layer._replace(**{field: moved})
                        losses.append(_loss(changed, rates))
                    slopes.append((losses[0] - losses[1]) / (2 * h))
                numeric = (4 * slopes[1] - slopes[0]) / 3
                assert abs(numeric - getattr(gradients[number], field)[index]) < 1e-10


@pytest.mark.parametrize("rates", [None, RATES, [0.0, 1.0], [1.0, 0.3]])
def test_logits_and_gradients_are_torch_autograd_under_the_same_masks(rates: list[float] | None) -> None:
    layers = _net()
    logits, tape = mlp_forward(layers, X, rates, np.random.default_rng(2))
    loss, gradients = loss_and_gradients(layers, X, LABELS, rates, np.random.default_rng(2))

    tensors = [[torch.from_numpy(values).requires_grad_() for values in layer] for layer in layers]
    hidden = torch.from_numpy(X)
    for (weight, bias), mask, p in zip(tensors[:-1], tape.masks, rates or [0.0, 0.0], strict=True):
        hidden = torch.relu(hidden @ weight + bias)
        hidden = torch.where(torch.from_numpy(mask), hidden / (1 - p) if p < 1 else 0 * hidden, 0.0)
    theirs = hidden @ tensors[-1][0] + tensors[-1][1]
    their_loss = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(LABELS))
    their_loss.backward()

    np.testing.assert_allclose(logits, theirs.detach().numpy(), rtol=0, atol=1e-10)
    assert abs(loss - their_loss.item()) < 1e-10
    for layer, (weight, bias) in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(layer.weight, weight.grad.numpy(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(layer.bias, bias.grad.numpy(), rtol=0, atol=1e-10)


def test_dropped_units_get_no_gradient() -> None:
    layers = _net()
    logits, tape = mlp_forward(layers, X[:1], RATES, np.random.default_rng(3))
    gradients = mlp_backward(layers, tape, np.ones_like(logits))
    assert not tape.masks[1].all()
    dropped = ~tape.masks[1][0]
    assert (gradients[1].weight[:, dropped] == 0).all()  # no weight into a dropped unit learns
    assert (gradients[1].bias[dropped] == 0).all()
    assert (gradients[2].weight[dropped] == 0).all()  # nor does one out of it


def test_rate_zero_is_dropout_off() -> None:
    on, _ = mlp_forward(_net(), X, [0.0, 0.0], np.random.default_rng(0))
    np.testing.assert_array_equal(on, mlp_forward(_net(), X)[0])


def test_rate_one_leaves_the_bias() -> None:
    layers = _net()
    logits, _ = mlp_forward(layers, X, [0.0, 1.0], np.random.default_rng(0))
    np.testing.assert_array_equal(logits, np.tile(layers[-1].bias, (6, 1)))


def test_logits_are_unbiased_by_the_last_dropout() -> None:
    layers, num_draws = _net(), 20_000
    draws, _ = mlp_forward(layers, np.tile(X[:1], (num_draws, 1)), [0.0, 0.5], np.random.default_rng(4))
    error = draws.std(axis=0, ddof=1) / np.sqrt(num_draws)
    assert (abs(draws.mean(axis=0) - mlp_forward(layers, X[:1])[0][0]) < 4 * error).all()


def test_initial_weights_keep_the_scale_of_rectified_activations() -> None:
    rng = np.random.default_rng(0)
    layers = init_mlp([500, 400, 300], rng)
    share = layers[0].weight.var() / (2 / 500)
    assert abs(share - 1) < 4 * np.sqrt(2 / layers[0].weight.size)  # variance of a variance: 2 sigma^4 / n
    assert not layers[0].bias.any()


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="1 rates were given for 2 hidden layers"):
        mlp_forward(_net(), X, [0.5], np.random.default_rng(0))
    with pytest.raises(InputError, match="no `rng`"):
        mlp_forward(_net(), X, RATES)
    with pytest.raises(InputError, match=r"`p` is 1\.5"):
        mlp_forward(_net(), X, [0.5, 1.5], np.random.default_rng(0))
    with pytest.raises(InputError, match="at least inputs and outputs"):
        init_mlp([4], np.random.default_rng(0))
    with pytest.raises(InputError, match="no layer"):
        mlp_forward([], X)
