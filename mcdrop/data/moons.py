"""Two moons: a classification in the plane that no straight line solves."""

import math
from dataclasses import dataclass

import sklearn.datasets
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcdrop.errors import InputError


@dataclass(frozen=True)
class Moons:
    """Points of the plane and the moon that each belongs to."""

    x: Float[Tensor, "N 2"]
    labels: Int[Tensor, " N"]


def draw(num_rows: int, *, noise: float = 0.1, seed: int = 0) -> Moons:
    """Points on two half circles that reach into each other, shuffled.

    Class 0: (cos a, sin a); class 1: (1 - cos a, 1/2 - sin a); the angles a are evenly spaced over [0, pi] in each
    class, and each coordinate gets an independent N(0, noise^2).

    Args:
        num_rows: How many points, at least 2. Half of them belong to each class; of an odd number, class 1 gets one
            more.
        noise: Standard deviation, at least 0.
        seed: Decides order and noise, in [0, 2**32).

    Returns:
        Points as float32 and labels as int64, on the CPU.

    Raises:
        InputError: An argument is out of its range.

    Example:
        >>> moons = draw(200, noise=0.1, seed=0)
        >>> moons.x.shape, moons.labels.bincount()
        (torch.Size([200, 2]), tensor([100, 100]))

    Source:
        `sklearn.datasets.make_moons`.
    """
    if num_rows < 2:
        raise InputError(f"num_rows={num_rows!r}: at least 2 are needed, one of each class.")
    if not 0 <= noise < math.inf:
        raise InputError(f"noise={noise!r}: a finite standard deviation, at least 0, is needed.")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed!r}: an integer in [0, 2**32) is needed, such as seed=0.")
    x, labels = sklearn.datasets.make_moons(num_rows, noise=noise, random_state=seed)
    return Moons(torch.from_numpy(x).float(), torch.from_numpy(labels).long())
