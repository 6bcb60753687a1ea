"""Whether the uncertainty knows what is wrong."""

import math
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.calibration import ErrorBins, Score, auroc_of_error, error_against_uncertainty, sparsification_error
from mcdrop.errors import UnavailableError
from mcdrop.plots import uncertainty
from mcdrop.report.measures import Measure, measured
from mcdrop.report.record import Number, Picture, Section
from mcdrop.report.series import floats
from mcdrop.report.subject import Subject
from mcdrop.report.wording import drawable, number_text

LEAD_LABELS = (
    "An uncertainty is worth having if it is high where the answer is wrong. Predictive entropy is the uncertainty of "
    "the averaged answer: 0 if it is certain, at most the logarithm of the number of classes. Mutual information is "
    "the part of it that the sub-networks disagree about: what more training data could teach. Both are in nats, the "
    "unit of the natural logarithm.",
)
LEAD_NUMBERS = (
    "An uncertainty is worth having if errors are large where it is large. Rows are sorted by the standard deviation "
    "that was predicted for them; in each bin the error that was made is set against the error that was expected.",
)
TITLE = "Does the uncertainty know what is wrong?"
ORDER = Measure(
    "sparsification_error",
    "Sparsification error",
    sparsification_error,
    "mcdrop.calibration.sparsification_error",
    "Leave out the most uncertain rows, then more and more: how much larger is the squared error of the rest than if "
    "the worst rows were known and left out? 0 is a perfect order.",
    "y²",
)
_MOST_BINS = 10
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def section(subject: Subject) -> Section:
    """The uncertainty of right and of wrong answers, or errors against predicted standard deviations."""
    return _of_labels(subject) if subject.is_of_labels else _of_numbers(subject)


def _of_labels(subject: Subject) -> Section:
    prediction, targets = subject.answers, subject.targets
    right = (prediction.labels.reshape(targets.shape) == targets.to(prediction.labels)).cpu()
    pictures, numbers = [], []
    for name in ("predictive_entropy", "mutual_information"):
        try:
            values = getattr(prediction, name).reshape(targets.shape).cpu()
        except UnavailableError:  # recalibrated after the draws were averaged
            continue
        words = name.replace("_", " ")
        source = f"mcdrop.prediction.{type(prediction).__name__}.{name}"
        pictures.append(_histogram(name, values, right, source))
        numbers += _means(name, values, right, source, subject.name)
        finds = Measure(
            f"auroc_by_{name}",
            f"AUROC of finding errors by {words}",
            partial(auroc_of_error, uncertainty=name),
            f"mcdrop.calibration.auroc_of_error(uncertainty={name!r})",
            f"The chance that a wrong answer has the higher {words} than a right one; 50 % is blind.",
            "share",
            "higher",
        )
        numbers.append(measured(finds, prediction, targets, subject.name, ""))
    return Section("uncertainty", TITLE, LEAD_LABELS, numbers=tuple(numbers), pictures=tuple(pictures))


def _groups(values: Float[Tensor, "*_"], right: Bool[Tensor, "*_"]) -> dict[str, Float[Tensor, " M"]]:
    """The uncertainties of right and of wrong answers, without a group that is empty."""
    groups = {"right": values[right], "wrong": values[~right]}
    return {which: group for which, group in groups.items() if group.numel()}


def _means(name: str, values: Tensor, right: Tensor, source: str, of: str) -> list[Number]:
    return [
        Number(
            name=f"{name}_{which}",
            label=f"{name.replace('_', ' ').capitalize()} of {which} answers, mean",
            of=of,
            value=float(group.mean()),
            unit="nats",
            source=f"{source}, averaged over {which} answers",
        )
        for which, group in _groups(values, right).items()
    ]


def _histogram(name: str, values: Tensor, right: Tensor, source: str) -> Picture:
    words, groups = name.replace("_", " "), _groups(values, right)
    medians = " and ".join(
        f"{number_text(float(group.median()), None, None, 'nats')[0]} of {which} answers"
        for which, group in groups.items()
    )
    quantiles = {
        f"{words} of {which} answers": floats(torch.from_numpy(np.quantile(group.numpy(), _LEVELS)))
        for which, group in groups.items()
    }
    return Picture(
        name=name,
        draw=partial(uncertainty.right_against_wrong, values, right, name=words, unit="nats"),
        caption=f"Where the {words} of right and of wrong answers lies. The less the two overlap, the better.",
        alternative=f"Histograms of the {words}. The median is {medians}.",
        source=source,
        series={"share below": _LEVELS, **quantiles},
    )


def _of_numbers(subject: Subject) -> Section:
    # about twenty rows in a bin, so that its error is known to a sixth
    wanted = min(_MOST_BINS, max(2, len(subject.prediction) // 20))
    try:
        bins = error_against_uncertainty(subject.prediction, subject.targets, bins=wanted)
    except UnavailableError as error:
        return Section("uncertainty", TITLE, (), absent=str(error))
    numbers = [measured(ORDER, subject.prediction, subject.targets, subject.name, subject.unit)]
    if len(bins.error) > 1:
        numbers += [
            _root(bins.error[place], which, len(bins.error), subject) for which, place in (("most", 0), ("least", -1))
        ]
    return Section("uncertainty", TITLE, LEAD_NUMBERS, numbers=tuple(numbers), pictures=(_bins(bins, subject.unit),))


def _root(square: Score, which: str, bins: int, subject: Subject) -> Number:
    """The root mean squared error of the first or the last bin, its errors by the delta method."""
    root = math.sqrt(max(square.value, 0.0))
    rows, draws = (
        error / (2 * root) if error and root else error for error in (square.standard_error, square.mc_error)
    )
    return Number(
        name=f"rmse_of_{which}_certain",
        label=f"Root mean squared error of the {which} certain rows",
        of=subject.name,
        value=root,
        source=f"mcdrop.calibration.error_against_uncertainty(bins={bins}), root of the {which} certain bin",
        standard_error=rows,
        mc_error=draws,
        unit=subject.unit,
        meaning=f"How far off the {which} certain of {bins} equal parts of the rows are.",
    )


def _bins(bins: ErrorBins, unit: str) -> Picture:
    predicted, made = (
        torch.tensor([score.value for score in scores]).clamp(min=0).sqrt() for scores in (bins.predicted, bins.error)
    )
    after = f" {unit}" if unit else ""
    return Picture(
        name="error_against_uncertainty",
        draw=partial(uncertainty.error_against_uncertainty, bins, unit=drawable(unit)),
        caption=(
            "The error that was made against the error that was expected, in bins of rising uncertainty. Points above "
            "the line: larger errors than promised. A row of points at one height: the uncertainty knows nothing."
        ),
        alternative=(
            f"In the most certain of {len(predicted)} bins the predicted standard deviation is "
            f"{predicted[0]:.3g}{after} and the error {made[0]:.3g}{after}; in the least certain "
            f"{predicted[-1]:.3g}{after} and {made[-1]:.3g}{after}."
        ),
        source="mcdrop.calibration.error_against_uncertainty, roots of its means",
        series={
            "predicted standard deviation": floats(predicted),
            "root mean squared error": floats(made),
            "rows": tuple(float(count) for count in bins.counts),
        },
    )
