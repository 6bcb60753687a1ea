"""Whether there are draws enough: the loss as more and more of them are averaged."""

import math
from functools import partial
from itertools import accumulate

import torch

from mcdrop.calibration import Score, brier_score, negative_log_likelihood, rmse
from mcdrop.plots import convergence
from mcdrop.prediction import (
    Binary,
    BinaryPrediction,
    Categorical,
    CategoricalPrediction,
    Gaussian,
    Prediction,
    RegressionPrediction,
    from_draws,
)
from mcdrop.report.record import Picture, Section
from mcdrop.report.subject import Subject
from mcdrop.report.wording import drawable, with_errors
from mcdrop.tree import map_tensors

TITLE = "Were there draws enough?"
LEAD = (
    "The prediction is an average over T random sub-networks. More of them change it less and less; the Monte Carlo "
    "error says by how much the number would still differ with other draws. There are enough if that error is small "
    "beside the error of the rows, or beside the difference that one wants to see.",
)


def section(subject: Subject) -> Section:
    """The loss of averages of the first draws."""
    prediction = subject.prediction
    if prediction.provenance.members:
        return Section("convergence", TITLE, (), absent=_MEMBERS)
    if not isinstance(prediction, CategoricalPrediction | BinaryPrediction | RegressionPrediction):
        return Section("convergence", TITLE, (), absent=_RECALIBRATED)
    sizes, parts = _growing(prediction)
    if len(sizes) < 2:
        return Section("convergence", TITLE, (), absent=_ONE)
    loss, scores = _losses(parts, subject)
    name, unit = _WORDS[loss], subject.unit if loss == "rmse" else "nats" if loss == "negative_log_likelihood" else ""
    source = f"mcdrop.calibration.{loss} of the first draws"
    values = tuple(score.value for score in scores)
    errors = tuple(math.nan if score.mc_error is None else score.mc_error for score in scores)
    first, last = (with_errors(score.value, None, score.mc_error, unit) for score in (scores[0], scores[-1]))
    picture = Picture(
        name="convergence",
        draw=partial(convergence.value_against_draws, sizes, values, errors, name=name, unit=drawable(unit)),
        caption=f"The {name} of the average of the first draws, with two Monte Carlo errors.",
        alternative=f"The {name} is {first} for the first {sizes[0]} draws and {last} for all {sizes[-1]}.",
        source=source,
        series={"draws": tuple(map(float, sizes)), name: values, "Monte Carlo error": errors},
    )
    return Section("convergence", TITLE, (*LEAD, *_note(prediction)), pictures=(picture,))


_MEMBERS = (
    "The draws are the members of an ensemble: all there is, so that there is no Monte Carlo error. A prediction of "
    "MCDropout would fill this section."
)
_RECALIBRATED = (
    "The law of the prediction was changed after the draws were mixed. Give the prediction before as `prediction` and "
    "this one as `recalibrated=` to fill this section."
)
_ONE = "The prediction holds a single group of draws: predict with num_samples=2 or more to fill this section."


def _note(prediction: Prediction) -> tuple[str, ...]:
    groups = next(iter(prediction.moments.values())).groups
    if not isinstance(prediction, RegressionPrediction) or prediction.samples is None:
        return (
            f"The prediction holds the means of {len(groups.counts)} groups of draws, not each draw: the curve "
            "begins after the first group, and its first errors come from few of them.",
        )
    return ()


def _growing(prediction: Prediction) -> tuple[tuple[int, ...], tuple[Prediction, ...]]:
    """Numbers of draws, each about twice the one before, and the predictions of the first so many."""
    counts = next(iter(prediction.moments.values())).groups.counts
    draws = tuple(accumulate(counts))
    groups = [number for number in (1, 2, 4, 8, 16) if number < len(counts)]
    sizes = (*(draws[number - 1] for number in groups), draws[-1])
    if isinstance(prediction, RegressionPrediction) and prediction.samples is not None:
        return sizes, tuple(_first(prediction, size) for size in sizes)
    # groups but the last are of one size, so that their means are draws of equal weight
    return sizes, (*(_of_means(prediction, number) for number in groups), prediction)


_WORDS = {
    "negative_log_likelihood": "negative log-likelihood",
    "brier_score": "Brier score",
    "rmse": "root mean squared error",
}


def _losses(parts: tuple[Prediction, ...], subject: Subject) -> tuple[str, tuple[Score, ...]]:
    """The loss of each; the log-likelihood, unless it is infinite or the densities of the draws were not kept."""
    has_density = subject.is_of_labels or subject.prediction.samples is not None
    if has_density:
        found = tuple(negative_log_likelihood(part, subject.targets) for part in parts)
        if all(math.isfinite(score.value) for score in found):
            return "negative_log_likelihood", found
    name, loss = ("brier_score", brier_score) if subject.is_of_labels else ("rmse", rmse)
    return name, tuple(loss(part, subject.targets) for part in parts)


def _first(prediction: Prediction, size: int) -> Prediction:
    """The prediction of the first draws alone."""
    samples, block_size = map_tensors(lambda draws: draws[:size], prediction.samples), prediction.provenance.block_size
    return from_draws(samples, prediction.likelihood, block_size=block_size, keep_samples=True)


def _of_means(prediction: Prediction, number: int) -> Prediction:
    """The prediction whose draws are the means of the first groups."""
    if isinstance(prediction, RegressionPrediction):
        means = torch.stack(prediction.moments["mean"].groups.means[:number])
        return from_draws(means, Gaussian(1.0))
    means = torch.stack(prediction.moments["probs"].groups.means[:number])
    if isinstance(prediction, CategoricalPrediction):
        return from_draws(means, Categorical(class_dim=prediction.class_dim, probs=True))
    return from_draws(means, Binary(probs=True))
