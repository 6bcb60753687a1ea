"""The scaling of the first papers: nothing is enlarged in training, and the weights shrink at test time."""

import numpy as np
from jaxtyping import Bool, Float

from mcdrop.scratch.mask import check_probability, draw_mask


def original_forward(
    x: Float[np.ndarray, "*shape"], p: float, rng: np.random.Generator | Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
    """Zero each entry with probability p and leave the others as they are.

        mask ~ Bernoulli(1 - p),   out = mask * x,   E[out] = (1 - p) x,   dL/dx = mask * dL/dout

    The next layer sees on average 1 - p of what it will see when nothing is dropped; `scale_weight` makes up for it.

    Args:
        x: Activations, of any shape.
        p: Probability of zeroing an entry, in [0, 1].
        rng: Draws one uniform u per entry, kept if u < 1 - p; or these uniforms themselves, of x's shape, in [0, 1).

    Returns:
        The output, of x's shape and dtype, and the mask, True where an entry was kept.

    Raises:
        InputError: p lies outside [0, 1], or uniforms were given that do not fit.

    Example:
        >>> original_forward(np.array([7.0, 13.0, 31.0]), 0.2, np.array([0.415, 0.250, 0.824]))
        (array([ 7., 13.,  0.]), array([ True,  True, False]))

    Source:
        Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15:1929-1958, section 4,
        https://jmlr.org/papers/v15/srivastava14a.html.
    """
    check_probability("p", p)
    mask = draw_mask(x.shape, 1 - p, rng)
    return x * mask, mask


def scale_weight(weight: Float[np.ndarray, "*shape"], p: float) -> Float[np.ndarray, "*shape"]:
    """Weight for test time of the layer that reads an `original_forward`: what it was multiplied with on average.

        W_test = (1 - p) W,   so that   x W_test = E[out] W = E[out W]

    The bias is left alone. Inverted dropout is this scheme with the factor moved into training: with V = W / (1 - p)
    and the step size divided by (1 - p)^2, SGD on V without scaling walks through the same networks, mask by mask.

    Args:
        weight: Weight of the layer after the dropout, of any shape.
        p: Probability of zeroing in training, in [0, 1].

    Returns:
        The weight to predict with, of the same shape.

    Raises:
        InputError: p lies outside [0, 1].

    Example:
        >>> scale_weight(np.array([10.0, -5.0]), 0.2)
        array([ 8., -4.])

    Source:
        Srivastava et al. 2014, JMLR 15, section 4 (figure 2) and section 10.
    """
    check_probability("p", p)
    return weight * (1 - p)
