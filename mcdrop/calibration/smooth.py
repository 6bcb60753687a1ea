"""A calibration error without bins: residuals smoothed at the scale of the error itself."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.calibration.forecasts import Forecasts, Kind, gathered
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.calibration.score import Score, by_row, scored
from mcdrop.types import ArrayLike

CELLS = 2**12
"""Of the grid on which residuals are smoothed."""


@torch.no_grad()
def smooth_calibration_error(prediction: Predicted, targets: ArrayLike, *, kind: Kind = "top_label") -> Score:
    """Smooth ECE: `int_0^1 |r(t)| dt` with `r(t) = 1/N sum_i K(t, p_i) (p_i - y_i)`, from 0 to 1.

    K is the Gaussian kernel on [0, 1], reflected at its ends, and its standard deviation is the smooth ECE itself:
    the one sigma at which the integral is sigma. So there is nothing to choose, and a small change of the forecasts
    changes it little, where forecasts that cross a border make the ECE of bins jump. Classwise errors are averaged
    over the classes.

    Residuals are put on a grid of 4096 cells, which moves a forecast by at most .00012.

    The standard error is first order: by the implicit function theorem row i contributes
    `(K*sign(r) at p_i (p_i - y_i) - sigma) / (1 - d/dsigma int |r|)`. For a calibrated predictor it is too large, as
    that of `expected_calibration_error`.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.
        kind: "top_label" compares the confidence with the accuracy; "classwise" the probability of each class with
            its frequency (for events: of the event).

    Raises:
        InputError: If the targets or the kind do not fit, there are no rows, or the prediction is not of classes.

    Source: Błasiok & Nakkiran 2023, "Smooth ECE: principled reliability diagrams via kernel smoothing",
    https://arxiv.org/abs/2309.12236.

    Example:
        >>> import torch
        >>> round(smooth_calibration_error(torch.full((10,), 0.75), torch.arange(10) % 2).value, 3)  # off by .25
        0.25
    """
    return smoothed(gathered(prediction, targets, kind), group_counts(prediction))


def smoothed(of: Forecasts, counts: tuple[int, ...]) -> Score:
    """The smooth calibration error of forecasts, averaged over kinds of events."""
    values, influences = [], []
    for probs, happened in zip(of.probs.unbind(-1), of.happened.unbind(-1), strict=True):
        errors, influence = _of_kind(probs.flatten(1), happened.flatten(1))
        values.append(errors)
        influences.append(by_row(influence, probs.shape[1]))
    return scored(torch.stack(values).mean(dim=0), torch.stack(influences).mean(dim=0), counts)


def _of_kind(
    probs: Float[Tensor, "R M"], happened: Bool[Tensor, "R M"]
) -> tuple[Float[Tensor, " R"], Float[Tensor, " M"]]:
    """The error with all draws and without each group of them, and what each forecast contributes to the first."""
    draws, many = probs.shape
    cell = (probs * CELLS).long().clamp(max=CELLS - 1)
    residuals = probs - happened.to(probs.dtype)
    at = torch.arange(draws, device=probs.device)[:, None] * CELLS + cell
    sums = torch.bincount(at.flatten(), residuals.flatten(), minlength=draws * CELLS).view(draws, CELLS) / many
    grids = sums.cpu().numpy()
    values = [_fixed_point(grid) for grid in grids]
    pull, slope = _pull(grids[0], values[0])
    influence = torch.from_numpy(pull).to(residuals)[cell[0]] * residuals[0]
    return residuals.new_tensor(values), (influence - influence.mean()) / (1 - slope)


def _fixed_point(grid: np.ndarray) -> float:
    """The sigma at which the smoothed residuals integrate to sigma; their integral falls with sigma, so it is one."""
    from scipy.optimize import brentq  # mcdrop's root loads torch alone

    if not grid.any():
        return 0.0
    return float(brentq(lambda sigma: np.abs(_smoothed(grid, sigma)).sum() - sigma, 0.0, 2.0, xtol=1e-9))


def _pull(grid: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
    """The derivatives of the integral at this sigma: by a residual in each cell, and by sigma."""
    from scipy.fft import dct, idct

    sign = np.sign(_smoothed(grid, sigma))
    by_sigma = idct(-sigma * _frequencies() ** 2 * dct(_smoothed(grid, sigma), norm="ortho"), norm="ortho")
    return _smoothed(sign, sigma), float((sign * by_sigma).sum())


def _smoothed(grid: np.ndarray, sigma: float) -> np.ndarray:
    """Smoothing by the reflected kernel: it multiplies the cosine of frequency w by `exp(-(w sigma)^2 / 2)`."""
    from scipy.fft import dct, idct

    return idct(dct(grid, norm="ortho") * np.exp(-((_frequencies() * sigma) ** 2) / 2), norm="ortho")


def _frequencies() -> np.ndarray:
    return math.pi * np.arange(CELLS)
