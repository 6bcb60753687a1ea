"""Dropout rates side by side: what training sees, what is deployed, and what the forest gives, on both data sets."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from mcdrop.training.fits import Fit, best_of, fit_of, sentence
from mcdrop.training.history import History
from mcdrop.training.over_seeds import OverSeeds
from mcdrop.training.verdict import FOREST, SCALED, TREE

SHOWN = (TREE, SCALED, FOREST)
"""Contenders at each rate."""


@dataclass(frozen=True, eq=False)
class AtRate:
    """What was measured at one rate.

    Args:
        rate: p.
        test_loss: Mean of -log p(y) over rows, nats, by "one tree", "weight-scaled net" and "forest".
        train_loss: The same on the training data.
        test_error: Error rate or root mean squared error, likewise.
        train_error: The same on the training data.
        models: The networks, one for each seed, in evaluation mode.
        histories: What training saw of each.
    """

    rate: float
    test_loss: dict[str, OverSeeds]
    train_loss: dict[str, OverSeeds]
    test_error: dict[str, OverSeeds]
    train_error: dict[str, OverSeeds]
    models: tuple[nn.Module, ...]
    histories: tuple[History, ...]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What `sweep` found.

    Over- and underfitting are told of the weight-scaled net, the same predictor on both data sets, by the rule of
    `mcdrop.training.fits.fit_of`: against the rate with the lowest test loss, a rate overfits if its test loss is
    higher and its train loss lower, and underfits if both are higher, each by more than 2 of their paired errors. As
    the best rate is chosen by test loss, that loss of its own is a little too good.

    Args:
        points: One for each rate, in the order given.
        seeds: Of the networks at each rate.
        num_samples: T of the forests.
        error_name: "error rate" or "rmse".
    """

    points: tuple[AtRate, ...]
    seeds: tuple[int, ...]
    num_samples: int
    error_name: str

    @property
    def rates(self) -> tuple[float, ...]:
        """The p, in the order given."""
        return tuple(point.rate for point in self.points)

    @property
    def best(self) -> AtRate:
        """Where the weight-scaled net has its lowest test loss."""
        return self.points[best_of([point.test_loss[SCALED] for point in self.points])]

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """What each rate does, in a word or a few."""
        return tuple(fit_of(*self._numbers(point)) for point in self.points)

    @property
    def answers(self) -> tuple[str, ...]:
        """What each rate does, in a sentence with the numbers that say so."""
        best = self.best.rate
        return tuple(
            sentence(point.rate, fit, self._numbers(point), best)
            for point, fit in zip(self.points, self.fits, strict=True)
        )

    def __str__(self) -> str:
        tables = [*self._table("loss", "loss"), "", *self._table("error", self.error_name), "", self._legend]
        return "\n".join([*tables, "", *self.answers])

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        measures = ("test_loss", "train_loss", "test_error", "train_error")
        points = [
            {
                "rate": point.rate,
                **{name: {who: each.to_dict() for who, each in getattr(point, name).items()} for name in measures},
                "history": [list(history.train_loss) for history in point.histories],
                "fit": fit,
            }
            for point, fit in zip(self.points, self.fits, strict=True)
        ]
        return {
            "seeds": list(self.seeds),
            "num_samples": self.num_samples,
            "error_name": self.error_name,
            "points": points,
            "best": self.best.rate,
            "answers": list(self.answers),
        }

    @property
    def _legend(self) -> str:
        what = f"mean over {len(self.seeds)} seeds ± error from rows, masks and seeds"
        if len(self.seeds) == 1:
            what = "value ± error from rows and masks; one seed, so what another one would change is not in it"
        return f"Losses in nats, {what}; T = {self.num_samples}."

    def _numbers(self, point: AtRate) -> tuple[OverSeeds, OverSeeds, OverSeeds, OverSeeds]:
        best = self.best
        return point.test_loss[SCALED], point.train_loss[SCALED], best.test_loss[SCALED], best.train_loss[SCALED]

    def _table(self, quantity: str, title: str) -> list[str]:
        """A line for each rate: train and test of each contender."""
        columns = [(part, name) for part in ("train", "test") for name in SHOWN]
        lines = [[title, *(f"{part}, {name}" for part, name in columns)]]
        for point in self.points:
            cells = [getattr(point, f"{part}_{quantity}")[name] for part, name in columns]
            lines.append([f"p = {point.rate:g}", *(f"{cell.value:.4g} ± {cell.total_error:.1g}" for cell in cells)])
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
