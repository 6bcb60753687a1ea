"""What a search of dropout rate and precision found."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.calibration import Score
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Gaussian, RegressionPrediction
from mcdrop.sampling import MCDropout
from mcdrop.training.fits import SURE
from mcdrop.training.units import Units
from mcdrop.training.verdict import total_error


@dataclass(frozen=True, eq=False)
class Choice:
    """The rate and the precision chosen on one training part, and the network trained with them on all its rows.

    Args:
        rates: The p that were tried.
        precisions: The tau that were tried, in 1 / unit^2 of y.
        losses: For each rate, for each precision: the mean of -log p(y) over the validation rows, nats, where p is the
            Monte Carlo mixture.
        place: Of the winner in `losses`: the lowest one, the first of equals.
        model: The network, in evaluation mode.
        units: What it was trained in.
        is_random: Whether it has dropout; at p = 0 it may have none.
    """

    rates: tuple[float, ...]
    precisions: tuple[float, ...]
    losses: tuple[tuple[Score, ...], ...]
    place: tuple[int, int]
    model: nn.Module
    units: Units
    is_random: bool

    @property
    def rate(self) -> float:
        """The p of the winner."""
        return self.rates[self.place[0]]

    @property
    def precision(self) -> float:
        """The tau of the winner, in 1 / unit^2 of y."""
        return self.precisions[self.place[1]]

    @property
    def log_likelihood(self) -> Float[Tensor, "P K"]:
        """Mean of log p(y) over the validation rows, nats, for each rate and precision."""
        return -torch.tensor([[score.value for score in row] for row in self.losses], dtype=torch.float64)

    @property
    def standard_error(self) -> Float[Tensor, "P K"]:
        """Of each log-likelihood, from the sampling of rows and of masks together."""
        return torch.tensor([[total_error(score) for score in row] for row in self.losses], dtype=torch.float64)

    @property
    def ties(self) -> tuple[tuple[float, float], ...]:
        """The other (p, tau) whose log-likelihood is below the winner's by no more than 2 paired standard errors."""
        best = self.losses[self.place[0]][self.place[1]]
        return tuple(
            (p, tau)
            for i, p in enumerate(self.rates)
            for j, tau in enumerate(self.precisions)
            if (i, j) != self.place and _within(self.losses[i][j] - best)
        )

    def predict(self, inputs: Tensor, *, num_samples: int = 100, seed: int = 0) -> RegressionPrediction:
        """What `MCDropout` with the network and `Gaussian(precision)` predicts, in the units of the data.

        Args:
            inputs: In the units of the data.
            num_samples: T.
            seed: Of the masks.
        """
        mc = forest(self.model, self.precision, self.units, num_samples if self.is_random else None, seed)
        return cast(RegressionPrediction, mc(self.units.inputs(inputs)))

    def __str__(self) -> str:
        ties = set(self.ties)
        lines = [["", *(f"tau = {tau:g}" for tau in self.precisions)]]
        for p, values, errors in zip(
            self.rates, self.log_likelihood.tolist(), self.standard_error.tolist(), strict=True
        ):
            cells = zip(self.precisions, values, errors, strict=True)
            lines.append([f"p = {p:g}", *(f"{v:.4g} ± {e:.1g}{self._mark(p, tau, ties)}" for tau, v, e in cells)])
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        rows = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join(
            [
                *rows,
                "Validation log-likelihood ± error from rows and masks, nats; * the best, ~ as good within 2 errors.",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "rates": list(self.rates),
            "precisions": list(self.precisions),
            "log_likelihood": self.log_likelihood.tolist(),
            "standard_error": self.standard_error.tolist(),
            "rate": self.rate,
            "precision": self.precision,
            "ties": [list(tie) for tie in self.ties],
        }

    def _mark(self, p: float, tau: float, ties: set[tuple[float, float]]) -> str:
        return " *" if (p, tau) == (self.rate, self.precision) else " ~" if (p, tau) in ties else ""


@dataclass(frozen=True, eq=False)
class Search:
    """What `search` found.

    Args:
        choices: One for each training part.
        num_samples: T of the mixtures that judged.
        seed: Of the first part's networks, and of the masks.
    """

    choices: tuple[Choice, ...]
    num_samples: int
    seed: int

    def __str__(self) -> str:
        if len(self.choices) == 1:
            return str(self.choices[0])
        return "\n".join(
            f"part {number}: p = {choice.rate:g}, tau = {choice.precision:g}, validation log-likelihood "
            f"{choice.log_likelihood[choice.place]:.4g} ± {choice.standard_error[choice.place]:.1g}; within 2 "
            f"errors of it: {len(choice.ties)} of the {len(choice.rates) * len(choice.precisions) - 1} others"
            for number, choice in enumerate(self.choices)
        )

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "num_samples": self.num_samples,
            "seed": self.seed,
            "choices": [choice.to_dict() for choice in self.choices],
        }


def forest(model: nn.Module, precision: float, units: Units, num_samples: int | None, seed: int) -> MCDropout:
    """What predicts with a network in the units of the data.

    Args:
        model: The network.
        precision: tau.
        units: What it was trained in.
        num_samples: T; None for a network without dropout.
        seed: Of the masks.
    """
    posterior = Ensemble([model]) if num_samples is None else model
    likelihood = Gaussian(precision)
    return MCDropout(posterior, likelihood=likelihood, num_samples=num_samples, seed=seed, output=units.restore)


def _within(difference: Score) -> bool:
    return difference.value <= SURE * total_error(difference)
