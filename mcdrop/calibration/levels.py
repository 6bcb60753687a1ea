"""Promised probabilities against observed shares, at many levels at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration import number_losses
from mcdrop.calibration.number_rows import PredictedNumbers, number_rows
from mcdrop.calibration.pit import shares_below
from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError
from mcdrop.types import ArrayLike

LEVELS = tuple(index / 20 for index in range(1, 20))
""".05, .10, ..., .95."""


@dataclass(frozen=True)
class CoverageCurve:
    """Central intervals of many coverages.

    Args:
        levels: The coverages that the intervals should have.
        coverage: The share of targets inside, for each level.
        width: The mean width, for each level, in the unit of y; empty if it was not asked for.
    """

    levels: tuple[float, ...]
    coverage: tuple[Score, ...]
    width: tuple[Score, ...] = ()


@dataclass(frozen=True)
class QuantileCurve:
    """Quantiles of many levels.

    Args:
        levels: p.
        observed: The share of targets at or below their predicted quantile of level p.
    """

    levels: tuple[float, ...]
    observed: tuple[Score, ...]


@torch.no_grad()
def coverage_curve(
    prediction: PredictedNumbers, targets: ArrayLike, *, levels: Iterable[float] = LEVELS, widths: bool = True
) -> CoverageCurve:
    """Coverage and width of the central intervals at many levels; see `interval_coverage` and `interval_width`.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        levels: Coverages between 0 and 1.
        widths: Whether widths are asked for, which cost two quantiles for each level.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Example:
        >>> import torch
        >>> draws = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
        >>> curve = coverage_curve(draws, torch.tensor([6.0, 9.0]), levels=(0.4, 0.9))
        >>> [(covered.value, width.value) for covered, width in zip(curve.coverage, curve.width)]
        [(0.5, 4.0), (1.0, 9.0)]
    """
    asked, rows = _checked(levels), number_rows(prediction, targets)
    coverage = rows.scores(lambda predictive, y: predictive.inside(y, asked))
    if not widths:
        return CoverageCurve(asked, coverage)
    return CoverageCurve(
        asked,
        coverage,
        rows.scores(lambda predictive, y: torch.stack([number_losses.width(predictive, y, coverage=c) for c in asked])),
    )


@torch.no_grad()
def quantile_curve(
    prediction: PredictedNumbers, targets: ArrayLike, *, levels: Iterable[float] = LEVELS
) -> QuantileCurve:
    """The share of targets below each quantile: `1/N sum_i 1[F_i(y_i) <= p]`, to compare with p.

    Where F jumps at y (of counts and of draws), a target counts by the part of the jump below p, as in
    `pit_histogram`.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        levels: p, between 0 and 1.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Kuleshov, Fenner & Ermon 2018, "Accurate uncertainties for deep learning using calibrated regression",
    eq. 8, https://arxiv.org/abs/1807.00263.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 4), Gaussian(1.0))
        >>> [share.value for share in quantile_curve(prediction, torch.arange(4.0), levels=(0.4, 0.9)).observed]
        [0.0, 0.5]
    """
    asked = _checked(levels)
    return QuantileCurve(
        asked, number_rows(prediction, targets).scores(lambda predictive, y: shares_below(predictive, y, asked))
    )


def quantile_calibration_error(
    prediction: PredictedNumbers, targets: ArrayLike, *, levels: Iterable[float] = LEVELS, absolute: bool = False
) -> Score:
    """How far observed shares are from the levels of the quantiles: `1/L sum_j (p_j - share_j)^2`.

    With equal weights 1/L where Kuleshov et al. leave them open. It is never 0 on finite data: targets from the
    predicted laws make it `1/(N L) sum_j p_j (1 - p_j)` on average, about 1/(6 N). Near that floor the standard error,
    which is of first order, is too small.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        levels: p, between 0 and 1.
        absolute: True averages `|p_j - share_j|` instead.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Kuleshov, Fenner & Ermon 2018, eq. 9, https://arxiv.org/abs/1807.00263; absolute: Chung et al. 2021,
    "Uncertainty Toolbox", https://arxiv.org/abs/2109.10254.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 4), Gaussian(1.0))
        >>> round(quantile_calibration_error(prediction, torch.arange(4.0), levels=(0.4, 0.9)).value, 2)
        0.16
    """
    curve = quantile_curve(prediction, targets, levels=levels)
    return _mean_distance(curve.levels, curve.observed, absolute)


def interval_calibration_error(
    prediction: PredictedNumbers, targets: ArrayLike, *, levels: Iterable[float] = LEVELS, absolute: bool = False
) -> Score:
    """How far the coverages of central intervals are from what they should be: `1/L sum_j (c_j - coverage_j)^2`.

    Blind to predictions that are off to one side where the tails balance; arguments as `quantile_calibration_error`.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian, from_draws
        >>> prediction = from_draws(torch.zeros(2, 4), Gaussian(1.0))
        >>> round(interval_calibration_error(prediction, torch.arange(4.0), levels=(0.4, 0.9)).value, 5)
        0.09125
    """
    curve = coverage_curve(prediction, targets, levels=levels, widths=False)
    return _mean_distance(curve.levels, curve.coverage, absolute)


def _checked(levels: Iterable[float]) -> tuple[float, ...]:
    if isinstance(levels, int | float):
        raise InputError(f"levels={levels} given, expected several, such as ({levels},) for this one.")
    asked = tuple(float(level) for level in levels)
    if not asked or not all(0 < level < 1 for level in asked):
        raise InputError(f"levels={asked} given, expected at least one, each between 0 and 1, such as (0.5, 0.9).")
    return asked


def mean_distance(
    levels: tuple[float, ...], shares: Float[Tensor, "L R"], absolute: bool
) -> tuple[Float[Tensor, " R"], Float[Tensor, " L"]]:
    """The mean over levels of `(share - level)^2`, or of its root, and how the first of them rises with each share.

    Example:
        >>> import torch
        >>> mean_distance((0.4, 0.9), torch.tensor([[0.0], [0.5]], dtype=torch.float64), absolute=False)
        (tensor([0.1600], dtype=torch.float64), tensor([-0.4000, -0.4000], dtype=torch.float64))
    """
    off = shares - shares.new_tensor(levels)[:, None]
    slope = (off[:, 0].sign() if absolute else 2 * off[:, 0]) / len(off)
    return (off.abs() if absolute else off.square()).mean(dim=0), slope


def _mean_distance(levels: tuple[float, ...], scores: tuple[Score, ...], absolute: bool) -> Score:
    influences = [score.influence for score in scores if score.influence is not None]
    like = influences[0]
    values = [
        torch.cat([like.new_tensor([score.value]), score.deleted.to(like)])
        for score in scores
        if score.deleted is not None
    ]
    distances, slope = mean_distance(levels, torch.stack(values), absolute)
    return scored(distances, torch.stack(influences, dim=1) @ slope, scores[0].counts)
