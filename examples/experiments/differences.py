"""Differences of scores of the same rows, as numbers with paired errors."""

import math
from collections.abc import Mapping

from mcdrop.calibration import Score


def added(one: Mapping[str, Score], other: Mapping[str, Score]) -> dict[str, tuple[float, float]]:
    """How much larger each score is than the other of its name, and the error: of rows and draws, squares added."""
    return {name: _with_error(score - other[name]) for name, score in one.items()}


def _with_error(score: Score) -> tuple[float, float]:
    errors = (score.standard_error, score.mc_error)
    return score.value, math.hypot(*(error for error in errors if error is not None))
