"""A mask drawn: which entries are kept, from uniforms."""

import numpy as np
from jaxtyping import Bool, Float

from mcdrop.errors import InputError


def draw_mask(
    shape: tuple[int, ...], keep_prob: float, rng: np.random.Generator | Float[np.ndarray, "..."]
) -> Bool[np.ndarray, "..."]:
    """Mask of independent Bernoulli variables: each entry is kept with probability keep_prob.

        u ~ U[0, 1),   mask = [u < keep_prob]

    Args:
        shape: Shape of the mask.
        keep_prob: Probability of keeping an entry, in [0, 1].
        rng: Draws one uniform per entry; or these uniforms themselves, of that shape and in [0, 1).

    Returns:
        True where an entry is kept.

    Raises:
        InputError: keep_prob lies outside [0, 1], or uniforms were given that do not fit.

    Example:
        >>> draw_mask((4,), 0.8, np.array([0.1, 0.9, 0.79, 0.8]))
        array([ True, False,  True, False])

    Source:
        Srivastava et al. 2014, JMLR 15:1929-1958, section 4, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    check_probability("keep_prob", keep_prob)
    if isinstance(rng, np.random.Generator):
        return rng.random(shape) < keep_prob
    if rng.shape != shape:
        raise InputError(
            f"The uniforms have shape {rng.shape} and the mask {shape}; one uniform per entry is needed. "
            "Pass an array of that shape, or a `numpy.random.Generator`."
        )
    if not np.all((rng >= 0) & (rng < 1)):
        raise InputError(
            f"The uniforms span {rng.min()} to {rng.max()}; they must lie in [0, 1). "
            "Draw them with `numpy.random.Generator.random`."
        )
    return rng < keep_prob


def share_dropped(mask: Bool[np.ndarray, "..."]) -> float:
    """Share of the entries that a mask drops: an estimate of p.

        share = 1 - mean(mask),   standard error sqrt(p (1 - p) / n)

    Args:
        mask: True where an entry is kept, with n > 0 entries.

    Returns:
        A share in [0, 1].

    Raises:
        InputError: The mask is empty.

    Example:
        >>> share_dropped(np.array([True, True, False, True]))
        0.25

    Source:
        The maximum likelihood estimate of a Bernoulli probability.
    """
    if mask.size == 0:
        raise InputError(f"A mask of shape {mask.shape} has no entry, so it drops no share. Pass at least one entry.")
    return 1 - float(mask.mean())


def check_probability(name: str, value: float) -> None:
    """Refuse what is no probability.

    Args:
        name: The argument's name, for the message.
        value: Its value.

    Raises:
        InputError: The value is outside [0, 1], or NaN.

    Example:
        >>> check_probability("p", 20)
        Traceback (most recent call last):
        mcdrop.errors.InputError: `p` is 20; a probability lies in [0, 1]. For 20 percent write 0.2.
    """
    if not 0 <= value <= 1:  # written so that NaN fails
        raise InputError(f"`{name}` is {value}; a probability lies in [0, 1]. For 20 percent write 0.2.")
