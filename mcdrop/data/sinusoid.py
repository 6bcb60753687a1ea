"""A noisy sinusoid on [-1, 1] with a gap in which nothing was measured."""

import math
import operator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError

LOW, HIGH = -1.0, 1.0


@dataclass(frozen=True)
class Sinusoid:
    """Inputs in random order and their noisy targets, as columns, like input and output of a network."""

    x: Float[Tensor, "N 1"]
    y: Float[Tensor, "N 1"]


def truth(x: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """What the targets scatter about, in the gap too: sin(2 pi x).

    Example:
        >>> truth(torch.tensor([0.0, 0.25]))
        tensor([0., 1.])
    """
    return torch.sin(2 * math.pi * x)


def draw(num_rows: int, *, noise: float = 0.1, gap: tuple[float, float] = (0.0, 0.5), seed: int = 0) -> Sinusoid:
    """y = sin(2 pi x) + N(0, noise^2), with x independent and uniform on [-1, 1] outside of the gap.

    The default gap hides one hump of the curve whole: the curve is 0 at both ends of it, and 1 between them. A
    network's epistemic uncertainty should be largest there and beyond the ends.

    Args:
        num_rows: How many points, at least 1.
        noise: Standard deviation, at least 0.
        gap: The interval without inputs, inside of [-1, 1] and shorter than it. (0, 0) leaves none.
        seed: Decides inputs and noise. One seed is one set; the inputs do not depend on `noise`.

    Returns:
        Columns as float32 on the CPU.

    Raises:
        InputError: An argument is out of its range.

    Example:
        >>> sinusoid = draw(50, gap=(0.0, 0.5), seed=0)
        >>> sinusoid.x.shape, ((sinusoid.x > 0) & (sinusoid.x < 0.5)).any()
        (torch.Size([50, 1]), tensor(False))
    """
    begin, end = gap
    if num_rows < 1:
        raise InputError(f"num_rows={num_rows!r}: at least 1 is needed.")
    if not 0 <= noise < math.inf:
        raise InputError(f"noise={noise!r}: a finite standard deviation, at least 0, is needed.")
    if not LOW <= begin <= end <= HIGH or end - begin == HIGH - LOW:
        raise InputError(f"gap={gap!r}: (begin, end) inside of [-1, 1] and shorter than it is needed.")
    generator = torch.Generator().manual_seed(operator.index(seed))
    x = LOW + (HIGH - LOW - (end - begin)) * torch.rand(num_rows, 1, generator=generator)
    x = torch.where(x < begin, x, x + (end - begin))
    return Sinusoid(x, truth(x) + noise * torch.randn(num_rows, 1, generator=generator))
