"""Losses and errors of single draws and of their averages, row by row, and without each group of draws."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.calibration.jackknife import log_mean_exp_without, with_deleted
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Likelihood, Moments, RegressionLikelihood
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.targets import class_labels, events, numbers
from mcdrop.tree import map_tensors
from mcdrop.types import Tree


@dataclass(frozen=True)
class BatchLosses:
    """What draws say about n rows, held against their targets.

    Losses are -log p(y) in nats, errors are shares of wrong labels, or squared errors; the elements of a row (pixels,
    tokens, outputs) are averaged. Where a result has R values for each row, the first is of all draws and the others
    leave out one of the G groups of them, R = 1 + G.

    Args:
        likelihood: How outputs are read.
        outputs: T draws of the output, (T, n, *out).
        targets: As the likelihood takes them.
        block_size: Draws that depend on each other.

    Raises:
        InputError: The targets do not fit, or the likelihood knows no targets.
        OutputError: The outputs do not fit.

    Example:
        >>> logits = torch.tensor([[[0.0, 0.0]], [[0.0, 2.0]]])  # two draws of one row
        >>> batch = BatchLosses(Categorical(), logits, torch.tensor([0]))
        >>> batch.tree_losses.flatten(), batch.forest[0][0]  # log 2, log(1 + e^2); -log of their average probability
        (tensor([0.6931, 2.1269], dtype=torch.float64), tensor([1.1725], dtype=torch.float64))
    """

    likelihood: Likelihood
    outputs: Tree
    targets: Tensor
    block_size: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.likelihood, Categorical | Binary | RegressionLikelihood):
            raise InputError(
                f"{self.likelihood} says nothing about targets; expected Categorical(), Gaussian(...) or such."
            )
        self.likelihood.check(self.outputs)

    @cached_property
    def tree_losses(self) -> Float[Tensor, "T n"]:
        """Of each draw alone."""
        return _by_row(-self._log_probs)

    @cached_property
    def tree_errors(self) -> Float[Tensor, "T n"]:
        """Of each draw alone."""
        return self._errors(self._centre)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Draws in each group."""
        return self._moments(self.tree_losses).groups.counts

    @property
    def one_tree(self) -> tuple[Float[Tensor, "R n"], Float[Tensor, "R n"]]:
        """Losses and errors averaged over the draws."""
        return with_deleted(self._moments(self.tree_losses)), with_deleted(self._moments(self.tree_errors))

    @property
    def forest(self) -> tuple[Float[Tensor, "R n"], Float[Tensor, "R n"]]:
        """Of the arithmetic mean of the draws' probabilities (or densities; the error is that of the mean)."""
        log_probs = self._log_probs
        losses = -torch.cat([log_mean_exp(log_probs)[None], log_mean_exp_without(log_probs, self.counts)])
        return _by_row(losses), self._errors(with_deleted(self._moments(self._centre)))

    @property
    def geometric(self) -> tuple[Float[Tensor, "R n"], Float[Tensor, "R n"]]:
        """Of the normalised geometric mean of the draws' probabilities."""
        kept = [torch.arange(sum(self.counts))]
        if len(self.counts) > 1:
            group = torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))
            kept += [(group != left_out).nonzero().flatten() for left_out in range(len(self.counts))]

        def mean(rows: Tensor) -> Tree:
            return self.likelihood.geometric_mean(map_tensors(lambda t: t[rows.to(t.device)], self.outputs))

        means = [mean(rows) for rows in kept]
        batch = BatchLosses(self.likelihood, map_tensors(lambda *parts: torch.stack(parts), *means), self.targets)
        return batch.tree_losses, batch.tree_errors

    def growing(self, order: Int[Tensor, " T"], sizes: list[int]) -> tuple[Float[Tensor, "K n"], Float[Tensor, "K n"]]:
        """Losses and errors of the averages of the first k draws in an order, for each k of `sizes`."""
        at = torch.tensor(sizes) - 1
        count = torch.tensor(sizes, dtype=torch.float64)

        def shaped(like: Tensor) -> Tensor:
            return count.to(like).reshape(-1, *[1] * (like.ndim - 1))

        log_sums = self._log_probs[order].logcumsumexp(dim=0)[at]
        sums = self._centre[order].cumsum(dim=0)[at]
        return _by_row(shaped(log_sums).log() - log_sums), self._errors(sums / shaped(sums))

    @cached_property
    def _log_probs(self) -> Float[Tensor, "T n *rest"]:
        return self.likelihood.log_prob(self.outputs, self.targets)

    @cached_property
    def _centre(self) -> Float[Tensor, "T n *_"]:
        """What is averaged to predict: probabilities, or the mean."""
        statistics = self.likelihood.statistics(self.outputs)
        return statistics["probs"] if "probs" in statistics else statistics["mean"]

    def _errors(self, centre: Float[Tensor, "R n *_"]) -> Float[Tensor, "R n"]:
        if isinstance(self.likelihood, Categorical):
            given = self.likelihood.class_dim
            axis = -1 if given is None else given + 1 if given > 0 else given
            guess = centre.argmax(dim=axis)
            labels = class_labels(self.targets, guess.shape[1:], centre.shape[axis], centre)
            return _by_row((guess != labels).to(centre.dtype))
        if isinstance(self.likelihood, Binary):
            happened = events(self.targets, centre.shape[1:], centre)
            return _by_row(((centre > 0.5) != (happened == 1)).to(centre.dtype))
        return _by_row((centre - numbers(self.targets, centre.shape[1:], centre)).square())

    def _moments(self, values: Tensor) -> Moments:
        return Moments.init(self.block_size).update(values)


def _by_row(values: Float[Tensor, "R n *rest"]) -> Float[Tensor, "R n"]:
    """The mean over the elements of each row."""
    return values.flatten(2).mean(dim=2) if values.ndim > 2 else values
