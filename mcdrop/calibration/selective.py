"""What remains wrong when a predictor may decline its most uncertain labels."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mcdrop.calibration.judged import Judged, Measure, judged
from mcdrop.calibration.losses import Predicted, group_counts
from mcdrop.calibration.score import Score, by_row, scored
from mcdrop.types import ArrayLike


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The error rate among the k least uncertain of M labels, for each k.

    Args:
        coverage: `k/M`.
        risk: Expected over the orders of labels that are equally uncertain.
        threshold: The uncertainty of the k-th label: what is kept is at most as uncertain.
    """

    coverage: Float[Tensor, " M"]
    risk: Float[Tensor, " M"]
    threshold: Float[Tensor, " M"]


@torch.no_grad()
def risk_coverage_curve(
    prediction: Predicted, targets: ArrayLike, *, uncertainty: Measure | ArrayLike = "least_confidence"
) -> RiskCoverage:
    """The error rate of what is kept against the share that is kept; arguments as of `aurc`.

    Example:
        >>> import torch
        >>> curve = risk_coverage_curve(torch.tensor([0.9, 0.6, 0.8, 0.8]), torch.tensor([1, 0, 1, 0]))
        >>> curve.coverage, curve.risk  # of the two at .8 one is wrong
        (tensor([0.2500, 0.5000, 0.7500, 1.0000], ...), tensor([0.0000, 0.2500, 0.3333, 0.5000], ...))
    """
    of = judged(prediction, targets, uncertainty, deleted=False)
    ordered = _Order.of(of.uncertainty[0], of.wrong[0])
    return RiskCoverage(ordered.kept / len(ordered.kept), ordered.risk, ordered.threshold)


@torch.no_grad()
def aurc(
    prediction: Predicted,
    targets: ArrayLike,
    *,
    uncertainty: Measure | ArrayLike = "least_confidence",
    excess: bool = False,
) -> Score:
    """Area under the risk-coverage curve: `1/M sum_k risk_k`, the mean error rate over all coverages; lower is better.

    `risk_k` is the error rate of the k labels of least uncertainty, expected over the orders of ties: with equal
    uncertainties it is the error rate everywhere. `excess` subtracts the area of the best order, in which all wrong
    labels come last: 0 is then a perfect order, whatever the accuracy.

    The standard error is first order, by the influence function
    `risk_{k(i)} - A + sum_{k >= k(i)} (wrong_i - risk_k) / k`, k(i) the rank of label i.

    Args:
        prediction: Of classes or events, or an array of probabilities: (N, C), or (N,) of the event.
        targets: Labels (N,).
        uncertainty: "least_confidence" (1 - confidence), "predictive_entropy", "mutual_information", or an array of
            one number for each label.
        excess: Whether to give the E-AURC.

    Raises:
        InputError: If the targets or the uncertainty do not fit, there are no rows, or the prediction is not of
            classes.
        UnavailableError: For the mutual information of a prediction without the entropies of its draws.

    Source: Geifman, Uziel & El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers",
    https://arxiv.org/abs/1805.08206.

    Example:
        >>> import torch
        >>> probs, y = torch.tensor([0.9, 0.6, 0.8, 0.7]), torch.tensor([1, 0, 1, 1])
        >>> aurc(probs, y).value, aurc(probs, y, excess=True).value  # risks 0, 0, 0, 1/4
        (0.0625, 0.0)
    """
    return selective_area(judged(prediction, targets, uncertainty), group_counts(prediction), excess)


def selective_area(of: Judged, counts: tuple[int, ...], excess: bool = False) -> Score:
    """The AURC of judged labels."""
    orders = (_Order.of(*each) for each in zip(of.uncertainty, of.wrong, strict=True))
    first = next(orders)
    values = torch.stack([first.area(excess), *(order.area(excess) for order in orders)])
    return scored(values, by_row(first.influence(excess), of.wrong.shape[1]), counts)


@dataclass(frozen=True, eq=False)
class _Order:
    """M labels in the order of their uncertainty, in blocks of ties.

    Args:
        threshold: Their uncertainties.
        source: Where each label was given.
        wrong: 1 for wrong ones.
        block: The block of each.
        size: Of each block.
        kept: k = 1 to M.
        risk: Expected error rate of the first k.
    """

    threshold: Float[Tensor, " M"]
    source: Int[Tensor, " M"]
    wrong: Float[Tensor, " M"]
    block: Int[Tensor, " M"]
    size: Int[Tensor, " blocks"]
    kept: Float[Tensor, " M"]
    risk: Float[Tensor, " M"]

    @classmethod
    def of(cls, uncertainty: Float[Tensor, "*shape"], wrong: Bool[Tensor, "*shape"]) -> "_Order":
        threshold, source = uncertainty.flatten().sort()
        _, block, size = threshold.unique_consecutive(return_inverse=True, return_counts=True)
        ordered = wrong.flatten()[source].to(threshold.dtype)
        kept = torch.arange(1, len(ordered) + 1, dtype=threshold.dtype, device=threshold.device)
        errors = _over_blocks(ordered, block, len(size))
        before = (errors.cumsum(0) - errors)[block]
        place = kept - (size.cumsum(0) - size)[block]
        return cls(threshold, source, ordered, block, size, kept, (before + errors[block] * place / size[block]) / kept)

    def area(self, excess: bool) -> Float[Tensor, ""]:
        best = (self.kept - (len(self.kept) - self.wrong.sum())).clamp(min=0) / self.kept
        return (self.risk - best).mean().clamp(min=0) if excess else self.risk.mean()

    def influence(self, excess: bool) -> Float[Tensor, " M"]:
        """What each label contributes to the area, in the order in which labels were given."""
        pull, level = (_later(each / self.kept) for each in (torch.ones_like(self.risk), self.risk))
        ordered = self._shared(self.risk - level) - self.risk.mean() + self._shared(pull) * self.wrong
        share = self.wrong.mean()
        if excess and share < 1:  # the area of the best order is e + (1 - e) log(1 - e), of derivative -log(1 - e)
            ordered = ordered + torch.log1p(-share) * (self.wrong - share)
        return torch.empty_like(ordered).index_copy_(0, self.source, ordered)

    def _shared(self, values: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        """Means over blocks of ties."""
        return (_over_blocks(values, self.block, len(self.size)) / self.size)[self.block]


def _later(values: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
    """Sums from each value to the last."""
    return values.flip(0).cumsum(0).flip(0)


def _over_blocks(values: Float[Tensor, " M"], block: Int[Tensor, " M"], blocks: int) -> Float[Tensor, " blocks"]:
    return values.new_zeros(blocks).index_add_(0, block, values)
