"""What the demo measures: how far networks differ, and what intervals hold, where there are data and where not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcdrop.calibration import Score, interval_coverage
from mcdrop.cli.demo.regression.networks import GAP, HIGH, LOW, NOISE, curve
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Gaussian, RegressionPrediction
from mcdrop.sampling import MCDropout

COVERAGE = 0.95
_STEP = 0.05
_BEYOND = 3.0
"""How far to look beyond the ends of the data."""


@dataclass(frozen=True)
class Region:
    """One part of the axis, as one way to predict sees it.

    Args:
        std: Standard deviation of the mean among the draws (the epistemic one), averaged over the region.
        held: Share of new points inside the central 95 % intervals, from 0 to 1.
    """

    std: float
    held: Score


@dataclass(frozen=True, eq=False)
class Band:
    """One way to predict, over the whole axis.

    Args:
        prediction: At `Measurements.x`.
        at_data: Between the ends, the gap left out.
        in_gap: Where no point was measured, between points.
        beyond: Outside of the ends.
    """

    prediction: RegressionPrediction
    at_data: Region
    in_gap: Region
    beyond: Region

    @property
    def opening(self) -> float:
        """The standard deviation in the gap, in units of that at the data."""
        return self.in_gap.std / self.at_data.std


@dataclass(frozen=True, eq=False)
class Measurements:
    """All that the demo shows.

    Args:
        x: Evenly spaced inputs.
        new: A new point at each of them: the curve with noise.
        num_samples: T.
        forest: MC dropout with the first network.
        members: The networks, dropout off, averaged.
        num_members: How many.
    """

    x: Float[Tensor, "M 1"]
    new: Float[Tensor, "M 1"]
    num_samples: int
    forest: Band
    members: Band
    num_members: int


def measure(models: Sequence[nn.Module], *, num_samples: int, seed: int) -> Measurements:
    """Ask the sub-networks of the first network, and all networks, over the whole axis.

    Args:
        models: Trained apart, in eval mode.
        num_samples: T, at least 2.
        seed: Decides the masks and the new points.
    """
    x = torch.arange(LOW - _BEYOND, HIGH + _BEYOND + _STEP / 2, _STEP)[:, None]
    new = curve(x) + NOISE * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    likelihood = Gaussian(precision=NOISE**-2)
    forest = MCDropout(models[0], likelihood=likelihood, num_samples=num_samples, seed=seed)
    members = MCDropout(Ensemble(models), likelihood=likelihood, seed=seed)
    return Measurements(x, new, num_samples, _band(forest, x, new), _band(members, x, new), len(models))


def _band(mc: MCDropout, x: Float[Tensor, "M 1"], new: Float[Tensor, "M 1"]) -> Band:
    prediction = cast(RegressionPrediction, mc(x))  # which Gaussian makes
    in_gap = ((x > GAP[0]) & (x < GAP[1]))[:, 0]
    inside = ((x >= LOW) & (x <= HIGH))[:, 0]

    def region(rows: Bool[Tensor, " M"]) -> Region:
        part = prediction[rows]
        return Region(part.epistemic.sqrt().mean().item(), interval_coverage(part, new[rows], coverage=COVERAGE))

    return Band(prediction, at_data=region(inside & ~in_gap), in_gap=region(in_gap), beyond=region(~inside))
