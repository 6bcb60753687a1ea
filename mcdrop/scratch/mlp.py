"""A multi-class perceptron in NumPy with dropout and its own gradients."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mcdrop.errors import InputError
from mcdrop.scratch.dropout import dropout_backward, dropout_forward
from mcdrop.scratch.loss import cross_entropy, cross_entropy_backward


class Dense(NamedTuple):
    """One dense layer, x W + b; or the gradient with respect to it."""

    weight: Float[np.ndarray, "inputs outputs"]
    bias: Float[np.ndarray, " outputs"]


class Tape(NamedTuple):
    """What a forward pass must remember for the backward pass."""

    inputs: list[np.ndarray]
    """What each dense layer was given (N, inputs)."""
    active: list[np.ndarray]
    """Per hidden layer, where the rectifier let through (N, outputs)."""
    masks: list[Bool[np.ndarray, "..."]]
    """Per hidden layer, which units were kept (N, outputs)."""
    rates: list[float]
    """Per hidden layer, the probability of zeroing; 0 where dropout was off."""


def init_mlp(sizes: Sequence[int], rng: np.random.Generator) -> list[Dense]:
    """Layers with random weights, of a variance that keeps the scale of rectified activations, and zero bias.

        W_ij ~ N(0, 2 / inputs)

    Args:
        sizes: Number of features, of units in each hidden layer, and of classes.
        rng: Draws the weights.

    Returns:
        One `Dense` for each pair of neighbours in sizes, in float64.

    Raises:
        InputError: Fewer than two sizes.

    Example:
        >>> [layer.weight.shape for layer in init_mlp([64, 32, 10], np.random.default_rng(0))]
        [(64, 32), (32, 10)]

    Source:
        He et al. 2015, arXiv:1502.01852, equation 10.
    """
    if len(sizes) < 2:
        raise InputError(f"`sizes` is {list(sizes)}; a net has at least inputs and outputs, for example [64, 10].")
    return [
        Dense(rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)), np.zeros(outputs))
        for inputs, outputs in pairwise(sizes)
    ]


def mlp_forward(
    layers: Sequence[Dense],
    x: Float[np.ndarray, "N inputs"],
    rates: Sequence[float] | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[Float[np.ndarray, "N C"], Tape]:
    """Logits of the net; of one random sub-network per row if rates are given.

        h_0 = x,   h_l = dropout(relu(h_{l-1} W_l + b_l), p_l),   logits = h_L W + b

    Args:
        layers: The net.
        x: Rows (N, inputs).
        rates: Per hidden layer, the probability of zeroing a unit, in [0, 1]. None turns dropout off: the whole net.
        rng: Draws the masks; needed if rates are given.

    Returns:
        The logits (N, C), and the tape that `mlp_backward` needs.

    Raises:
        InputError: rates without rng, not one rate per hidden layer, or a rate outside [0, 1].

    Example:
        >>> layers = [Dense(np.array([[1.0, -1.0]]), np.zeros(2)), Dense(np.array([[1.0], [1.0]]), np.zeros(1))]
        >>> logits, tape = mlp_forward(layers, np.array([[-3.0], [2.0]]))
        >>> logits.tolist()
        [[3.0], [2.0]]

    Source:
        Srivastava et al. 2014, JMLR 15:1929-1958, section 4, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    num_hidden = len(layers) - 1
    if rates is not None and len(rates) != num_hidden:
        raise InputError(f"{len(rates)} rates were given for {num_hidden} hidden layers; give one for each.")
    if rates is not None and rng is None:
        raise InputError("Rates were given and no `rng`; masks must be drawn. Pass `numpy.random.default_rng(seed)`.")
    tape = Tape([], [], [], [0.0] * num_hidden if rates is None else list(rates))
    hidden = x
    for index, layer in enumerate(layers):
        tape.inputs.append(hidden)
        z = hidden @ layer.weight + layer.bias
        if index == num_hidden:
            return z, tape
        active = z > 0
        hidden, mask = z * active, np.ones_like(active)
        if rates is not None and rng is not None:
            hidden, mask = dropout_forward(hidden, rates[index], rng)
        tape.active.append(active)
        tape.masks.append(mask)
    raise InputError("The net has no layer. Make one with `init_mlp`.")


def mlp_backward(layers: Sequence[Dense], tape: Tape, grad: Float[np.ndarray, "N C"]) -> list[Dense]:
    """Gradient with respect to every weight and bias, through the masks of the forward pass.

        dL/dW_l = h_{l-1}^T d_l,   dL/db_l = sum_n d_l,   d_{l-1} = [z_{l-1} > 0] * mask_{l-1} * (d_l W_l^T) / (1 - p)

    Args:
        layers: The net.
        tape: From `mlp_forward` on the same net.
        grad: d_L = dL/dlogits (N, C).

    Returns:
        One `Dense` of gradients per layer.

    Example:
        >>> layers = [Dense(np.array([[1.0, -1.0]]), np.zeros(2)), Dense(np.array([[1.0], [1.0]]), np.zeros(1))]
        >>> logits, tape = mlp_forward(layers, np.array([[2.0]]))
        >>> mlp_backward(layers, tape, np.ones((1, 1)))[0].weight
        array([[2., 0.]])

    Source:
        Rumelhart, Hinton and Williams 1986, Nature 323:533-536; with masks: Srivastava et al. 2014, section 5.1.
    """
    gradients = []
    for index in reversed(range(len(layers))):
        gradients.append(Dense(tape.inputs[index].T @ grad, grad.sum(axis=0)))
        if index > 0:
            below = index - 1
            grad = dropout_backward(grad @ layers[index].weight.T, tape.masks[below], tape.rates[below])
            grad = grad * tape.active[below]
    return gradients[::-1]


def loss_and_gradients(
    layers: Sequence[Dense],
    x: Float[np.ndarray, "N inputs"],
    labels: Int[np.ndarray, " N"],
    rates: Sequence[float] | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[float, list[Dense]]:
    """Mean cross-entropy of a batch and its gradient, for one draw of the masks.

    Args:
        layers: The net.
        x: Rows (N, inputs).
        labels: Classes (N,), from 0 to C - 1.
        rates: Per hidden layer, the probability of zeroing a unit, in [0, 1]. None turns dropout off.
        rng: Draws the masks; needed if rates are given.

    Returns:
        The loss in nats, and one `Dense` of gradients per layer.

    Raises:
        InputError: As `mlp_forward` and `cross_entropy` do.

    Example:
        >>> loss, gradients = loss_and_gradients([Dense(np.zeros((1, 2)), np.zeros(2))], np.ones((1, 1)), np.array([0]))
        >>> gradients[0].bias
        array([-0.5,  0.5])

    Source:
        `mlp_forward`, `cross_entropy_backward` and `mlp_backward` in a row.
    """
    logits, tape = mlp_forward(layers, x, rates, rng)
    return cross_entropy(logits, labels), mlp_backward(layers, tape, cross_entropy_backward(logits, labels))
