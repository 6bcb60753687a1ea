"""Spatial dropout: whole channels are dropped, because neighbouring pixels of one channel say much the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise.bernoulli import KeepOrDrop, masked
from mcdrop.noise.law import check_probability


@dataclass(frozen=True)
class SpatialLaw(KeepOrDrop):
    """One value for each row and channel of an activation (N, C, *positions): 0, or 1 / (1 - p).

    Moments and entropy are those of one value; within a channel the correlation is 1.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p.

    Raises:
        InputError: p is no probability.

    Example:
        >>> SpatialLaw(p=0.2).mask_shape((8, 3, 32, 32)), SpatialLaw(p=0.2).variance
        ((8, 3, 1, 1), 0.25)

    Source:
        Tompson et al. 2015, "Efficient object localization using convolutional networks", sec. 3.2, arXiv:1411.4280.
    """

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        if len(shape) < 3:
            raise InputError(
                f"SpatialDropout was given an activation {tuple(shape)}; expected rows, channels and at least one axis "
                "of positions, (N, C, L) say. Without positions use BernoulliDropout; give a single sample a row axis."
            )
        return (*shape[:2], *(1 for _ in shape[2:]))


class SpatialDropout(nn.Module):
    """Whole channels: in training h'_nc = h_nc z_nc / (1 - p), z_nc ~ Bernoulli(1 - p); in evaluation the identity.

    The same as `nn.Dropout1d`, `nn.Dropout2d` and `nn.Dropout3d` on batches, for any number of positions.

    Args:
        p: Probability of zeroing a channel, in [0, 1].

    Shape:
        (N, C, *positions) with at least one axis of positions; the output has the input's.

    Raises:
        InputError: p is no probability; in training, an activation without positions.

    Example:
        >>> import torch
        >>> SpatialDropout(p=0.5)(torch.ones(1, 1000, 4))[0].unique(dim=0)  # a channel is dropped as a whole
        tensor([[0., 0., 0., 0.],
                [2., 2., 2., 2.]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    @property
    def law(self) -> SpatialLaw:
        """The law of its mask."""
        return SpatialLaw(self.p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return input
        return masked(input, self.law)

    def extra_repr(self) -> str:
        return f"p={self.p}"
