"""The log density of targets under a mixture whose draws arrive in chunks and are not kept."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.calibration.distances import remaining
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Likelihood
from mcdrop.prediction.groups import MOST_GROUPS
from mcdrop.types import ArrayLike, Tree


@dataclass(frozen=True, eq=False)
class StreamedLogDensity:
    """`log sum exp` of `log p(y | draw)` over each of at most 16 contiguous groups of draws. Made by `init`.

    Memory is 16 numbers for each target, however many draws there are. The groups are those of `Moments`: they depend
    on the number of draws alone and not on how they were cut into chunks.

    Args:
        likelihood: How outputs are read.
        targets: Of the rows.
        size: Draws in a full group.
        counts: Draws in each group so far.
        sums: `log sum exp` over the draws of each group.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Gaussian
        >>> density = StreamedLogDensity.init(Gaussian(1.0), torch.zeros(1))
        >>> density.update(torch.zeros(3, 1)).update(torch.ones(2, 1)).log_mean_exp[0]
        tensor([-1.0902], dtype=torch.float64)
    """

    likelihood: Likelihood
    targets: ArrayLike
    size: int
    counts: tuple[int, ...] = ()
    sums: tuple[Float[Tensor, " N *_"], ...] = ()

    @classmethod
    def init(cls, likelihood: Likelihood, targets: ArrayLike, block_size: int = 1) -> "StreamedLogDensity":
        """Of no draws yet.

        Raises:
            InputError: If block_size is below 1.
        """
        if block_size < 1:
            raise InputError(f"block_size={block_size} given, a block holds at least one draw: block_size>=1.")
        return cls(likelihood, targets, block_size)

    @torch.no_grad()
    def update(self, outputs: Tree) -> "StreamedLogDensity":
        """After one more chunk of draws (n, N, *out) of the same rows.

        Raises:
            InputError: If the targets do not fit.
        """
        grown, logs = self, self.likelihood.log_prob(outputs, self.targets)
        while len(logs):
            room = grown.size - grown.counts[-1] if grown.counts else 0
            if not room and len(grown.counts) == MOST_GROUPS:
                grown = grown._halved()
            elif not room:
                grown = replace(
                    grown, counts=(*grown.counts, 0), sums=(*grown.sums, torch.full_like(logs[0], -torch.inf))
                )
            else:
                part, logs = logs[:room], logs[room:]
                last = torch.logaddexp(grown.sums[-1], part.logsumexp(dim=0))
                counts = (*grown.counts[:-1], grown.counts[-1] + len(part))
                grown = replace(grown, counts=counts, sums=(*grown.sums[:-1], last))
        return grown

    @property
    def log_mean_exp(self) -> Float[Tensor, " R N *_"]:
        """`log 1/T sum_t p(y | draw t)` in nats, then without each of the G groups; R = 1 for a single group.

        Raises:
            UnavailableError: Without draws.
        """
        if not self.counts:
            raise UnavailableError("0 draws given, a density of their mixture needs at least 1: `update` it first.")
        sums = torch.stack(self.sums)
        choices = [sums]
        if len(sums) > 1:
            choices += [torch.cat([sums[:g], sums[g + 1 :]]) for g in range(len(sums))]
        totals = torch.stack([choice.logsumexp(dim=0) for choice in choices])
        return totals - remaining(self.counts, sums).log().reshape(-1, *[1] * (sums.ndim - 1))

    def _halved(self) -> "StreamedLogDensity":
        """Neighbours joined in pairs."""
        counts = tuple(sum(self.counts[at : at + 2]) for at in range(0, len(self.counts), 2))
        sums = tuple(torch.stack(self.sums[at : at + 2]).logsumexp(dim=0) for at in range(0, len(self.sums), 2))
        return replace(self, size=2 * self.size, counts=counts, sums=sums)
