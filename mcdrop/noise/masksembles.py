"""Masksembles: a fixed set of n masks, each of which picks one member of an ensemble that shares its weights.

Dropout draws a new mask each time; an ensemble has n networks that share nothing. Here the masks are drawn once, and
how much two of them overlap is set by a scale: at 1 they are all the same; the larger it is, the less they share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise.fixed_masks import draw_masks
from mcdrop.noise.law import Law


@dataclass(frozen=True, eq=False)
class MasksemblesLaw(Law):
    """One mask of n for each row, all equally likely, with one value for each feature: 0, or c_j.

    With k_j of the n masks keeping feature j, averages over the features of

        E[z_j] = c_j k_j / n,   Var[z_j] = c_j^2 k_j / n (1 - k_j / n),   H[z_j] = entropy of k_j / n

    and c_j = n / k_j inverted, so that E[z_j] = 1 for every feature; c_j = 1 as in the paper. The values of a row are
    not independent: a row's whole mask has the entropy log n.

    Args:
        masks: True where a mask keeps a feature, (n, C); every feature is kept by one mask at least.
        dim: Axis of the features; axis 0 holds the rows.
        inverted: Whether what is kept is divided by its k_j / n.

    Raises:
        InputError: The masks are no such table, or dim is 0.

    Example:
        >>> law = MasksemblesLaw(torch.tensor([[True, True, False], [False, True, True]]))
        >>> law.mask_shape((8, 3, 32, 32)), law.mean, round(law.variance, 4)
        ((8, 3, 1, 1), 1.0, 0.6667)
        >>> law.values
        tensor([[2., 1., 0.],
                [0., 1., 2.]], dtype=torch.float64)

    Source:
        Durasov et al. 2021, "Masksembles for uncertainty estimation", sec. 3, arXiv:2012.08334.
    """

    masks: Bool[Tensor, "n C"]
    dim: int = 1
    inverted: bool = True

    def __post_init__(self) -> None:
        if self.masks.ndim != 2 or self.masks.dtype != torch.bool or not self.masks.any(dim=0).all():
            raise InputError(
                f"Masks {tuple(self.masks.shape)} of {self.masks.dtype} were given; expected booleans, (n, C), with "
                "every feature kept by one mask at least."
            )
        _check_dim(self.dim)

    @property
    def share(self) -> Float[Tensor, " C"]:
        """k_j / n, the share of the masks that keep each feature."""
        return self.masks.double().mean(dim=0)

    @property
    def values(self) -> Float[Tensor, "n C"]:
        """The n masks as factors, 0 or c_j."""
        return self.masks / self.share if self.inverted else self.masks.double()

    @property
    def overlap(self) -> float:
        """Features that two masks both keep over those that either keeps (Jaccard 1912), averaged over all pairs.

        For n masks drawn with scale s it is about 1 / (2 s - 1).
        """
        pairs = list(combinations(self.masks, 2))
        return sum(((a & b).sum() / (a | b).sum()).item() for a, b in pairs) / len(pairs)

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return _mask_shape(self.masks.shape[1], self.dim, shape)

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        mask_shape = self.mask_shape(shape)
        member = torch.randint(len(self.masks), shape[:1], generator=generator, device=generator.device)
        return self.values.to(generator.device, dtype)[member].view(mask_shape)

    @property
    def mean(self) -> float:
        return 1.0 if self.inverted else self.share.mean().item()

    @property
    def variance(self) -> float:
        share = self.share
        return (share * (1 - share) / (share.square() if self.inverted else 1)).mean().item()

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        self.mask_shape(z.shape)
        along = [1] * z.ndim
        along[self.dim] = -1
        kept = self.values.amax(dim=0).to(z).view(along)
        share = self.share.to(z).view(along).expand(z.shape)
        result = torch.full_like(z, -math.inf)
        result = torch.where(torch.isclose(z, kept), share.log(), result)
        return torch.where(z == 0, (1 - share).log(), result)

    @property
    def entropy(self) -> float:
        share = self.share
        return -(torch.special.xlogy(share, share) + torch.special.xlogy(1 - share, 1 - share)).mean().item()


class Masksembles(nn.Module):
    """One of n fixed masks for each row: in training h'_nj = h_nj m_ij n / k_j, i ~ Uniform{1 .. n}; k_j masks keep j.

    In evaluation the identity, which is the mean over the masks. With `inverted=False`, as in the paper, it is h m_i in
    training and h_j k_j / n in evaluation.

    Stands behind a linear or convolutional layer, whose weights stay what they are: `mcdrop.sites.insert` puts it into
    a trained network. A row draws its mask on its own, so that n groups of rows, about equally large, see the n masks;
    the paper cuts the batch into n groups, which after shuffling is the same but for their sizes. In a prediction draws
    pick masks at random; with `num_samples=n, design=mcdrop.Stratified(n)` the draws are the n masks, each of them
    once. Where several such layers are to use the same i, see `TiedMasksembles`.

    Args:
        num_features: C >= 2, features or channels.
        num_masks: n >= 2.
        scale: s in [1, 100]. A mask keeps about C / (s (1 - (1 - 1/s)^n)) features, and two masks overlap by about
            1 / (2 s - 1): n equal masks at 1, disjoint ones for large s.
        seed: Of the masks, an integer >= 0; layers with the same arguments have the same masks.
        dim: Axis of the features: 1 behind convolutions, -1 behind a linear layer on (N, L, C).
        inverted: Whether what is kept is divided by the share of the masks that keep it.

    Shape:
        (N, C, *positions), or with the features on axis `dim`; the output has the input's.

    Raises:
        InputError: An argument outside the above; in training, an activation with another number of features.

    Example:
        >>> layer = Masksembles(num_features=12, num_masks=3, scale=2.0)
        >>> layer.masks.shape, round(layer.law.overlap, 2)
        (torch.Size([3, 12]), 0.32)
        >>> layer(torch.ones(1000, 12)).unique(dim=0).shape  # three masks and no others
        torch.Size([3, 12])

    Source:
        Durasov et al. 2021, sec. 3, arXiv:2012.08334.
    """

    masks: Tensor

    def __init__(
        self,
        num_features: int,
        num_masks: int = 4,
        scale: float = 2.0,
        *,
        seed: int = 0,
        dim: int = 1,
        inverted: bool = True,
    ) -> None:
        super().__init__()
        _check_dim(dim)
        self.register_buffer("masks", draw_masks(num_features, num_masks, scale, seed))
        self.scale = scale
        self.dim = dim
        self.inverted = inverted
        self._member: _Member | None = None  # what `TiedMasksembles` gives the layers of a pass

    @property
    def law(self) -> MasksemblesLaw:
        """The law of its mask."""
        return MasksemblesLaw(self.masks, self.dim, self.inverted)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        training = self.training
        if not training and self.inverted:
            return input
        shape = _mask_shape(self.masks.shape[1], self.dim, input.shape)
        # In at least float32: n / k_j rounded to bfloat16 would be off by up to .2 %.
        share = self.masks.to(torch.promote_types(input.dtype, torch.float32)).mean(dim=0).view(1, *shape[1:])
        if not training:
            return (input * share).to(input.dtype)
        member = (self._member or _Member()).of_rows(len(input), len(self.masks), input.device)
        kept = input * self.masks[member].view(shape)
        return (kept / share).to(input.dtype) if self.inverted else kept

    def extra_repr(self) -> str:
        num_masks, num_features = self.masks.shape
        return f"{num_features}, num_masks={num_masks}, scale={self.scale}, dim={self.dim}, inverted={self.inverted}"


class TiedMasksembles(nn.Module):
    """A network whose Masksembles layers all use one and the same mask number i for a row: n members and no mixtures.

        in training f(x; m_i^(1), .., m_i^(L)), i ~ Uniform{1 .. n}

    Untied, L layers of n masks make n^L sub-networks.

    Args:
        model: The network; it is held, not copied. Its layers see the rows of the input on axis 0.

    Raises:
        InputError: No Masksembles in the network, or layers with different numbers of masks; in training, layers that
            see different numbers of rows.

    Example:
        >>> layers = nn.Linear(4, 16), Masksembles(16), nn.ReLU(), nn.Linear(16, 16), Masksembles(16), nn.Linear(16, 2)
        >>> network = TiedMasksembles(nn.Sequential(*layers))
        >>> len(network(torch.ones(1000, 4)).unique(dim=0)), len(network.model(torch.ones(1000, 4)).unique(dim=0))
        (4, 16)

    Source:
        Durasov et al. 2021, sec. 3, arXiv:2012.08334.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        counts = {len(layer.masks) for layer in model.modules() if isinstance(layer, Masksembles)}
        if len(counts) != 1:
            found = f"numbers of masks {sorted(counts)}" if counts else "no Masksembles layer"
            raise InputError(f"{type(model).__name__} has {found}; expected such layers with one number of masks.")
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        layers = [layer for layer in self.model.modules() if isinstance(layer, Masksembles)]
        # Drawn by the first layer that needs it: in evaluation nobody does.
        member = _Member()
        try:
            for layer in layers:
                layer._member = member
            return self.model(*args, **kwargs)
        finally:
            for layer in layers:
                layer._member = None


