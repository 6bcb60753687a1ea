"""Scores that are a mean over rows."""

import math
from dataclasses import replace

from mcdrop.calibration.losses import Predicted, group_counts, row_losses
from mcdrop.calibration.score import Score, scored
from mcdrop.prediction.spread import Spread
from mcdrop.types import ArrayLike


def accuracy(prediction: Predicted, targets: ArrayLike) -> Score:
    """Share of labels that are right: `1/N sum_i 1[argmax_c p_ic = y_i]`, from 0 to 1.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,), 0 to C-1; 0 or 1 for events.

    Raises:
        InputError: If the targets do not fit, there are no rows, or the prediction is not of classes.

    Example:
        >>> import torch
        >>> accuracy(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1]))
        Score(value=0.666..., standard_error=0.333..., mc_error=None)
    """
    return _score("accuracy", prediction, targets)


def error_rate(prediction: Predicted, targets: ArrayLike) -> Score:
    """Share of labels that are wrong, `1 - accuracy`; arguments as there.

    Example:
        >>> import torch
        >>> error_rate(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])).value
        0.333...
    """
    return _score("error_rate", prediction, targets)


def negative_log_likelihood(prediction: Predicted, targets: ArrayLike) -> Score:
    """`-1/N sum_i log p(y_i)` under the mixture of the draws, in nats (natural logarithm).

    For numbers the density has the unit 1/y and several outputs of a row are averaged, each by its marginal.

    Args:
        prediction: Of classes, events or, with samples, of numbers; or an array of probabilities.
        targets: As the prediction's `log_prob` takes them.

    Raises:
        InputError: If the targets do not fit, or there are no rows.
        UnavailableError: For numbers without samples.

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 8, https://arxiv.org/abs/1506.02142.

    Example:
        >>> import torch
        >>> negative_log_likelihood(torch.tensor([[0.5, 0.5]]), torch.tensor([0])).value
        0.693...
    """
    return _score("negative_log_likelihood", prediction, targets)


def brier_score(prediction: Predicted, targets: ArrayLike) -> Score:
    """`1/N sum_i sum_c (p_ic - 1[y_i = c])^2` over all classes, from 0 to 2.

    Events count as two classes, so that their score is `2/N sum_i (p_i - y_i)^2`: twice what is elsewhere called the
    Brier score of a binary forecast (scikit-learn's `brier_score_loss`), and equal to Brier's own definition.

    Args:
        prediction: Of classes or events, or an array of probabilities.
        targets: Labels (N,).

    Raises:
        InputError: If the targets do not fit, there are no rows, or the prediction is not of classes.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability", eq. 2,
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Example:
        >>> import torch
        >>> round(brier_score(torch.tensor([[0.9, 0.1]]), torch.tensor([1])).value, 4)
        1.62
    """
    return _score("brier_score", prediction, targets)


def rmse(prediction: Predicted, targets: ArrayLike) -> Score:
    """`sqrt(1/N sum_i (m_i - y_i)^2)` of the predictive mean m, in the unit of y; outputs of a row averaged.

    The standard error is that of the mean square by the delta method: `se(mse) / (2 rmse)`.

    Args:
        prediction: Of numbers, or an array of means.
        targets: In the shape of the mean; (N,) and (N, 1) stand for each other.

    Raises:
        InputError: If the targets do not fit, there are no rows, or the prediction is not of numbers.

    Example:
        >>> import torch
        >>> rmse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).value
        1.414...
    """
    return _score("rmse", prediction, targets)


ROOTS = frozenset({"rmse", "sharpness"})
"""Scores that are the root of a mean over rows."""


def from_spread(name: str, losses: Spread, counts: tuple[int, ...]) -> Score:
    """The score that losses make whose rows are known no more.

    Args:
        name: Of the score; those of `ROOTS` take the square root.
        losses: Spread over rows of shape (1 + G,), see `losses.RowLosses`.
        counts: Draws in each group.
    """
    rows = losses.weight
    values = losses.centre.sqrt() if name in ROOTS else losses.centre
    value = float(values[0])
    error = math.sqrt(float(losses.squares[0]) / (rows - 1) / rows) if rows > 1 and math.isfinite(value) else None
    if name in ROOTS:
        error = error / (2 * value) if error else error  # 0 where all squares are equal
    return replace(scored(values, None, counts), standard_error=error)


def _score(name: str, prediction: Predicted, targets: ArrayLike) -> Score:
    losses = row_losses((name,), prediction, targets)[name]
    score = from_spread(name, losses.spread, group_counts(prediction))
    if not math.isfinite(score.value):
        return score
    influence = losses.rows - losses.spread.centre[0]
    if name in ROOTS and score.value > 0:
        influence = influence / (2 * score.value)
    return replace(score, influence=influence)
