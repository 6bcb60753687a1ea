"""Whether uncertainty ranks what is wrong, or foreign, above what is right: the area under the ROC curve."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.calibration.given import as_tensor
from mcdrop.calibration.judged import Judged, Measure, judged, uncertainties
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.calibration.score import Score, by_row, scored
from mcdrop.errors import InputError
from mcdrop.prediction.spread import accumulated
from mcdrop.types import ArrayLike


@torch.no_grad()
def auroc_of_error(
    prediction: Predicted, targets: ArrayLike, *, uncertainty: Measure | ArrayLike = "least_confidence"
) -> Score:
    """The chance that a wrong label is more uncertain than a right one: AUROC, from 0 to 1, of finding errors.

    1 is a perfect order, .5 none, ties count half. It says nothing of how many labels are wrong: to compare two
    models look at their accuracies too, or at `aurc`, which sees both.

    The standard error is DeLong's; it is None if one label alone is wrong or right.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,).
        uncertainty: "least_confidence" (1 - confidence), "predictive_entropy", "mutual_information", or an array of
            one number for each label.

    Raises:
        InputError: If all labels are right or all are wrong, the targets or the uncertainty do not fit, there are no
            rows, or the prediction is not of classes.
        UnavailableError: For the mutual information of a prediction without the entropies of its draws.

    Source: Hendrycks & Gimpel 2017, "A baseline for detecting misclassified and out-of-distribution examples",
    https://arxiv.org/abs/1610.02136; DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two
    or more correlated receiver operating characteristic curves", https://doi.org/10.2307/2531595.

    Example:
        >>> import torch
        >>> probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
        >>> auroc_of_error(probs, torch.tensor([0, 1, 0, 1])).value
        1.0
    """
    return error_ranking(judged(prediction, targets, uncertainty), group_counts(prediction))


@torch.no_grad()
def auroc_ood(
    in_distribution: Predicted, out_of_distribution: Predicted, *, uncertainty: Measure = "predictive_entropy"
) -> Score:
    """The chance that a foreign row is more uncertain than one of the model's own distribution: AUROC, from 0 to 1.

    Ties count half. Segmented rows are compared pixel by pixel. The Monte Carlo error leaves the same groups of draws
    out of both predictions. For other uncertainties, such as the variances of regression, see `auroc`.

    Args:
        in_distribution: Of rows such as the model was trained on; of classes or events, or an array of probabilities.
        out_of_distribution: Of rows from elsewhere, from the same draws.
        uncertainty: "predictive_entropy", "mutual_information" or "least_confidence".

    Returns:
        Its influence has the rows of the first prediction, then those of the second.

    Raises:
        InputError: If there are no rows, or the predictions are not of classes or not of the same groups of draws.
        UnavailableError: For the mutual information of a prediction without the entropies of its draws.

    Source: Hendrycks & Gimpel 2017; DeLong et al. 1988 (see `auroc_of_error`).

    Example:
        >>> import torch
        >>> auroc_ood(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([[0.5, 0.5], [0.2, 0.8]])).value
        0.875
    """
    counts, other_counts = group_counts(in_distribution), group_counts(out_of_distribution)
    if counts != other_counts:
        raise InputError(
            f"Predictions with draws in groups of {counts} and of {other_counts} given; expected both from the same "
            "draws, made by one MCDropout."
        )
    own, foreign = (uncertainties(each, uncertainty) for each in (in_distribution, out_of_distribution))
    values = torch.cat([own.flatten(1), foreign.to(own).flatten(1)], dim=1)
    positive = torch.arange(values.shape[1], device=values.device) >= own[0].numel()
    areas = torch.stack([_area(ranked, positive) for ranked in values])
    influence = _influence(values[0], positive)
    if influence is None:
        return scored(areas, None, counts)
    rows, elements = own.shape[1] + foreign.shape[1], len(influence)
    by_rows = [influence[~positive].view(own.shape[1:]), influence[positive].view(foreign.shape[1:])]
    return scored(areas, torch.cat([part.sum(dim=1) for part in by_rows]) * (rows / elements), counts)


@torch.no_grad()
def auroc(uncertainty: ArrayLike, positive: ArrayLike) -> Score:
    """The chance that a positive row has the larger number, ties half: the area under the ROC curve, from 0 to 1.

    Args:
        uncertainty: One finite number for each row, (N,): variances, say, of rows in and out of distribution.
        positive: Which rows are to be found, (N,), true or 1.

    Raises:
        InputError: If the shapes differ, a number is not finite, `positive` holds other than 0 and 1, or none or
            every row is positive.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve",
    https://doi.org/10.1148/radiology.143.1.7063747; the standard error is DeLong's (see `auroc_of_error`).

    Example:
        >>> import torch
        >>> auroc(torch.tensor([0.1, 0.4, 0.3, 0.9]), torch.tensor([False, False, True, True]))
        Score(value=0.75, standard_error=0.353..., mc_error=None)
    """
    values, chosen = accumulated(as_tensor(uncertainty)).detach(), as_tensor(positive).detach()
    if values.ndim != 1 or values.shape != chosen.shape:
        raise InputError(
            f"Shapes {tuple(values.shape)} and {tuple(chosen.shape)} given; expected one number and one mark per row, "
            "(N,) both."
        )
    if not values.isfinite().all():
        raise InputError(f"{int((~values.isfinite()).sum())} numbers are NaN or infinite: they have no order.")
    if not ((chosen == 0) | (chosen == 1)).all():
        raise InputError("Marks other than 0 and 1 given: expected 1 or True for the rows that are to be found.")
    chosen = chosen.bool().to(values.device)
    if chosen.all() or not chosen.any():
        raise InputError(
            f"{int(chosen.sum())} of {len(chosen)} rows are positive: an AUROC compares the two and needs one of each."
        )
    return scored(_area(values, chosen)[None], _influence(values, chosen))


def error_ranking(of: Judged, counts: tuple[int, ...]) -> Score:
    """The AUROC of error of judged labels."""
    wrong = int(of.wrong[0].sum())
    if wrong in (0, of.wrong[0].numel()):
        raise InputError(
            f"All {of.wrong[0].numel()} labels are {'wrong' if wrong else 'right'}: the AUROC of error compares wrong "
            "with right ones and needs one of each."
        )
    areas = [_area(u.flatten(), w.flatten()) for u, w in zip(of.uncertainty, of.wrong, strict=True)]
    influence = _influence(of.uncertainty[0].flatten(), of.wrong[0].flatten())
    rows = of.wrong.shape[1]
    return scored(torch.stack(areas), None if influence is None else by_row(influence, rows), counts)


def _area(values: Float[Tensor, " M"], positive: Bool[Tensor, " M"]) -> Float[Tensor, ""]:
    """Mann and Whitney's statistic; NaN if a class is missing."""
    many = positive.sum().to(values.dtype)
    above = _ranks(values)[positive].sum() - many * (many + 1) / 2
    return above / (many * (len(values) - many))


def _influence(values: Float[Tensor, " M"], positive: Bool[Tensor, " M"]) -> Float[Tensor, " M"] | None:
    """DeLong's components less the area, scaled so that their standard error is DeLong's; None if it has none."""
    ranks, parts = _ranks(values), torch.zeros_like(values)
    for members, sign in ((positive, 1), (~positive, -1)):
        own = int(members.sum())
        others = len(values) - own
        if own < 2:
            return None
        # the share of the other class below each one: its rank among all less its rank in its class
        below = (ranks[members] - _ranks(values[members])) / others
        scale = math.sqrt((1 - 1 / len(values)) / (1 - 1 / own)) * len(values) / own
        parts[members] = sign * scale * (below - below.mean())
    return parts


def _ranks(values: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
    """Ranks from 1, those of ties averaged."""
    from scipy.stats import rankdata  # mcdrop's root loads torch alone

    return torch.from_numpy(rankdata(values.cpu().numpy())).to(values)
