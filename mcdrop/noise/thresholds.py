"""Bernoulli masks out of uniform integers: the arithmetic behind every mask that a seed promises.

A unit is dropped when its integer lies below a threshold. That is cheaper than floating-point uniforms and means the
same on every machine.
"""

import numpy as np

from mcdrop.noise.law import check_probability
from mcdrop.noise.words import WIDTHS

VARIANCE_TOLERANCE = 1e-3
"""Largest relative error of p(1-p) that rounding p to a multiple of 2^-width may cause."""


def threshold(p: float) -> tuple[int, int]:
    """The integer threshold that realises p, and the width of the uniform integers it needs.

    A unit is dropped when its uniform integer w of `width` bits satisfies w < threshold, which has probability
    threshold / 2^width. The width is the smallest of 16, 32, 64 for which that moves p(1-p) by at most 0.1 %, and
    0 < p < 1 never becomes 0 or 1.

    Args:
        p: Probability of zeroing, in [0, 1].

    Returns:
        (threshold, width).

    Example:
        >>> threshold(0.5)
        (32768, 16)
        >>> threshold(1e-4)
        (429497, 32)
    """
    p = check_probability(p)
    if p in (0.0, 1.0):
        return int(p) << WIDTHS[0], WIDTHS[0]
    for width in WIDTHS:
        limit = min(max(round(p * 2**width), 1), 2**width - 1)
        used = limit / 2**width
        if abs(used * (1 - used) - p * (1 - p)) <= VARIANCE_TOLERANCE * p * (1 - p):
            break
    return limit, width


def used_probability(p: float) -> float:
    """The probability of zeroing that `keep` realises: p to the nearest multiple of 2^-width.

    Example:
        >>> used_probability(0.5), used_probability(0.1)
        (0.5, 0.100006103515625)
    """
    limit, width = threshold(p)
    return limit / 2**width


def keep(words: np.ndarray, p: float) -> np.ndarray:
    """The mask z that uniform integers stand for: False (dropped) with probability `used_probability(p)`.

    Args:
        words: Uniform integers of the width that `threshold(p)` names, any shape.
        p: Probability of zeroing, in [0, 1].

    Returns:
        Boolean array of the same shape, True where a unit is kept.

    Example:
        >>> import numpy as np
        >>> keep(np.array([0, 32767, 32768, 65535], dtype=np.uint16), p=0.5).tolist()
        [False, False, True, True]

    Source:
        Srivastava et al. 2014, JMLR 15, sec. 4: r ~ Bernoulli(1 - p).
    """
    limit, width = threshold(p)
    if limit == 2**width:  # p = 1: the threshold does not fit the integers' type
        return np.zeros(words.shape, dtype=bool)
    return words >= np.asarray(limit, dtype=words.dtype)
