"""Reliability diagrams as records: frequencies against forecast probabilities, by isotonic regression or in bins."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.binning import Binning, bin_borders, bin_sums
from mcdrop.calibration.corp import BrierDecomposition, Frequencies, decomposed, frequencies, nearest_increasing
from mcdrop.calibration.forecasts import Forecasts, forecasts, gathered, joined, pieces
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.errors import InputError
from mcdrop.types import ArrayLike

Event: TypeAlias = Literal["top_label"] | int
"""That the label is right, or that a class is the true one (for events 1: that it happens)."""

MOST_POINTS = 1000
"""Of a CORP diagram."""

MOST_RESAMPLED = 10_000
"""Different forecasts in a resample; of more, neighbours in rank are put together."""


@dataclass(frozen=True, eq=False)
class CorpReliability:
    """A CORP reliability diagram at K increasing forecasts.

    Args:
        forecast: Probabilities that were forecast; at most 1000 of them, evenly spread in rank.
        frequency: Their isotonic regression: how often the event happened.
        lower: Of the consistency band: where the frequencies of a calibrated predictor with these forecasts lie.
        upper: Of the band.
        level: The share of calibrated predictors whose frequency lies in the band, at each forecast by itself.
        brier: The decomposition of the mean of (forecast - happened)^2.
    """

    forecast: Float[Tensor, " K"]
    frequency: Float[Tensor, " K"]
    lower: Float[Tensor, " K"]
    upper: Float[Tensor, " K"]
    level: float
    brier: BrierDecomposition


@dataclass(frozen=True, eq=False)
class BinnedReliability:
    """A binned reliability diagram of B bins; NaN in bins without forecasts.

    Args:
        borders: Between the bins.
        counts: Forecasts in each.
        forecast: Their mean.
        frequency: How often the event happened.
        standard_error: Of the frequency f, `sqrt(f (1 - f) / (n - 1))` of n forecasts; NaN for a single one.
    """

    borders: Float[Tensor, " B_less_1"]
    counts: Float[Tensor, " B"]
    forecast: Float[Tensor, " B"]
    frequency: Float[Tensor, " B"]
    standard_error: Float[Tensor, " B"]


@torch.no_grad()
def corp_reliability(
    prediction: Predicted,
    targets: ArrayLike,
    *,
    event: Event = "top_label",
    level: float = 0.9,
    num_resamples: int = 100,
    seed: int = 0,
) -> CorpReliability:
    """The reliability diagram by isotonic regression, with a consistency band and the Brier score's parts.

    The band is made under calibration: rows are drawn with replacement, each event happens with its forecast
    probability, the regression is fitted again; at each forecast it holds the central share `level` of the fits. It
    is pointwise: of many forecasts some leave it by chance. Elements of one row count as independent. Of more than
    10,000 different forecasts neighbours are put together for the band.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.
        event: "top_label" for confidence and accuracy, or the number of a class.
        level: Share inside the band, between 0 and 1.
        num_resamples: At least 2.
        seed: Of the resamples.

    Raises:
        InputError: If the targets or an option do not fit, there are no rows, or the prediction is not of classes.

    Source: Dimitriadis, Gneiting & Jordan 2021, "Stable reliability diagrams for probabilistic classifiers", PNAS
    118(8), section "Uncertainty quantification", https://doi.org/10.1073/pnas.2016191118.

    Example:
        >>> import torch
        >>> diagram = corp_reliability(torch.tensor([0.9, 0.1, 0.5]), torch.tensor([1, 1, 0]), event=1)
        >>> diagram.forecast, diagram.frequency
        (tensor([0.1000, 0.5000, 0.9000], dtype=torch.float64), tensor([0.5000, 0.5000, 1.0000], dtype=torch.float64))
    """
    if not 0 < level < 1:
        raise InputError(f"level={level} given, it is the share inside the band: between 0 and 1, such as 0.9.")
    if isinstance(num_resamples, bool) or not isinstance(num_resamples, int) or num_resamples < 2:
        raise InputError(f"num_resamples={num_resamples!r} given; expected an integer >= 2.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed={seed!r} given, expected an integer >= 0.")
    of = _of_event(prediction, targets, event)
    fit = frequencies(of.probs[0].flatten(), of.happened[0].flatten().to(of.probs.dtype))
    count = len(fit.forecast)
    shown = torch.linspace(0, count - 1, min(count, MOST_POINTS), dtype=torch.float64).round().long()
    forecast, frequency = fit.forecast[shown], fit.fitted[shown]
    fits = _refitted(fit, forecast, num_resamples, np.random.default_rng(seed))
    lower, upper = (forecast.new_tensor(np.quantile(fits, q, axis=0)) for q in ((1 - level) / 2, (1 + level) / 2))
    brier = decomposed(of, group_counts(prediction))
    return CorpReliability(forecast, frequency, lower, upper, level, brier)


@torch.no_grad()
def binned_reliability(
    prediction: Predicted,
    targets: ArrayLike,
    *,
    event: Event = "top_label",
    num_bins: int = 15,
    binning: Binning = "equal_width",
) -> BinnedReliability:
    """The reliability diagram in bins, that of which `expected_calibration_error` is the mean gap.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.
        event: "top_label" for confidence and accuracy, or the number of a class.
        num_bins: B, at least 1.
        binning: "equal_width" or "equal_mass", see `expected_calibration_error`.

    Raises:
        InputError: If the targets or an option do not fit, there are no rows, or the prediction is not of classes.

    Source: DeGroot & Fienberg 1983, "The comparison and evaluation of forecasters", The Statistician 32, 12-22,
    https://doi.org/10.2307/2987588.

    Example:
        >>> import torch
        >>> probs, y = torch.tensor([0.2, 0.4, 0.9, 1.0]), torch.tensor([0, 1, 1, 1])
        >>> curve = binned_reliability(probs, y, event=1, num_bins=2)
        >>> curve.counts, curve.forecast, curve.frequency
        (tensor([2., 2.], ...), tensor([0.3000, 0.9500], ...), tensor([0.5000, 1.0000], ...))
    """
    of = _of_event(prediction, targets, event, deleted=False)
    borders = bin_borders(of.probs[0].flatten()[:, None], binning, num_bins)
    sums = bin_sums(of, borders)
    counts = sums.counts[0, 0]
    forecast, frequency = sums.probs[0, 0] / counts, sums.happened[0, 0] / counts
    errors = torch.where(counts > 1, frequency * (1 - frequency) / (counts - 1), torch.nan).sqrt()
    return BinnedReliability(borders[0], counts, forecast, frequency, errors)


def _of_event(prediction: Predicted, targets: ArrayLike, event: Event, *, deleted: bool = True) -> Forecasts:
    """The forecasts of one event, K = 1."""
    if event == "top_label":
        return gathered(prediction, targets, "top_label", deleted=deleted)
    parts = (forecasts(*piece, "classwise", deleted=deleted) for piece in pieces(prediction, targets))
    return joined([_of_class(part, event) for part in parts])


def _of_class(of: Forecasts, event: Event) -> Forecasts:
    kinds = of.probs.shape[-1]
    first = 1 if kinds == 1 else 0  # events are forecast by the probability of 1
    if isinstance(event, bool) or not isinstance(event, int) or not first <= event < first + kinds:
        classes = "1, that the event happens" if kinds == 1 else f"the number of a class, 0 to {kinds - 1}"
        raise InputError(f"event={event!r} given; expected 'top_label' or {classes}.")
    only = slice(event - first, event - first + 1)
    return Forecasts(of.probs[..., only], of.happened[..., only])


def _refitted(fit: Frequencies, at: Tensor, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Regressions of resampled calibrated data at some forecasts, (resamples, len(at))."""
    many = len(fit.forecast)
    group = torch.arange(many, device=at.device) * min(MOST_RESAMPLED, many) // many
    counts = torch.bincount(group, fit.counts).cpu().numpy()
    forecast = torch.bincount(group, fit.counts * fit.forecast).cpu().numpy() / counts
    fits = []
    for _ in range(resamples):
        drawn_counts = rng.multinomial(int(counts.sum()), counts / counts.sum())
        drawn = drawn_counts > 0
        weights, happened = drawn_counts[drawn], rng.binomial(drawn_counts[drawn], forecast[drawn].clip(0, 1))
        fitted = nearest_increasing(happened / weights, weights.astype(float))
        fits.append(np.interp(at.cpu().numpy(), forecast[drawn], fitted))
    return np.stack(fits)
