"""Means with their standard errors, as numbers and in print."""

import math
from collections.abc import Sequence

import numpy as np

BOUND = 2.6
"""Standard errors beyond which a difference counts. Under the normal law ten comparisons of equals exceed it once in
ten experiments; with the errors of 20 splits (Student's t with 19 degrees of freedom) once in six."""


def mean_and_error(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Their mean and its standard error, sd / sqrt(n) with divisor n - 1; of one value the error is not known (NaN)."""
    found = np.asarray(values, dtype=float)
    error = found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return float(found.mean()), float(error)


def with_error(values: Sequence[float] | np.ndarray) -> str:
    """The same in print, with three decimals; a single value as it is."""
    mean, error = mean_and_error(values)
    return f"{mean:.3f}" if math.isnan(error) else f"{mean:.3f} ± {error:.3f}"


def plus_minus(value: float, error: float, *, sign: str = "") -> str:
    """Both with two digits of the error, at least two decimals; `sign="+"` is shown of positive values too."""
    digits = max(2, 1 - math.floor(math.log10(error))) if error > 0 else 2
    return f"{value:{sign}.{digits}f} ± {error:.{digits}f}"


def of_same_rows(differences: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The mean over networks of differences with errors, and its error.

    That from the rows is common to all networks, and no average over them lowers it: the mean of the errors given is
    added, in squares, to that over networks. (They hold the error from the draws, which so counts twice.)
    """
    values, errors = np.transpose(differences)
    mean, error = mean_and_error(values)
    return mean, math.hypot(float(np.mean(errors)), np.nan_to_num(error))
