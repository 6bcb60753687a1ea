"""The probability integral transform: where targets fall in their predictive distributions.

If targets come from the predicted laws, the values are uniform between 0 and 1. A histogram that is high at both ends
says that the predictions are too narrow, high in the middle too wide, high at one end that they are off to one side.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.number_rows import PredictedNumbers, number_rows
from mcdrop.calibration.predictive import Predictive
from mcdrop.calibration.score import Score
from mcdrop.errors import InputError
from mcdrop.types import ArrayLike


@dataclass(frozen=True)
class PitHistogram:
    """Shares of targets by their place in the predictive distribution.

    Args:
        edges: Of the bins, from 0 to 1.
        shares: Of each bin; all are 1/bins on average if the targets come from the predicted laws.
    """

    edges: tuple[float, ...]
    shares: tuple[Score, ...]


@torch.no_grad()
def pit_values(prediction: PredictedNumbers, targets: ArrayLike, *, seed: int = 0) -> Float[Tensor, " N *out"]:
    """`F_i(y_i)` under the mixture of the draws, from 0 to 1.

    Where F jumps at y (of counts and of draws), the value is drawn uniformly from the jump, `F(y-)` to `F(y)`: only so
    is it uniform under the predicted law.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        seed: Of the uniform numbers; without effect where F is continuous.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Czado, Gneiting & Held 2009, "Predictive model assessment for count data", eq. 1,
    https://doi.org/10.1111/j.1541-0420.2009.01191.x.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> pit_values(from_draws(torch.tensor([[-1.0], [1.0]]), Gaussian(4.0)), torch.tensor([0.0]))
        tensor([0.5000], dtype=torch.float64)
    """
    rows = number_rows(prediction, targets)
    jumps = [tuple(bound[0] for bound in predictive.ranks(y)) for predictive, y in rows.pieces()]
    below, reached = (torch.cat(bounds) for bounds in zip(*jumps, strict=True))
    generator = torch.Generator().manual_seed(seed)
    at = torch.rand(len(below), generator=generator, dtype=torch.float64).to(below)
    return (below + at * (reached - below)).reshape(rows.shape)


@torch.no_grad()
def pit_histogram(prediction: PredictedNumbers, targets: ArrayLike, *, bins: int = 10) -> PitHistogram:
    """The histogram of the probability integral transform, with the errors of each bin.

    Where F jumps at y, the target counts in each bin by the part of the jump in it, so that nothing is drawn.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        bins: Of equal width, at least 2.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Czado, Gneiting & Held 2009, eq. 2 and 3, https://doi.org/10.1111/j.1541-0420.2009.01191.x.

    Example:
        >>> import torch
        >>> draws = torch.tensor([[0.0], [1.0], [2.0]])  # four places for a target: below, between, between, above
        >>> [share.value for share in pit_histogram(draws, torch.tensor([0.5]), bins=4).shares]
        [0.0, 1.0, 0.0, 0.0]
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
        raise InputError(f"bins={bins!r} given, a histogram needs at least 2, a whole number.")
    edges = tuple(index / bins for index in range(bins + 1))

    def shares(predictive: Predictive, y: Tensor) -> Tensor:
        inner = shares_below(predictive, y, edges[1:-1])
        reached = torch.cat([torch.zeros_like(inner[:1]), inner, torch.ones_like(inner[:1])])
        return reached.diff(dim=0)

    return PitHistogram(edges, number_rows(prediction, targets).scores(shares))


def shares_below(predictive: Predictive, y: Float[Tensor, " M"], levels: tuple[float, ...]) -> Float[Tensor, "L R M"]:
    """How much of each transform lies at or below each level: 0 or 1, and the part of the jump where F jumps at y.

    Args:
        predictive: Of the elements.
        y: Their targets.
        levels: Between 0 and 1.
    """
    below, reached = predictive.ranks(y)
    jump = reached - below
    safe = torch.where(jump > 0, jump, 1)
    shares = [torch.where(jump > 0, ((u - below) / safe).clamp(0, 1), (reached <= u).to(jump)) for u in levels]
    return torch.stack(shares)
