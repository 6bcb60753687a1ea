"""Inverted dropout in NumPy: forward, backward, and the form that takes the probability of keeping."""

import numpy as np
from jaxtyping import Bool, Float

from mcdrop.errors import InputError
from mcdrop.scratch.mask import check_probability, draw_mask


def dropout_forward(
    x: Float[np.ndarray, "*shape"], p: float, rng: np.random.Generator | Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
    """Zero each entry with probability p and enlarge what is kept, so that the expectation stays.

        mask ~ Bernoulli(1 - p),   out = mask * x / (1 - p),   E[out] = x,   Var[out] = x^2 p / (1 - p)

    At p = 0 every entry is kept as it is. At p = 1 none is kept: x / (1 - p) has no value there, and the output is
    zero, as in `torch.nn.Dropout`.

    Args:
        x: Activations, of any shape.
        p: Probability of zeroing an entry, in [0, 1].
        rng: Draws one uniform u per entry, kept if u < 1 - p; or these uniforms themselves, of x's shape, in [0, 1).

    Returns:
        The output, of x's shape and dtype, and the mask, True where an entry was kept: `dropout_backward` needs it.

    Raises:
        InputError: p lies outside [0, 1], or uniforms were given that do not fit.

    Example:
        >>> dropout_forward(np.array([7.0, 13.0, 31.0]), 0.2, np.array([0.415, 0.250, 0.824]))
        (array([ 8.75, 16.25,  0.  ]), array([ True,  True, False]))

    Source:
        Srivastava et al. 2014, JMLR 15:1929-1958, section 4 (masks) and section 10 (scaling at training time),
        https://jmlr.org/papers/v15/srivastava14a.html. Zhang et al., Dive into Deep Learning, section 5.6
        (4.6 in the first edition), https://d2l.ai/chapter_multilayer-perceptrons/dropout.html.
    """
    check_probability("p", p)
    mask = draw_mask(x.shape, 1 - p, rng)
    return x * mask * _scale(1 - p), mask


def dropout_backward(
    grad: Float[np.ndarray, "*shape"], mask: Bool[np.ndarray, "..."], p: float
) -> Float[np.ndarray, "*shape"]:
    """Gradient with respect to the input of `dropout_forward`: a dropped entry gets none.

        dL/dx = mask * dL/dout / (1 - p)

    Once the mask is drawn the output is linear in x, so the backward pass multiplies by the same mask and scale.

    Args:
        grad: dL/dout, of the output's shape.
        mask: The mask that the forward pass returned.
        p: The probability that the forward pass was given, in [0, 1].

    Returns:
        dL/dx, of grad's shape.

    Raises:
        InputError: p lies outside [0, 1], or mask and grad differ in shape.

    Example:
        >>> dropout_backward(np.array([1.0, 2.0, 3.0]), np.array([True, True, False]), 0.2)
        array([1.25, 2.5 , 0.  ])

    Source:
        Srivastava et al. 2014, JMLR 15, section 5.1, in words; the scale by the chain rule.
    """
    check_probability("p", p)
    if mask.shape != grad.shape:
        raise InputError(
            f"The mask has shape {mask.shape} and the gradient {grad.shape}; they must be equal. "
            "Pass the mask that `dropout_forward` returned for this layer and batch."
        )
    return grad * mask * _scale(1 - p)


def dropout_keep(
    activation: Float[np.ndarray, "*shape"],
    keep_prob: float,
    rng: np.random.Generator | Float[np.ndarray, "..."] | None = None,
) -> tuple[Float[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
    """Dropout told by the probability of keeping: `dropout_forward` with p = 1 - keep_prob.

        mask ~ Bernoulli(keep_prob),   output = mask * activation / keep_prob

    Torch (`p`) and Keras (`rate`) name the probability of dropping, the first TensorFlow and many lectures that of
    keeping. Writing 0.8 for 0.2 raises no error; `share_dropped` of the mask reveals it.

    Args:
        activation: Activations, of any shape.
        keep_prob: Probability of keeping an entry, in [0, 1].
        rng: As in `dropout_forward`; None draws from a new generator that the operating system seeds.

    Returns:
        The output, of activation's shape and dtype, and the mask, True where an entry was kept.

    Raises:
        InputError: keep_prob lies outside [0, 1], or uniforms were given that do not fit. It is a ValueError.

    Example:
        >>> dropout_keep(np.array([7.0, 13.0, 31.0]), 0.8, np.array([0.415, 0.250, 0.824]))
        (array([ 8.75, 16.25,  0.  ]), array([ True,  True, False]))

    Source:
        Srivastava et al. 2014, JMLR 15, section 4, where p is the probability of keeping.
    """
    mask = draw_mask(activation.shape, keep_prob, np.random.default_rng() if rng is None else rng)
    return activation * mask * _scale(keep_prob), mask


def _scale(keep_prob: float) -> float:
    return 1 / keep_prob if keep_prob > 0 else 0.0
