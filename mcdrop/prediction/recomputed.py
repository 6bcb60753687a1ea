"""A function of means over draws: what a prediction holds once its averages were changed.

To leave a group of draws out of it means to average the others and to change that average in the same way, so its
values without each group are kept in place of the group means.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import UnavailableError
from mcdrop.prediction.groups import Groups
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.spread import Spread


@final
@dataclass(frozen=True, eq=False)
class Recomputed(Moments):
    """The value of a function of means over draws, and its values without each group of draws. Made by `of`.

    A single draw has no value, so that a spread over draws is not defined; the Monte Carlo error is the jackknife's.

    Args:
        without: The values without each of the groups; none if there is only one group.

    Example:
        >>> import torch
        >>> moments = Moments.init().update(torch.tensor([1.0, 2.0, 6.0]))
        >>> square = Recomputed.of(moments.mean.square(), tuple(torch.tensor([16.0, 12.25, 2.25])), moments)
        >>> square.mean, square.mc_error  # by the delta method 2 * 3 * 1.53 = 9.2
        (tensor(9., dtype=torch.float64), tensor(8.2074, dtype=torch.float64))
    """

    without: tuple[Float[Tensor, "*shape"], ...] = ()

    @classmethod
    def of(
        cls, value: Float[Tensor, "*shape"], without: tuple[Float[Tensor, "*shape"], ...], moments: Moments
    ) -> "Recomputed":
        """The function whose value is `value`, and `without` if one of the groups of `moments` is left out."""
        unknown = value.new_full((), torch.nan).expand_as(value)
        groups = Groups(moments.groups.size, moments.groups.counts, dtype=moments.groups.dtype)
        return cls(moments.block_size, Spread(moments.count, value, unknown), groups=groups, without=without)

    def update(self, draws: Float[Tensor, " n *shape"]) -> Moments:
        """Raises UnavailableError: it is not known how another draw would change the value."""
        raise _unavailable("Another draw")

    def merge(self, other: Moments) -> Moments:
        """Raises UnavailableError, as `update`."""
        raise _unavailable("A merger")

    @property
    def mc_degrees_of_freedom(self) -> int:
        """The number of groups less one."""
        return len(self._values_without()) - 1

    @property
    def mc_error_is_upper_bound(self) -> bool:
        """False: with a single group there is no error at all."""
        self._values_without()
        return False

    @property
    def group_means(self) -> Float[Tensor, " G *shape"]:
        """Raises UnavailableError: the value is no average over groups."""
        raise _unavailable("The mean of a group")

    def _spread(self, least: int) -> Spread:
        if least > 1:
            raise _unavailable("The spread over draws")
        return super()._spread(least)

    def _squared_error(self) -> Tensor:
        return jackknife_squared_error(self.mean, torch.stack(self._values_without()), self.groups.counts)

    def _values_without(self) -> tuple[Tensor, ...]:
        if not self.without:
            raise UnavailableError(
                f"All {self.count} draws are one group, and the Monte Carlo error of a recalibrated prediction needs "
                "two: predict with at least two blocks of draws."
            )
        return self.without


def jackknife_squared_error(
    value: Float[Tensor, "*shape"], without: Float[Tensor, " G *shape"], counts: tuple[int, ...]
) -> Float[Tensor, "*shape"]:
    """The square of the delete-m_j jackknife standard error of each element, for groups of unequal size.

    With `h_j = T / n_j` and pseudo-values `v_j = h_j value - (h_j - 1) without_j` of mean
    `v = G value - sum_j (1 - n_j/T) without_j`, it is `1/G sum_j (v_j - v)^2 / (h_j - 1)`.

    Args:
        value: From all T draws.
        without: Without each of G >= 2 groups.
        counts: Draws in each group, `n_j`.

    Source: Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m", Statistics and Computing 9, eq. 5
    to 7, https://doi.org/10.1023/A:1008800423698.

    Example:
        >>> import torch
        >>> jackknife_squared_error(torch.tensor(2.0), torch.tensor([2.5, 2.0, 1.5]), (1, 1, 1))  # of a mean: s^2/3
        tensor(0.3333)
    """
    h = sum(counts) / torch.tensor(counts, dtype=value.dtype, device=value.device)
    h = h.reshape(-1, *[1] * value.ndim)
    off = without.to(value.dtype) - value  # all relative to `value`, so that nothing cancels
    deviation = ((1 - 1 / h) * off).sum(dim=0) - (h - 1) * off
    return (deviation.square() / (h - 1)).mean(dim=0)


def _unavailable(what: str) -> UnavailableError:
    return UnavailableError(
        f"{what} asked of a prediction that was recalibrated after its draws were averaged, so that a single draw says "
        "nothing: ask the prediction before, or recalibrate inside the average."
    )
