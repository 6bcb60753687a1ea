"""A score of a data set with the two errors that it has, and the paired difference of two.

A score would be another one with other test rows, which `standard_error` states, and with other draws of the masks,
which `mc_error` states. With shared masks the Monte Carlo errors of all rows are one common error that no average over
rows lowers; only a jackknife over draws sees it.
"""

import math
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.jackknife import jackknife_error
from mcdrop.errors import InputError, UnavailableError


@dataclass(frozen=True)
class Score:
    """A score of a data set and its two errors.

    The difference of two scores of the same rows is a score: its standard error is paired, that is what two predictors
    find equally hard cancels.

    Args:
        value: The score.
        standard_error: From the sampling of rows: `s / sqrt(N)`, s the standard deviation (divisor N-1) of what each
            row contributes, to first order where the score is no mean. None for a single row or an infinite score.
        mc_error: From the sampling of masks: delete-one-group jackknife over draws. None without draws, or with fewer
            than two groups of them, or where the score is not finite without one of them. A jackknife needs a smooth
            score. Where labels change or forecasts cross a border it is too large: for accuracy .0020 on average where
            .0014 was true (digits, T = 100); for 500 rows of four classes, half of them wrong, T = 64: accuracy,
            AUROC, smooth ECE and miscalibration twice, ECE three times, AURC 1.2 and log-likelihood 1.1 times.
        deleted: (G,) the score without each of the G groups of draws; None for a score that was only summed up.
        influence: (N,) what each row contributes, `N (value with the row - value without it)` to first order, of mean
            0; None for a score that was streamed over batches or has no standard error.
        counts: Draws in each group.

    Example:
        >>> print(Score(0.912, 0.011, 0.002))
        0.912 +- 0.011 (rows) +- 0.002 (Monte Carlo)
    """

    value: float
    standard_error: float | None
    mc_error: float | None
    deleted: Float[Tensor, " G"] | None = field(default=None, repr=False, compare=False)
    influence: Float[Tensor, " N"] | None = field(default=None, repr=False, compare=False)
    counts: tuple[int, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        errors = ((self.standard_error, "rows"), (self.mc_error, "Monte Carlo"))
        return " ".join([f"{self.value:.4g}", *(f"+- {e:.2g} ({name})" for e, name in errors if e is not None)])

    def __sub__(self, other: "Score") -> "Score":
        """How much larger this score is than another of the same rows, with paired errors.

        The Monte Carlo errors are paired too if both were made from equal numbers of draws, group by group; otherwise
        their draws are taken for independent and the squares of the errors add.

        Raises:
            InputError: The scores are of different numbers of rows.
            UnavailableError: One of them was streamed over batches and knows its rows no more.

        Example:
            >>> import torch
            >>> from mcdrop.calibration import brier_score
            >>> y, sure, unsure = torch.tensor([0, 0, 1]), torch.tensor([0.1, 0.1, 0.8]), torch.tensor([0.2, 0.2, 0.7])
            >>> print(brier_score(sure, y) - brier_score(unsure, y))
            -0.07333 +- 0.013 (rows)
        """
        if self.influence is None or other.influence is None:
            raise UnavailableError(
                "The paired error of a difference needs what each row contributes, and one of the scores was streamed "
                "over batches or made by hand, or has no standard error: score two predictions of the whole data set "
                "instead, as brier_score(prediction, targets)."
            )
        if len(self.influence) != len(other.influence):
            raise InputError(
                f"Scores of {len(self.influence)} and of {len(other.influence)} rows given; a difference needs scores "
                "of the same rows in the same order."
            )
        value = self.value - other.value
        influence = self.influence - other.influence.to(self.influence)
        if self.counts == other.counts and self.deleted is not None and other.deleted is not None:
            deleted = self.deleted - other.deleted.to(self.deleted)
            mc_error, counts = jackknife_error(value, deleted, self.counts), self.counts
        else:
            errors = [score.mc_error for score in (self, other) if score.counts]
            known = [error for error in errors if error is not None]
            mc_error = math.hypot(*known) if known and len(known) == len(errors) else None
            deleted, counts = None, self.counts or other.counts
        return Score(value, _standard_error(influence), mc_error, deleted, influence, counts)


def scored(values: Float[Tensor, " R"], influence: Float[Tensor, " N"] | None, counts: tuple[int, ...] = ()) -> Score:
    """The score that values and influences make.

    Args:
        values: (1 + G,) the score with all draws, then without each of the G groups of them; NaN where it is not
            defined without one, and then there is no Monte Carlo error. Those of the members of an ensemble may
            follow: without counts they are no error, and are dropped.
        influence: (N,) what each row contributes to the first value, of mean 0, see `Score`; None where no standard
            error can be told.
        counts: Draws in each group, G of them.

    Example:
        >>> import torch
        >>> losses = torch.tensor([1.0, 2.0, 6.0])
        >>> scored(losses.mean()[None], losses - losses.mean())
        Score(value=3.0, standard_error=1.527..., mc_error=None)
    """
    value, without = float(values[0]), values[1 : 1 + len(counts)]
    deleted = without if math.isfinite(value) and without.isfinite().all() else None
    mc_error = jackknife_error(value, deleted, counts) if deleted is not None else None
    influence = influence if math.isfinite(value) else None
    standard_error = _standard_error(influence) if influence is not None else None
    return Score(value, standard_error, mc_error, deleted, influence, counts)


def by_row(influence: Float[Tensor, " M"], rows: int) -> Float[Tensor, " N"]:
    """What rows contribute when each of M elements contributes this, as many in each row and in the order of rows.

    Example:
        >>> import torch
        >>> by_row(torch.tensor([1.0, 3.0, -4.0, 0.0]), rows=2)
        tensor([ 2., -2.])
    """
    return influence.reshape(rows, -1).mean(dim=1)


def _standard_error(influence: Tensor) -> float | None:
    """The standard error of a mean over rows of what each contributes."""
    rows = len(influence)
    return math.sqrt(float(influence.square().sum()) / (rows - 1) / rows) if rows > 1 else None
