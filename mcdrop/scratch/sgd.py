"""Stochastic gradient descent for the perceptron in NumPy: one step, one epoch."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mcdrop.scratch.mlp import Dense, loss_and_gradients


def sgd_step(layers: Sequence[Dense], gradients: Sequence[Dense], learning_rate: float) -> list[Dense]:
    """Layers one step of gradient descent further; those given stay as they are.

        W <- W - learning_rate dL/dW

    Args:
        layers: The net.
        gradients: One `Dense` per layer.
        learning_rate: Step size, above 0.

    Returns:
        New layers.

    Example:
        >>> sgd_step([Dense(np.ones((1, 1)), np.zeros(1))], [Dense(np.ones((1, 1)), np.ones(1))], 0.1)
        [Dense(weight=array([[0.9]]), bias=array([-0.1]))]

    Source:
        Robbins and Monro 1951, Annals of Mathematical Statistics 22:400-407.
    """
    return [
        Dense(layer.weight - learning_rate * gradient.weight, layer.bias - learning_rate * gradient.bias)
        for layer, gradient in zip(layers, gradients, strict=True)
    ]


def sgd_epoch(
    layers: Sequence[Dense],
    x: Float[np.ndarray, "N inputs"],
    labels: Int[np.ndarray, " N"],
    *,
    rates: Sequence[float] | None,
    learning_rate: float,
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[list[Dense], float]:
    """One pass over the rows in random order, a gradient step per batch, new masks in each.

    Args:
        layers: The net.
        x: Rows (N, inputs).
        labels: Classes (N,), from 0 to C - 1.
        rates: Per hidden layer, the probability of zeroing a unit, in [0, 1]. None trains without dropout.
        learning_rate: Step size, above 0.
        batch_size: Rows per step, at least 1; the last batch may be smaller.
        rng: Draws the order of the rows and the masks.

    Returns:
        The new layers, and the mean over rows of the loss that training saw: that of the sub-networks, each before
        the step it caused, in nats.

    Raises:
        InputError: As `mlp_forward` and `cross_entropy` do.

    Example:
        >>> from mcdrop.scratch import init_mlp, mlp_forward
        >>> x, labels, rng = np.array([[-1.0], [1.0]]), np.array([0, 1]), np.random.default_rng(0)
        >>> layers = init_mlp([1, 8, 2], rng)
        >>> for _ in range(100):
        ...     layers, _ = sgd_epoch(layers, x, labels, rates=[0.2], learning_rate=0.5, batch_size=2, rng=rng)
        >>> mlp_forward(layers, x)[0].argmax(axis=1)
        array([0, 1])

    Source:
        Srivastava et al. 2014, JMLR 15, section 5.1.
    """
    order, total, layers = rng.permutation(len(x)), 0.0, list(layers)
    for start in range(0, len(x), batch_size):
        rows = order[start : start + batch_size]
        loss, gradients = loss_and_gradients(layers, x[rows], labels[rows], rates, rng)
        layers = sgd_step(layers, gradients, learning_rate)
        total += loss * len(rows)
    return layers, total / len(x)
