"""A set of n random masks whose overlap is chosen: what Masksembles is made of."""

import math

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from mcdrop.errors import InputError


def draw_masks(num_features: int, num_masks: int, scale: float, seed: int) -> Bool[Tensor, "n C"]:
    """n random masks that keep m features each and use all C of them.

    m of P = m s positions are drawn for each mask, and positions that no mask uses are left out. One is used with
    probability q = 1 - (1 - m/P)^n, so that C = P q on average, and sets are drawn until C are used; m and P are the
    integers that come nearest to the scale.

    Args:
        num_features: C >= 2.
        num_masks: n >= 2.
        scale: s >= 1.
        seed: An integer >= 0.

    Returns:
        True where a mask keeps a feature, (n, C).

    Raises:
        InputError: An argument outside the above.

    Example:
        >>> masks = draw_masks(60, 4, scale=2.0, seed=0)
        >>> masks.shape, masks.sum(dim=1).tolist()
        (torch.Size([4, 60]), [32, 32, 32, 32])

    Source:
        Durasov et al. 2021, sec. 3.2, arXiv:2012.08334.
    """
    _check(num_features, num_masks, scale, seed)
    kept, positions = _sizes(num_features, num_masks, scale)
    rng = np.random.default_rng(seed)
    while True:  # C is within 1/2 of the mean of what is used, so that a few hundred sets will do
        masks = rng.random((num_masks, positions)).argsort(axis=1) < kept
        used = masks.any(axis=0)
        if used.sum() == num_features:
            return torch.from_numpy(masks[:, used])


def _sizes(num_features: int, num_masks: int, scale: float) -> tuple[int, int]:
    """m and P with P (1 - (1 - m/P)^n) within 1/2 of C, and P/m as near to s as it gets."""
    best = (math.inf, 0, 0)
    expected = num_features / (scale * (1 - (1 - 1 / scale) ** num_masks))
    for kept in (max(1, math.floor(expected)), math.ceil(expected)):
        positions = np.arange(kept, math.ceil(2 * kept * scale) + num_features + 1)
        used = positions * (1 - (1 - kept / positions) ** num_masks)
        fitting = positions[np.abs(used - num_features) <= 0.5]
        if len(fitting):
            off = np.abs(np.log(fitting / (kept * scale)))
            best = min(best, (off.min(), kept, int(fitting[off.argmin()])))
    return best[1:]


def _check(num_features: int, num_masks: int, scale: float, seed: int) -> None:
    for name, number, least in (("num_features", num_features, 2), ("num_masks", num_masks, 2), ("seed", seed, 0)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise InputError(f"{name}={number!r} was given; expected an integer >= {least}.")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 1 <= scale <= 100:
        raise InputError(
            f"scale={scale!r} was given; expected a number from 1 (equal masks) to 100 (all but disjoint)."
        )
