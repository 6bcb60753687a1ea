"""Scores of numbers under the mixture of the draws that are a mean over rows."""

from functools import partial

import torch

from mcdrop.calibration import number_losses
from mcdrop.calibration.number_rows import PredictedNumbers, number_rows
from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError
from mcdrop.prediction.regression import check_coverage
from mcdrop.types import ArrayLike


@torch.no_grad()
def crps(prediction: PredictedNumbers, targets: ArrayLike, *, fair: bool = False) -> Score:
    """The continuous ranked probability score of the mixture, in the unit of y: 0 at best.

    `1/N sum_i E|Y_i - y_i| - 1/2 E|Y_i - Y_i'|`, which equals the integral of `(F(x) - 1[x >= y])^2`. Mixtures of
    normals have a closed form of T^2/2 terms a row, mixtures of Poisson laws a sum over counts, draws are sorted; after
    `CdfRecalibration` it is an integral over 256 cells, good to about a thousandth. Of a point it is the absolute
    error.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean; (N,) and (N, 1) stand for each other.
        fair: False scores the T draws as they are. True estimates without bias what infinitely many of them would
            score, if they are independent: pairs of the same draw are left out and the divisor is T (T-1).

    Raises:
        InputError: If the prediction or the targets do not fit, there are no rows, or too few draws for `fair`.
        UnavailableError: Without samples.

    Source: Gneiting & Raftery 2007, "Strictly proper scoring rules, prediction, and estimation", eq. 20 and 21,
    https://doi.org/10.1198/016214506000001437; mixtures of normals: Grimit et al. 2006, eq. 5,
    https://doi.org/10.1256/qj.05.235; fair: Ferro 2014, "Fair scores for ensemble forecasts", section 3,
    https://doi.org/10.1002/qj.2270.

    Example:
        >>> import torch
        >>> draws = torch.tensor([[1.0], [3.0]])  # two draws of y for one row
        >>> crps(draws, torch.tensor([2.0])).value, crps(draws, torch.tensor([2.0]), fair=True).value
        (0.5, 0.0)
    """
    rows = number_rows(prediction, targets)
    if fair and sum(rows.counts) < 2:
        raise InputError("fair=True compares pairs of different draws, and 1 draw given: at least 2 are needed.")
    return rows.score(partial(number_losses.crps, fair=fair))


@torch.no_grad()
def interval_score(prediction: PredictedNumbers, targets: ArrayLike, *, coverage: float = 0.95) -> Score:
    """The interval score of central intervals `[l, u]`, in the unit of y: the smaller, the better.

    `1/N sum_i (u_i - l_i) + 2/alpha (l_i - y_i)_+ + 2/alpha (y_i - u_i)_+` with `alpha = 1 - coverage`: the width,
    and a fine for each target outside. The ends are quantiles of the mixture, which are solved for again without each
    group of draws: the slowest of the scores.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        coverage: Of the intervals, between 0 and 1.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Gneiting & Raftery 2007, eq. 43, https://doi.org/10.1198/016214506000001437.

    Example:
        >>> import torch
        >>> interval_score(torch.tensor([[0.0], [10.0]]), torch.tensor([12.0]), coverage=0.5).value  # 5 + 4 * 4.5
        23.0
    """
    check_coverage(coverage)
    return number_rows(prediction, targets).score(partial(number_losses.interval_score, coverage=coverage))


@torch.no_grad()
def interval_coverage(prediction: PredictedNumbers, targets: ArrayLike, *, coverage: float = 0.95) -> Score:
    """The share of targets inside the central intervals, their ends included, from 0 to 1: to compare with `coverage`.

    It jumps when a target crosses an end, so that its jackknife error over draws is too large where few rows are near.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        coverage: That the intervals should have. Of counts and of draws they hold more or less than that by their
            nature: at least that of counts; about that times (T-1)/(T+1) of draws.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Example:
        >>> import torch
        >>> interval_coverage(torch.tensor([[0.0, 0.0], [10.0, 10.0]]), torch.tensor([12.0, 4.0]), coverage=0.5).value
        0.5
    """
    check_coverage(coverage)
    return number_rows(prediction, targets).score(partial(number_losses.coverage, coverage=coverage))


@torch.no_grad()
def interval_width(prediction: PredictedNumbers, *, coverage: float = 0.95) -> Score:
    """The mean width of the central intervals, in the unit of y; arguments as in `interval_coverage`.

    Example:
        >>> import torch
        >>> interval_width(torch.tensor([[0.0], [10.0]]), coverage=0.5).value
        5.0
    """
    check_coverage(coverage)
    return number_rows(prediction).score(partial(number_losses.width, coverage=coverage))


@torch.no_grad()
def sharpness(prediction: PredictedNumbers) -> Score:
    """The root of the mean predictive variance, in the unit of y: how sure the predictions are, right or wrong.

    `sqrt(1/N sum_i 1/T sum_t (v_it + (m_it - m_i)^2))`, the variances of the mixtures themselves, with divisor T where
    `prediction.variance` estimates that of infinitely many draws. Compare it with `rmse`: equal for targets from the
    predicted law. The standard error is by the delta method, as for `rmse`.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).

    Raises:
        InputError: If the prediction is not of numbers, or has no rows.
        UnavailableError: Without samples.

    Source: Kuleshov, Fenner & Ermon 2018, "Accurate uncertainties for deep learning using calibrated regression",
    eq. 10, its square, https://arxiv.org/abs/1807.00263.

    Example:
        >>> import torch
        >>> sharpness(torch.tensor([[0.0], [10.0]])).value
        5.0
    """
    square = number_rows(prediction).score(number_losses.variance)
    assert square.deleted is not None
    assert square.influence is not None
    values = torch.cat([square.deleted.new_tensor([square.value]), square.deleted]).sqrt()
    influence = square.influence / (2 * values[0]) if values[0] > 0 else square.influence
    return scored(values, influence, square.counts)
