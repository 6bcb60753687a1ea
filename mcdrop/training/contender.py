"""One way to predict with a network: its loss and error on a data set, with their errors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration import Score
from mcdrop.calibration.score import scored


@dataclass(frozen=True, eq=False)
class Contender:
    """Loss and error of one way to predict.

    Args:
        loss: Mean of -log p(y) over rows, nats.
        error: Share of wrong labels, or root mean squared error in the unit of y.
        loss_spread: Standard deviation (divisor T - 1) of the loss over single trees or members; None for what is one.
        error_spread: The same of the error.
    """

    loss: Score
    error: Score
    loss_spread: float | None = None
    error_spread: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """The numbers by name, ready for JSON."""
        return {
            "loss": self.loss.value,
            "loss_standard_error": self.loss.standard_error,
            "loss_mc_error": self.loss.mc_error,
            "loss_spread": self.loss_spread,
            "error": self.error.value,
            "error_standard_error": self.error.standard_error,
            "error_mc_error": self.error.mc_error,
            "error_spread": self.error_spread,
        }


class Gathered:
    """The rows of one contender, batch by batch.

    Args:
        root: Whether the error is the root of its mean over rows.
        counts: Draws in each group that the batches leave out; empty where nothing is drawn.
    """

    def __init__(self, root: bool, counts: tuple[int, ...] = ()) -> None:
        self._root = root
        self._counts = counts
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []
        self._trees: list[tuple[Tensor, Tensor]] = []

    def add(self, losses: Float[Tensor, "R n"], errors: Float[Tensor, "R n"]) -> None:
        """The rows of one batch; of R values the first alone counts where nothing is drawn."""
        keep = 1 + len(self._counts)
        self._losses.append(losses[:keep].cpu())
        self._errors.append(errors[:keep].cpu())

    def add_trees(self, losses: Float[Tensor, "T n"], errors: Float[Tensor, "T n"]) -> None:
        """The same rows by each of the trees or members that the contender is the average of."""
        self._trees.append((losses.sum(dim=1).cpu(), errors.sum(dim=1).cpu()))

    def contender(self) -> Contender:
        """Over all rows so far."""
        losses, errors = torch.cat(self._losses, dim=1), torch.cat(self._errors, dim=1)
        means, influence = errors.mean(dim=1), errors[0] - errors[0].mean()
        if self._root:
            means = means.sqrt()
            influence = influence / (2 * means[0]) if means[0] > 0 else influence
        return Contender(
            scored(losses.mean(dim=1), losses[0] - losses[0].mean(), self._counts),
            scored(means, influence, self._counts),
            *self._spreads(losses.shape[1]),
        )

    def _spreads(self, rows: int) -> tuple[float | None, float | None]:
        if not self._trees or len(self._trees[0][0]) < 2:
            return None, None
        losses, errors = (torch.stack(part).sum(dim=0) / rows for part in zip(*self._trees, strict=True))
        return float(losses.std()), float((errors.sqrt() if self._root else errors).std())
