"""A score averaged over networks that differ in their seed alone."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mcdrop.calibration import Score
from mcdrop.calibration.score import scored


@dataclass(frozen=True, eq=False)
class OverSeeds:
    """The mean over S networks of their scores on the same rows, with three errors. Made by `average`.

    Another seed would give another network, which `seed_error` states; other test rows and other masks would give
    another score, which `score` states. The difference of two pairs what they share: rows, draws and seeds.

    Args:
        score: The mean over the networks; its errors are of the rows and of the masks, which the networks share.
        per_seed: (S,) the value of each network.

    Example:
        >>> print(average([Score(0.5, 0.1, None, influence=torch.tensor([1.0, -1.0])),
        ...                Score(0.7, 0.1, None, influence=torch.tensor([3.0, -3.0]))]))
        0.6 ± 2 (rows) ± 0.1 (seeds)
    """

    score: Score
    per_seed: tuple[float, ...]

    @property
    def value(self) -> float:
        """The mean over the networks."""
        return self.score.value

    @property
    def seed_error(self) -> float | None:
        """s / sqrt(S), s the standard deviation over seeds (divisor S - 1); None for a single one."""
        return statistics.stdev(self.per_seed) / math.sqrt(len(self.per_seed)) if len(self.per_seed) > 1 else None

    @property
    def total_error(self) -> float:
        """The root of the sum of the squares of the errors that are known."""
        return math.hypot(*(error for error in self._errors.values() if error is not None))

    def __sub__(self, other: "OverSeeds") -> "OverSeeds":
        """How much larger this is than another average over the same seeds and rows, with paired errors.

        Raises:
            InputError: The scores are of different numbers of rows.
        """
        differences = tuple(one - another for one, another in zip(self.per_seed, other.per_seed, strict=True))
        return OverSeeds(self.score - other.score, differences)

    def __str__(self) -> str:
        return " ".join(
            [f"{self.value:.4g}", *(f"± {e:.2g} ({name})" for name, e in self._errors.items() if e is not None)]
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name, ready for JSON."""
        return {
            "value": self.value,
            "standard_error": self.score.standard_error,
            "mc_error": self.score.mc_error,
            "seed_error": self.seed_error,
            "per_seed": list(self.per_seed),
        }

    @property
    def _errors(self) -> dict[str, float | None]:
        return {"rows": self.score.standard_error, "Monte Carlo": self.score.mc_error, "seeds": self.seed_error}


def average(scores: Sequence[Score]) -> OverSeeds:
    """The mean of scores of the same rows and, where there are masks, of the same draws.

    Args:
        scores: One for each seed, at least one.
    """
    values = torch.tensor([score.value for score in scores], dtype=torch.float64)
    deleted = [score.deleted for score in scores if score.deleted is not None]
    influences = [score.influence for score in scores if score.influence is not None]
    means = [values, *(torch.stack(deleted).double().unbind(dim=1) if deleted else ())]
    influence = torch.stack(influences).mean(dim=0) if influences else None
    mean = scored(torch.stack([each.mean() for each in means]), influence, scores[0].counts if deleted else ())
    return OverSeeds(mean, tuple(values.tolist()))


def gap(test: OverSeeds, train: OverSeeds) -> tuple[float, float]:
    """How much larger the score of other rows is, and its error: paired over seeds, independent over rows and masks."""
    seeds = OverSeeds(test.score, tuple(a - b for a, b in zip(test.per_seed, train.per_seed, strict=True))).seed_error
    errors = [seeds, *(error for each in (test, train) for error in (each.score.standard_error, each.score.mc_error))]
    return test.value - train.value, math.hypot(*(error for error in errors if error is not None))
