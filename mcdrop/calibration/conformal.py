"""Split conformal prediction: what a new row's score will not exceed, from the scores of held-out rows.

If held-out rows and new ones are exchangeable, a new score is at most the k-th smallest of n held-out ones,
k = ceil((n + 1)(1 - alpha)), with probability at least 1 - alpha; over the choice of the held-out rows that probability
is distributed as Beta(k, n + 1 - k) if scores have no ties. It holds for any model, on average over rows and not for
each of them. Exchangeable also means: the same draws, which is why another seed is refused.

Source: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world"; Vovk 2012, "Conditional validity of
inductive conformal predictors", proposition 2, https://arxiv.org/abs/1209.2673.
"""

import math
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError


def conformal_threshold(scores: Float[Tensor, " n *outputs"], alpha: float) -> Float[Tensor, "*outputs"]:
    """The k-th smallest score, `k = ceil((n + 1)(1 - alpha))`; infinite where k > n, since n rows are too few then.

    Args:
        scores: Of held-out rows, greater for stranger ones.
        alpha: Miscoverage, between 0 and 1.

    Raises:
        InputError: If alpha is not between 0 and 1, or a score is NaN.

    Example:
        >>> import torch
        >>> conformal_threshold(torch.arange(1.0, 10.0), 0.1), conformal_threshold(torch.arange(1.0, 9.0), 0.1)
        (tensor(9.), tensor(inf))
    """
    rank = conformal_rank(len(scores), alpha)
    if scores.isnan().any():
        raise InputError(f"{int(scores.isnan().sum())} scores are NaN: leave those rows out.")
    if rank > len(scores):
        return torch.full_like(scores[0], torch.inf)
    return scores.kthvalue(rank, dim=0).values


def conformal_rank(n: int, alpha: float) -> int:
    """`ceil((n + 1)(1 - alpha))`, exact for alpha as it is written.

    Raises:
        InputError: If alpha is not between 0 and 1.

    Example:
        >>> conformal_rank(99, 0.07), math.ceil(100 * (1 - 0.43)), conformal_rank(99, 0.43)
        (93, 58, 57)
    """
    if not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise InputError(f"alpha={alpha} given, it is the share outside: between 0 and 1, such as 0.1 for 90 % inside.")
    return math.ceil((n + 1) * (1 - Fraction(str(float(alpha)))))
