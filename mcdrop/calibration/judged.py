"""What a ranking by uncertainty looks at: of each element how uncertain its label is, and whether it is wrong."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.calibration.class_losses import class_probs
from mcdrop.calibration.forecasts import gathered
from mcdrop.calibration.given import as_tensor
from mcdrop.calibration.jackknife import with_deleted
from mcdrop.calibration.losses import Predicted, numbers_per_row
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction
from mcdrop.prediction.result import row_pieces
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.uncertainty import entropy, mutual_information
from mcdrop.types import ArrayLike

Measure: TypeAlias = Literal["least_confidence", "predictive_entropy", "mutual_information"]
"""`1 - max_c p_c`; the entropy of the mean probabilities; the part of it that draws disagree on (both in nats).

Confidences so close to 1 that the first is 0 are ties there; the second still orders them.
"""


@dataclass(frozen=True, eq=False)
class Judged:
    """E elements of N rows, with all draws and without each group of them.

    Args:
        uncertainty: In any unit: only the order counts.
        wrong: Whether the label is.
    """

    uncertainty: Float[Tensor, "R N E"]
    wrong: Bool[Tensor, "R N E"]


def judged(
    prediction: Predicted, targets: ArrayLike, uncertainty: Measure | ArrayLike, *, deleted: bool = True
) -> Judged:
    """The labels of a prediction, judged.

    Args:
        prediction: Of classes or events, or an array of probabilities.
        targets: Labels of its rows.
        uncertainty: A measure, computed again without each group of draws, or an array of one finite number for each
            label, taken as it is.
        deleted: False leaves out what is known without each group of draws.

    Raises:
        InputError: If the targets or the uncertainty do not fit.
        UnavailableError: For the mutual information of a prediction without the entropies of its draws.
    """
    labels = gathered(prediction, targets, "top_label", deleted=deleted)
    wrong = ~labels.happened[..., 0]
    if isinstance(uncertainty, str) and uncertainty == "least_confidence":
        return Judged(1 - labels.probs[..., 0], wrong)
    if isinstance(uncertainty, str):
        return Judged(uncertainties(prediction, uncertainty, deleted=deleted), wrong)
    given = accumulated(as_tensor(uncertainty)).detach()
    if given.numel() != wrong[0].numel() or given.shape[:1] != wrong[0].shape[:1]:
        raise InputError(
            f"Uncertainties of shape {tuple(given.shape)} given for {wrong.shape[1]} rows of {wrong.shape[2]} labels "
            "each; expected one number for each label."
        )
    if not given.isfinite().all():
        raise InputError(f"{int((~given.isfinite()).sum())} uncertainties are NaN or infinite: they have no order.")
    return Judged(given.to(wrong.device).reshape(wrong.shape[1:]).expand(wrong.shape), wrong)


def uncertainties(prediction: Predicted, measure: Measure, *, deleted: bool = True) -> Float[Tensor, "R N E"]:
    """A measure of uncertainty of each element, with all draws and without each group of them.

    Raises:
        InputError: If the measure is unknown, there are no rows, or it is no prediction of classes.
        UnavailableError: For the mutual information of a prediction without the entropies of its draws.

    Example:
        >>> import torch
        >>> uncertainties(torch.tensor([[0.5, 0.5], [0.25, 0.75]]), "least_confidence")
        tensor([[[0.5000],
                 [0.2500]]], dtype=torch.float64)
    """
    if measure not in get_args(Measure):
        raise InputError(
            f"uncertainty={measure!r} given; expected an array of one number for each label, or one of "
            f"{', '.join(get_args(Measure))}."
        )
    given = prediction if isinstance(prediction, Prediction) else as_tensor(prediction)
    if len(given) == 0:
        raise InputError("0 rows given, a score needs at least one.")
    parts = []
    for rows in row_pieces(len(given), numbers_per_row(given)):
        probs = class_probs(given[rows], deleted=deleted)
        values = 1 - probs.amax(dim=-1) if measure == "least_confidence" else entropy(probs)
        if measure == "mutual_information":
            values = mutual_information(values, _expected_entropy(given[rows], deleted))
        parts.append(values.reshape(*values.shape[:2], -1))
    return torch.cat(parts, dim=1)


def _expected_entropy(prediction: Prediction | Tensor, deleted: bool) -> Tensor:
    if not isinstance(prediction, CategoricalPrediction | BinaryPrediction):
        raise InputError(
            "The mutual information of an array of probabilities asked, which draws of a mask make: expected a "
            "prediction, or another uncertainty."
        )
    expected = prediction.expected_entropy
    return with_deleted(prediction.moments["entropy"]) if deleted else expected[None]