class _Member:
    """The mask numbers of the rows, drawn once."""

    def __init__(self) -> None:
        self._drawn: Tensor | None = None

    def of_rows(self, rows: int, count: int, device: torch.device) -> Int[Tensor, " N"]:
        """A number in 0 .. count - 1 for each row."""
        if self._drawn is None:
            # Bounded: a uniform number that rounds to 1 is outside what torch.rand gives, and inside what others give.
            self._drawn = (torch.rand(rows, device=device) * count).long().clamp(max=count - 1)
        if len(self._drawn) != rows:
            raise InputError(
                f"A layer sees {rows} rows where another saw {len(self._drawn)}; expected the rows of the input on "
                "axis 0 of each, to use one mask number for a row."
            )
        return self._drawn.to(device)


def _mask_shape(count: int, dim: int, shape: Sequence[int]) -> tuple[int, ...]:
    axis = dim + (len(shape) if dim < 0 else 0)
    if not 0 < axis < len(shape) or shape[axis] != count:
        raise InputError(
            f"Masksembles of {count} features was given an activation {tuple(shape)}; expected rows on axis 0 and "
            f"{count} features on axis {dim}. Choose the axis with dim=."
        )
    return tuple(size if place in (0, axis) else 1 for place, size in enumerate(shape))


def _check_dim(dim: int) -> None:
    if isinstance(dim, bool) or not isinstance(dim, int) or dim == 0:
        raise InputError(f"dim={dim!r} was given; expected the axis of the features, which is not axis 0 of the rows.")
