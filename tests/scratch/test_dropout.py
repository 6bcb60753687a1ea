"""Inverted dropout: the worked example, the moments, the gradient by finite differences and by torch."""

import warnings

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.scratch import dropout_backward, dropout_forward, dropout_keep, share_dropped

UNIFORMS = np.array([[0.587, 0.415], [0.160, 0.250], [0.103, 0.824], [0.281, 0.899]])


@pytest.fixture
def activations() -> np.ndarray:
    """ReLU of z = w x + b of the worked example."""
    w = np.array([[1.0, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]])
    x = np.array([[1.0, 2], [1, 2], [1, 2]])
    z = w @ x + 1
    np.testing.assert_array_equal(z, [[7, 13], [7, 13], [16, 31], [16, 31]])
    return np.maximum(z, 0)


def test_worked_example(activations: np.ndarray) -> None:
    output, mask = dropout_keep(activations, 0.8, UNIFORMS)
    np.testing.assert_array_equal(mask, [[1, 1], [1, 1], [1, 0], [1, 0]])
    np.testing.assert_array_equal(activations * mask, [[7, 13], [7, 13], [16, 0], [16, 0]])
    np.testing.assert_array_equal(output, [[8.75, 16.25], [8.75, 16.25], [20, 0], [20, 0]])
    assert share_dropped(mask) == 0.25


def test_worked_example_by_the_rate(activations: np.ndarray) -> None:
    output, mask = dropout_forward(activations, 0.2, UNIFORMS)
    np.testing.assert_array_equal(output, [[8.75, 16.25], [8.75, 16.25], [20, 0], [20, 0]])
    np.testing.assert_array_equal(dropout_backward(np.ones((4, 2)), mask, 0.2), [[1.25, 1.25]] * 2 + [[1.25, 0]] * 2)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_mean_is_the_input_and_variance_as_stated(p: float) -> None:
    num_draws, x = 400_000, np.array([-3.0, 0.5, 2.0])
    output, _ = dropout_forward(np.tile(x, (num_draws, 1)), p, np.random.default_rng(0))
    variance = x**2 * p / (1 - p)
    assert (abs(output.mean(axis=0) - x) < 4 * np.sqrt(variance / num_draws)).all()
    # An entry is 0 or x / (1 - p), so the sample variance estimates x^2 q (1 - q) / (1 - p)^2 from a share q.
    relative_error = abs(1 - 2 * p) / np.sqrt(p * (1 - p) * num_draws)
    np.testing.assert_allclose(output.var(axis=0), variance, rtol=4 * relative_error + 1e-4)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.8, 1.0])
def test_backward_is_the_finite_difference(p: float) -> None:
    rng = np.random.default_rng(0)
    x, readout, uniforms = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.random((4, 3))
    _, mask = dropout_forward(x, p, uniforms)
    grad = dropout_backward(readout, mask, p)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1.0  # the layer is linear in x once the mask is drawn: a step of any size is exact
        forth, back = (float((dropout_forward(x + s * step, p, uniforms)[0] * readout).sum()) for s in (1, -1))
        assert abs((forth - back) / 2 - grad[index]) < 1e-10


@pytest.mark.parametrize("p", [0.0, 0.3, 0.8, 1.0])
def test_forward_and_backward_are_torch_autograd_under_the_same_mask(p: float) -> None:
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(5, 7))).requires_grad_()
    readout = rng.normal(size=(5, 7))
    torch.manual_seed(0)
    kept = torch.nn.functional.dropout(torch.ones(5, 7, dtype=torch.float64), p) > 0
    torch.manual_seed(0)
    theirs = torch.nn.functional.dropout(x, p)
    (theirs * torch.from_numpy(readout)).sum().backward()

    # Uniforms that reproduce the mask torch drew: 0 is always kept if p < 1, and the largest is kept only if p = 0.
    uniforms = np.where(kept.numpy(), 0.0, np.nextafter(1.0, 0))
    ours, mask = dropout_forward(x.detach().numpy(), p, uniforms)
    np.testing.assert_array_equal(mask, kept.numpy())
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-10)
    assert x.grad is not None
    np.testing.assert_allclose(dropout_backward(readout, mask, p), x.grad.numpy(), rtol=0, atol=1e-10)


def test_ends_without_a_warning() -> None:
    x = np.array([[1.0, -2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(dropout_forward(x, 0.0, np.random.default_rng(0))[0], x)
        np.testing.assert_array_equal(dropout_forward(x, 1.0, np.random.default_rng(0))[0], [[0, 0]])
        np.testing.assert_array_equal(dropout_keep(x, 0.0, np.random.default_rng(0))[0], [[0, 0]])
        np.testing.assert_array_equal(dropout_keep(x, 1.0)[0], x)


def test_float32_stays_and_input_is_left_alone() -> None:
    x = np.ones((3, 2), dtype=np.float32)
    output, mask = dropout_forward(x, 0.5, np.random.default_rng(0))
    assert output.dtype == np.float32
    assert dropout_backward(x, mask, 0.5).dtype == np.float32
    np.testing.assert_array_equal(x, 1)


def test_no_entries() -> None:
    output, mask = dropout_forward(np.zeros((0, 3)), 0.5, np.random.default_rng(0))
    assert output.shape == mask.shape == (0, 3)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_no_probability(p: float) -> None:
    with pytest.raises(InputError, match="`p` is"):
        dropout_forward(np.ones(2), p, np.random.default_rng(0))
    with pytest.raises(InputError, match="`p` is"):
        dropout_backward(np.ones(2), np.ones(2, dtype=bool), p)
    with pytest.raises(ValueError, match="`keep_prob` is"):
        dropout_keep(np.ones(2), p)


def test_mask_of_another_layer() -> None:
    with pytest.raises(InputError, match=r"mask has shape \(3,\) and the gradient \(2, 3\)"):
        dropout_backward(np.ones((2, 3)), np.ones(3, dtype=bool), 0.5)
