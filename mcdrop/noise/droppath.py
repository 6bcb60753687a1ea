"""DropPath, or stochastic depth: a whole residual branch is dropped for a row, so that the net is shallower there."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise.bernoulli import KeepOrDrop, masked
from mcdrop.noise.law import check_probability


@dataclass(frozen=True)
class DropPathLaw(KeepOrDrop):
    """One value for each row of an activation (N, *any): 0, or 1 / (1 - p).

    Moments and entropy are those of one value; within a row the correlation is 1.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p; the paper does not and shrinks in evaluation.

    Raises:
        InputError: p is no probability.

    Example:
        >>> DropPathLaw(p=0.2).mask_shape((8, 3, 32, 32)), DropPathLaw(p=0.2).variance
        ((8, 1, 1, 1), 0.25)

    Source:
        Huang et al. 2016, "Deep networks with stochastic depth", eq. 2 and 5, arXiv:1603.09382.
    """

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        if not shape:
            raise InputError("DropPath was given an activation without axes; expected one with a row axis, (N, *any).")
        return (shape[0], *(1 for _ in shape[1:]))


class DropPath(nn.Module):
    """Whole rows: in training h'_n = h_n z_n / (1 - p), z_n ~ Bernoulli(1 - p); in evaluation the identity.

    Stands on a residual branch, x + drop(f(x)): where z_n = 0 the block is skipped for row n. The same as timm's
    `DropPath` and torchvision's `StochasticDepth(mode="row")`.

    Args:
        p: Probability of zeroing the branch of a row, in [0, 1].

    Shape:
        (N, *any); the output has the input's.

    Raises:
        InputError: p is no probability; in training, an activation without axes.

    Example:
        >>> import torch
        >>> DropPath(p=0.5)(torch.ones(1000, 4)).unique(dim=0)  # a row is dropped as a whole
        tensor([[0., 0., 0., 0.],
                [2., 2., 2., 2.]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    @property
    def law(self) -> DropPathLaw:
        """The law of its mask."""
        return DropPathLaw(self.p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return input
        return masked(input, self.law)

    def extra_repr(self) -> str:
        return f"p={self.p}"
