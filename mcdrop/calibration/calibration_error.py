"""How far probabilities are from frequencies, on average over bins of the probability."""

import math
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.binning import Binning, BinSums, bin_borders, bin_of, bin_sums
from mcdrop.calibration.forecasts import Kind, forecasts, pieces
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.calibration.score import Score, scored
from mcdrop.errors import InputError
from mcdrop.types import ArrayLike

Norm: TypeAlias = Literal["l1", "l2"]
"""Of the gaps: their mean absolute value, or the root of their mean square."""


@torch.no_grad()
def expected_calibration_error(
    prediction: Predicted,
    targets: ArrayLike,
    *,
    num_bins: int = 15,
    binning: Binning = "equal_width",
    kind: Kind = "top_label",
    norm: Norm = "l1",
    debiased: bool = False,
) -> Score:
    """ECE: `sum_b n_b/N |g_b|` over bins of the forecast probability, from 0 to 1.

    `g_b` is the mean of `p_i - y_i` in bin b: mean probability less frequency. With `norm="l2"` it is
    `sqrt(sum_b n_b/N g_b^2)`. Classwise errors are averaged over the classes, inside the root for l2.

    Even a calibrated predictor has gaps, of `s_b / sqrt(n_b)` with `s_b` the standard deviation of `p_i - y_i` in the
    bin (divisor n_b - 1), so the plain value is too large, the more so the more bins. `debiased` subtracts: `g_b^2`
    becomes `g_b^2 - s_b^2/n_b` (a sum below 0 gives 0), and `|g_b|` becomes `2 |g_b| - E|x|` with x normal of mean
    `g_b` and variance `s_b^2/n_b`: the sum may be below 0, and of the bias of a calibrated predictor 2 - sqrt(2) = .59
    is left. A bin of one forecast stays uncorrected. Where the forecasts of a bin are equal, `s_b^2/n_b` is the
    `f (1-f)/(n_b - 1)` of the source, f the frequency.

    The standard error holds the borders of the bins fixed, to first order. A gap that is smaller than its noise has
    no first order: for a calibrated predictor the standard error of the plain l1 value is too large by about 1.7, the
    inverse of sqrt(1 - 2/pi). An l2 value of 0 has no standard error. Elements of one row count as independent in the
    correction.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.
        num_bins: B, at least 1.
        binning: "equal_width" has the bins [(b-1)/B, b/B), the last one with 1. "equal_mass" has about N/B forecasts
            in each; equal ones are never parted.
        kind: "top_label" compares the confidence with the accuracy; "classwise" the probability of each class with
            its frequency (for events: of the event).
        norm: "l1" or "l2".
        debiased: Whether the bias is subtracted.

    Raises:
        InputError: If the targets or an option do not fit, there are no rows, or the prediction is not of classes.

    Source: Guo et al. 2017, "On calibration of modern neural networks", eq. 3, https://arxiv.org/abs/1706.04599;
    Kumar, Liang & Ma 2019, "Verified uncertainty calibration", sections 2 and 5,
    https://arxiv.org/abs/1909.10155 (its l1 correction is by sampling; here the mean of x is in closed form).

    Example:
        >>> import torch
        >>> probs = torch.tensor([[0.75, 0.25], [0.75, 0.25], [0.0, 1.0], [0.0, 1.0]])
        >>> expected_calibration_error(probs, torch.tensor([0, 1, 1, 1])).value  # half of the rows are off by .25
        0.125
    """
    if norm not in get_args(Norm):
        raise InputError(f"norm={norm!r} given; expected 'l1' or 'l2'.")
    probs = (forecasts(*piece, kind, deleted=False).probs[0].flatten(0, 1) for piece in pieces(prediction, targets))
    # bins of one width are known from the number of kinds of events, which any piece tells
    borders = bin_borders(next(probs) if binning == "equal_width" else torch.cat(list(probs)), binning, num_bins)
    parts = [bin_sums(forecasts(*piece, kind), borders) for piece in pieces(prediction, targets)]
    sums = sum(parts[1:], parts[0])
    values = binned_error(sums, norm, debiased)
    if norm == "l2" and values[0] == 0:
        return scored(values, None, group_counts(prediction))
    level, slope = (each[0] for each in _of_gaps(sums, norm, debiased))
    rows = []
    for piece in pieces(prediction, targets):
        of = forecasts(*piece, kind, deleted=False)
        bins, kinds = bin_of(of.probs[0], borders), torch.arange(len(borders), device=borders.device)
        off = of.probs[0] - of.happened[0].to(of.probs.dtype) - sums.gaps[0][kinds, bins]
        rows.append((level[kinds, bins] + slope[kinds, bins] * off).mean(dim=(1, 2)))
    influence = torch.cat(rows)
    influence = influence - influence.mean()
    return scored(values, influence / (2 * values[0]) if norm == "l2" else influence, group_counts(prediction))


def binned_error(sums: BinSums, norm: Norm, debiased: bool) -> Float[Tensor, " R"]:
    """The error that sums of bins make, with all draws and without each group of them."""
    level, _ = _of_gaps(sums, norm, debiased)
    value = (level * sums.counts).sum(dim=-1).mean(dim=-1) / sums.counts[0, 0].sum()
    return value.clamp(min=0).sqrt() if norm == "l2" else value


def _of_gaps(sums: BinSums, norm: Norm, debiased: bool) -> tuple[Tensor, Tensor]:
    """What each gap adds to the mean over forecasts, and its derivative by the gap."""
    gaps = sums.gaps
    noise = (sums.squares / sums.counts.clamp(min=1) - gaps.square()).clamp(min=0) / (sums.counts - 1).clamp(min=1)
    if norm == "l2":
        return gaps.square() - noise * debiased, 2 * gaps
    if not debiased:
        return gaps.abs(), gaps.sign()
    scale = noise.sqrt()
    inside = (gaps / (scale * math.sqrt(2)).clamp(min=torch.finfo(gaps.dtype).tiny)).erf()
    density = torch.exp(-gaps.square() / (2 * noise).clamp(min=torch.finfo(gaps.dtype).tiny))
    folded = scale * math.sqrt(2 / math.pi) * density + gaps * inside  # E|x|, x normal
    return 2 * gaps.abs() - folded, 2 * gaps.sign() - inside
