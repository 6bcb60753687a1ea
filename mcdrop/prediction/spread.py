"""A weighted mean and the sum of squares about it, of numbers that arrive in parts.

Two parts combine into their union exactly as if all numbers had been seen at once (Chan, Golub & LeVeque 1983), and
nothing is ever subtracted that is large: a stream of mean 1000 and standard deviation .001 keeps its variance.
"""

from dataclasses import dataclass
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor

# Numbers taken at a time: the temporaries then stay in the processor's cache, which is several times faster.
_PIECE = 2**16


@dataclass(frozen=True, eq=False)
class Spread:
    """Total weight, weighted mean and weighted sum of squares about that mean.

    `W = sum_i w_i`, `c = sum_i w_i x_i / W`, `S = sum_i w_i (x_i - c)^2`.
    """

    weight: int
    centre: Float[Tensor, "*shape"]
    squares: Float[Tensor, "*shape"]


def spread(values: Float[Tensor, " n *shape"], each: int = 1) -> Spread:
    """The spread of `n >= 1` numbers per element, all of the weight `each`, in the accumulation dtype.

    Example:
        >>> import torch
        >>> spread(torch.tensor([1.0, 3.0]))
        Spread(weight=2, centre=tensor(2., dtype=torch.float64), squares=tensor(2., dtype=torch.float64))
    """
    centres, squares = [], []
    for part in values.reshape(len(values), values[0].numel()).split(max(1, _PIECE // len(values)), dim=1):
        numbers = accumulated(part)
        centres.append(numbers.mean(dim=0))
        squares.append((numbers - centres[-1]).square().sum(dim=0) * each)
    shape = values.shape[1:]
    return Spread(len(values) * each, torch.cat(centres).reshape(shape), torch.cat(squares).reshape(shape))


@overload
def combine(first: Spread, second: Spread | None) -> Spread: ...


@overload
def combine(first: Spread | None, second: Spread) -> Spread: ...


@overload
def combine(first: Spread | None, second: Spread | None) -> Spread | None: ...


def combine(first: Spread | None, second: Spread | None) -> Spread | None:
    """The spread of the union; None stands for no numbers.

    With `d = c_2 - c_1` and `W = W_1 + W_2`: `c = c_1 + d W_2 / W` and `S = S_1 + S_2 + d^2 W_1 W_2 / W`.

    Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", The American Statistician 37,
    eq. 2.1, https://doi.org/10.1080/00031305.1983.10483115; with weights as in West 1979.

    Example:
        >>> import torch
        >>> combine(spread(torch.tensor([1.0, 3.0])), spread(torch.tensor([5.0])))
        Spread(weight=3, centre=tensor(3., dtype=torch.float64), squares=tensor(8., dtype=torch.float64))
    """
    if first is None or second is None:
        return second if first is None else first
    weight = first.weight + second.weight
    share = second.weight / weight
    difference = second.centre - first.centre
    return Spread(
        weight,
        first.centre + difference * share,
        first.squares + second.squares + difference.square() * (first.weight * share),
    )


def accumulated(tensor: Tensor) -> Float[Tensor, "..."]:
    """The tensor in the precision that statistics are computed in: float64, or float32 where the device has no other.

    Example:
        >>> import torch
        >>> accumulated(torch.zeros(2, dtype=torch.bfloat16)).dtype
        torch.float64
    """
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)
