"""DropBlock: neighbouring positions of a channel are dropped together, for a pixel alone is told by those around."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise.law import Law, check_probability


@dataclass(frozen=True)
class DropBlockLaw(Law):
    """Blocks of an activation (N, C, *positions) are 0, and what is left of a row is scaled up to the row's size.

    In each channel of each row seeds are drawn with probability gamma, at the places where a block fits. A seed drops
    the block of b positions along each axis that begins there:

        gamma = p prod_i L_i / (b_i (L_i - b_i + 1)),   b_i = min(b, L_i)                    (eq. 1, for any axes)
        z_n = M_n count(M_n) / sum(M_n),   M_n the 0/1 mask of row n, of C prod_i L_i values

    The paper leaves open what is counted. Here it is the mask of one row, so that rows are never tied: a row's noise is
    the same in any batch. The values of a row average to 1 in every draw, unless all of them are dropped, when z = 0.

    Values at different places have different laws, and within a row all depend on each other by the scale, so that
    mean, variance, density and entropy "of one value" are not there: what is known is `keep_probability`.

    Args:
        p: What gamma is to make the share of dropped values, in [0, 1]. It is exact for b = 1 and where b covers all;
            elsewhere blocks overlap and the share is smaller, see `keep_probability`.
        block_size: b >= 1, positions along each axis; an axis shorter than that is dropped whole.

    Raises:
        InputError: p is no probability, or b no integer >= 1.

    Example:
        >>> law = DropBlockLaw(p=0.1, block_size=7)
        >>> round(law.gamma((8, 64, 28, 28)), 6), round(law.keep_probability((8, 64, 28, 28)).mean().item(), 4)
        (0.003306, 0.9061)

    Source:
        Ghiasi, Lin & Le 2018, "DropBlock: a regularization method for convolutional networks", eq. 1 and algorithm 1,
        arXiv:1810.12890.
    """

    p: float
    block_size: int = 7

    def __post_init__(self) -> None:
        check_probability(self.p)
        if isinstance(self.block_size, bool) or not isinstance(self.block_size, int) or self.block_size < 1:
            raise InputError(f"block_size={self.block_size!r} was given; expected an integer >= 1.")

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The activation's own: every value has its place, though they are not independent."""
        if len(shape) < 3 or 0 in shape[2:]:
            raise InputError(
                f"DropBlock was given an activation {tuple(shape)}; expected rows, channels and at least one axis of "
                "positions, (N, C, H, W) say. Without positions use BernoulliDropout; give a single sample a row axis."
            )
        return tuple(shape)

    def gamma(self, shape: Sequence[int]) -> float:
        """The probability of a seed, for an activation of `shape`.

        Raises:
            InputError: It has no positions.
        """
        return self.p * prod(
            length / (block * (length - block + 1)) for length, block in zip(shape[2:], self.blocks(shape), strict=True)
        )

    def blocks(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Positions of a block along each axis, b_i = min(b, L_i).

        Raises:
            InputError: There are no positions.
        """
        return tuple(min(self.block_size, length) for length in self.mask_shape(shape)[2:])

    def seed_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the seeds, which are independent: one for each place where a block fits, (N, C, *(L_i - b_i + 1)).

        Raises:
            InputError: There are no positions.
        """
        fitting = (length - block + 1 for length, block in zip(shape[2:], self.blocks(shape), strict=True))
        return (*shape[:2], *fitting)

    def keep_probability(self, shape: Sequence[int]) -> Float[Tensor, "*positions"]:
        """P(M = 1) at each position: (1 - gamma)^n where n blocks cover it; float64. Edges are covered less.

        Example:
            >>> DropBlockLaw(p=0.5, block_size=2).keep_probability((1, 1, 3))  # gamma = 0.375
            tensor([0.6250, 0.3906, 0.6250], dtype=torch.float64)
        """
        covering = torch.ones((), dtype=torch.float64)
        for length, block in zip(shape[2:], self.blocks(shape), strict=True):
            place = torch.arange(length)
            along = place.clamp(max=length - block) - (place - block + 1).clamp(min=0) + 1
            covering = covering[..., None] * along
        return (1 - self.gamma(shape)) ** covering

    def kept(self, seeds: Float[Tensor, "N C *fitting"], shape: Sequence[int]) -> Float[Tensor, "N C *positions"]:
        """M: 0 where a block of a seed lies, 1 elsewhere.

        Args:
            seeds: 0 and 1, of `seed_shape(shape)`.
            shape: Of the activation.

        Example:
            >>> DropBlockLaw(p=0.5, block_size=2).kept(torch.tensor([[[0.0, 1.0, 0.0]]]), (1, 1, 4))
            tensor([[[1., 0., 0., 1.]]])
        """
        for axis, block in enumerate(self.blocks(shape), start=2):
            around = [0, 0] * (seeds.ndim - 1 - axis) + [block - 1, block - 1]
            seeds = F.pad(seeds, around).unfold(axis, block, 1).amax(dim=-1)
        return 1 - seeds

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        seeds = torch.empty(self.seed_shape(shape), dtype=dtype, device=generator.device)
        kept = self.kept(seeds.bernoulli_(self.gamma(shape), generator=generator), shape)
        return kept / share(kept)

    @property
    def mean(self) -> float:
        self._refuse("mean")

    @property
    def variance(self) -> float:
        self._refuse("variance")

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        self._refuse("probability")

    @property
    def entropy(self) -> float:
        self._refuse("entropy")

    def _refuse(self, what: str) -> NoReturn:
        raise UnavailableError(
            f"The {what} of one value of DropBlock depends on its place and on its row: there is no single one. See "
            "keep_probability(shape) for what is known in closed form."
        )


class DropBlock(nn.Module):
    """Whole blocks of positions: in training h'_n = h_n M_n count(M_n) / sum(M_n); in evaluation the identity.

    M_n is 0 on the blocks of the seeds, see `DropBlockLaw`. Unlike torchvision's `drop_block2d`, which divides by the
    share that the whole batch has kept, a row is scaled by its own. The paper raises p from 0 in the course of the
    training ("scheduled DropBlock"): set `p` between epochs.

    Args:
        p: What gamma is to make the share of dropped values, in [0, 1].
        block_size: b >= 1, positions along each axis.

    Shape:
        (N, C, *positions) with at least one axis of positions; the output has the input's.

    Raises:
        InputError: p is no probability, or b no integer >= 1; in training, an activation without positions.

    Example:
        >>> _ = torch.manual_seed(2)
        >>> DropBlock(p=0.3, block_size=2)(torch.ones(1, 1, 3, 4))[0, 0]
        tensor([[1.5000, 0.0000, 0.0000, 1.5000],
                [1.5000, 0.0000, 0.0000, 1.5000],
                [1.5000, 1.5000, 1.5000, 1.5000]])
    """

    def __init__(self, p: float = 0.1, block_size: int = 7) -> None:
        super().__init__()
        self.p = check_probability(p)
        self.block_size = DropBlockLaw(p, block_size).block_size

    @property
    def law(self) -> DropBlockLaw:
        """The law of its mask."""
        return DropBlockLaw(self.p, self.block_size)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return input
        law = self.law
        # Drawn in at least float32: a share rounded to bfloat16 would scale by up to .2 % too much or too little.
        dtype = torch.promote_types(input.dtype, torch.float32)
        empty = input.new_empty(law.seed_shape(input.shape), dtype=dtype)
        kept = law.kept(torch.bernoulli(empty, p=law.gamma(input.shape)), input.shape)
        return (input * kept / share(kept)).to(input.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}, block_size={self.block_size}"


def share(kept: Float[Tensor, "N C *positions"]) -> Float[Tensor, " N *ones"]:
    """The share of each row's values that are kept; one value's where none is, so that 0 / share stays 0."""
    values = prod(kept.shape[1:])
    return kept.sum(dim=tuple(range(1, kept.ndim)), keepdim=True).clamp(min=1) / values
