"""Whether errors are larger where the predictions say so: error by predicted variance, and by its order alone."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.number_rows import NumberRows, PredictedNumbers, number_rows
from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError
from mcdrop.types import ArrayLike


@dataclass(frozen=True)
class ErrorBins:
    """Rows in bins of rising predicted variance. Targets from the predicted laws make `error` equal `predicted`.

    Args:
        predicted: The mean predictive variance of each bin, in the unit of y squared.
        error: The mean squared error of the predictive mean in each bin, in the unit of y squared.
        counts: Rows in each bin.
    """

    predicted: tuple[Score, ...]
    error: tuple[Score, ...]
    counts: tuple[int, ...]


@torch.no_grad()
def error_against_uncertainty(prediction: PredictedNumbers, targets: ArrayLike, *, bins: int = 10) -> ErrorBins:
    """Mean squared error against mean predicted variance, in bins of about as many rows each.

    The bins are those of all draws; variances are of the mixture, with divisor T. Rows of one variance share a bin, so
    that there may be fewer bins than asked for: one, if all are alike. Outputs of a row are averaged.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.
        bins: At most, at least 1.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Levi, Gispan, Giladi & Fetaya 2022, "Evaluating and calibrating uncertainty prediction in regression tasks",
    eq. 6 and 7 (their roots), https://doi.org/10.3390/s22155540.

    Example:
        >>> import torch
        >>> draws = torch.tensor([[-1.0, -3.0], [1.0, 3.0]])  # two draws of y for each of two rows
        >>> binned = error_against_uncertainty(draws, torch.tensor([1.0, -2.0]), bins=2)
        >>> [score.value for score in binned.predicted], [score.value for score in binned.error]
        ([1.0, 9.0], [1.0, 4.0])
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InputError(f"bins={bins!r} given, at least 1 is needed, a whole number.")
    rows = number_rows(prediction, targets)
    variance, error = by_row(rows)
    place = _bins(variance[0], bins)
    return ErrorBins(
        _binned(variance, place, rows.jackknife_counts),
        _binned(error, place, rows.jackknife_counts),
        tuple(place.bincount().tolist()),
    )


@torch.no_grad()
def sparsification_error(prediction: PredictedNumbers, targets: ArrayLike) -> Score:
    """How much worse the predicted variance ranks the errors than they rank themselves, in the unit of y squared.

    Leave out rows, the most uncertain first, and take the mean squared error of those that are left; then leave out the
    worst first instead. The score is the difference of the two, averaged over all numbers k of rows that are left: of
    `1/N sum_k 1/k sum_{i<=k} e_(i)`, with the errors e in the rising order of variance and of themselves. It is 0 if
    errors rise with the variance. Errors of rows with the same variance are averaged, so that a constant variance
    scores as a random order does.

    Holds a number for each row and group of draws.

    Args:
        prediction: Of numbers, with samples, or an array of draws of y: (T, N, *out).
        targets: In the shape of the mean.

    Raises:
        InputError: If an argument does not fit, or there are no rows.
        UnavailableError: Without samples.

    Source: Ilg et al. 2018, "Uncertainty estimates and multi-hypotheses networks for optical flow", section 5.2 (AUSE),
    https://arxiv.org/abs/1802.07095; there of endpoint errors, divided by that of all rows.

    Example:
        >>> import torch
        >>> draws = torch.tensor([[-1.0, -3.0], [1.0, 3.0]])
        >>> sparsification_error(draws, torch.tensor([2.0, 0.0])).value  # (4 + 2)/2 - (0 + 2)/2
        2.0
    """
    rows = number_rows(prediction, targets)
    return ordering_error(*by_row(rows), rows.jackknife_counts)


def ordering_error(variance: Float[Tensor, "R N"], error: Float[Tensor, "R N"], counts: tuple[int, ...]) -> Score:
    """The sparsification error of rows whose predictive variances and squared errors are known.

    Args:
        variance: With all draws, then without each group of them.
        error: Likewise.
        counts: Draws in each group.
    """
    values, influences = [], []
    for uncertainty, actual in zip(variance, error, strict=True):
        value, influence = _mean_below(actual, uncertainty)
        best, of_best = _mean_below(actual, actual)
        values.append(value - best)
        influences.append(influence - of_best)
    return scored(torch.stack(values), influences[0], counts)


def by_row(rows: NumberRows) -> tuple[Float[Tensor, "R N"], Float[Tensor, "R N"]]:
    """Predictive variance and squared error of each row, with all draws and without each group of them."""
    variances, errors = [], []
    for predictive, y in rows.pieces():
        variances.append(rows.by_row(predictive.variance()))
        errors.append(rows.by_row((predictive.mean() - y).square()))
    return torch.cat(variances, dim=1), torch.cat(errors, dim=1)


def _bins(values: Float[Tensor, " N"], bins: int) -> Int[Tensor, " N"]:
    """The bin of each value, about N/bins in each; equal values in one, empty bins left out."""
    ordered = values.sort().values
    borders = ordered[[len(ordered) * index // bins for index in range(1, bins)]]
    return torch.searchsorted(borders, values, right=True).unique(return_inverse=True)[1]


def _binned(values: Float[Tensor, "R N"], place: Int[Tensor, " N"], counts: tuple[int, ...]) -> tuple[Score, ...]:
    scores = []
    for index in range(int(place.max()) + 1):
        inside = place == index
        means = values[:, inside].mean(dim=1)
        # of a ratio of two means: of the values inside, and of the share inside
        influence = torch.where(inside, (values[0] - means[0]) / inside.double().mean(), 0)
        scores.append(scored(means, influence, counts))
    return tuple(scores)


def _mean_below(error: Float[Tensor, " N"], key: Float[Tensor, " N"]) -> tuple[Tensor, Float[Tensor, " N"]]:
    """`1/N sum_k 1/k sum_{i<=k} e_(i)` in the rising order of the key, ties averaged, and what each row contributes.

    As a functional of the law of (e, key) it is `E[-log F(key) e]`; its influence function adds what a row does to F.
    """
    rows = len(error)
    order = key.argsort(stable=True)
    _, tie, sizes = key[order].unique_consecutive(return_inverse=True, return_counts=True)
    left = torch.arange(1, rows + 1, dtype=error.dtype, device=error.device)
    weight = (1 / left).flip(0).cumsum(dim=0).flip(0)  # sum_{k >= i} 1/k
    weight = (torch.zeros_like(error[: len(sizes)]).index_add(0, tie, weight) / sizes)[tie]
    e = error[order]
    value = (weight * e).mean()
    last = sizes.cumsum(dim=0)[tie].to(error.dtype)  # N F(key)
    beyond = (e / last).flip(0).cumsum(dim=0).flip(0)
    first = torch.cat([sizes.new_zeros(1), sizes.cumsum(dim=0)[:-1]])[tie]
    influence = torch.empty_like(error)
    influence[order] = weight * e - value - (beyond[first] - e.mean())
    return value, influence - influence.mean()
