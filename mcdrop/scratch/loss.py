"""Softmax and cross-entropy in NumPy, with the gradient."""

import numpy as np
from jaxtyping import Float, Int

from mcdrop.errors import InputError


def softmax(logits: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
    """Class probabilities.

        softmax(z)_c = exp(z_c) / sum_k exp(z_k)

    Args:
        logits: Real scores (N, C).

    Returns:
        Probabilities (N, C); each row sums to 1.

    Example:
        >>> softmax(np.log([[1.0, 3.0]]))
        array([[0.25, 0.75]])

    Source:
        Bridle 1990, Neurocomputing (NATO ASI F68), 227-236.
    """
    # exp of a large logit overflows; a row's maximum taken off all of its logits changes no probability.
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(logits: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> float:
    """Mean negative log-likelihood of the labels, in nats.

        L = -1/N sum_n log softmax(z_n)_{y_n} = 1/N sum_n (log sum_k exp(z_nk) - z_{n y_n})

    Args:
        logits: Real scores (N, C).
        labels: Classes (N,), from 0 to C - 1.

    Returns:
        The loss, at least 0; log C for a guess that knows nothing.

    Raises:
        InputError: A label is no class.

    Example:
        >>> round(cross_entropy(np.zeros((5, 10)), np.arange(5)), 6)
        2.302585

    Source:
        Zhang et al., Dive into Deep Learning, section 4.1, https://d2l.ai.
    """
    _check_labels(logits, labels)
    # Not log(softmax): a probability that underflows to 0 would make the loss infinite.
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_normaliser = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_normaliser - shifted[np.arange(len(labels)), labels]))


def cross_entropy_backward(logits: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N C"]:
    """Gradient of `cross_entropy` with respect to the logits.

        dL/dz_nc = (softmax(z_n)_c - [c = y_n]) / N

    Args:
        logits: Real scores (N, C).
        labels: Classes (N,), from 0 to C - 1.

    Returns:
        The gradient (N, C); each row sums to 0.

    Raises:
        InputError: A label is no class.

    Example:
        >>> cross_entropy_backward(np.log([[1.0, 3.0]]), np.array([1]))
        array([[ 0.25, -0.25]])

    Source:
        Zhang et al., Dive into Deep Learning, section 4.1, https://d2l.ai.
    """
    _check_labels(logits, labels)
    grad = softmax(logits)
    grad[np.arange(len(labels)), labels] -= 1
    return grad / len(labels)


def _check_labels(logits: np.ndarray, labels: np.ndarray) -> None:
    # A negative label would index from the end, silently.
    if labels.size == 0 or labels.min() < 0 or labels.max() >= logits.shape[1]:
        span = f"{labels.min()} to {labels.max()}" if labels.size else "nothing"
        raise InputError(
            f"The labels span {span}; with logits of shape {logits.shape} they must be integers "
            f"from 0 to {logits.shape[1] - 1}, one per row. Number the classes from 0."
        )
