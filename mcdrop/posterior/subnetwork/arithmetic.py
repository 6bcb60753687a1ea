"""What a smaller network saves: parameters, and multiply-adds."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mcdrop.sites import Shadow, Switch


@dataclass(frozen=True)
class Savings:
    """Size and arithmetic of a network, and of the smaller one made of it.

    Args:
        parameters_before: Numbers in the parameters of the network; buffers (running statistics, say) are not counted.
        parameters_after: The same of the smaller one.
        multiply_adds_before: Multiply-adds in the matrix products and convolutions of one pass over all the rows given.
            Nothing else is counted: no biases, activations, normalisation, or copies.
        multiply_adds_after: The same of the smaller one.

    Example:
        >>> saved = Savings(2000, 500, 40_000, 10_000)
        >>> saved.share_of_parameters
        0.25
        >>> print(saved)
        parameters 500 of 2,000 (25.0%), multiply-adds 10,000 of 40,000 (25.0%)
    """

    parameters_before: int
    parameters_after: int
    multiply_adds_before: int
    multiply_adds_after: int

    @property
    def share_of_parameters(self) -> float:
        """Parameters after over before; 1 where there are none."""
        return self.parameters_after / self.parameters_before if self.parameters_before else 1.0

    @property
    def share_of_multiply_adds(self) -> float:
        """Multiply-adds after over before; 1 where there are none."""
        return self.multiply_adds_after / self.multiply_adds_before if self.multiply_adds_before else 1.0

    def __str__(self) -> str:
        return (
            f"parameters {self.parameters_after:,} of {self.parameters_before:,} ({self.share_of_parameters:.1%}), "
            f"multiply-adds {self.multiply_adds_after:,} of {self.multiply_adds_before:,} "
            f"({self.share_of_multiply_adds:.1%})"
        )


def savings(model: nn.Module, smaller: nn.Module, *args: Any, **kwargs: Any) -> Savings:
    """What one network saves against another one, both run once in evaluation mode; neither is changed.

    Args:
        model: The network.
        smaller: What `bake` made of it.
        *args: Positional inputs of both.
        **kwargs: Keyword inputs of both.

    Example:
        >>> from mcdrop.posterior import Mask, bake
        >>> model = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        >>> mask = Mask({"2:dropout": torch.arange(8)[None] < 4}, {"2:dropout": 0.5})
        >>> x = torch.zeros(2, 10)
        >>> print(savings(model, bake(model, mask, x), x))
        parameters 59 of 115 (51.3%), multiply-adds 104 of 208 (50.0%)
    """
    counts = [(_parameters(one), _multiply_adds(one, args, kwargs)) for one in (model, smaller)]
    (parameters_before, before), (parameters_after, after) = counts
    return Savings(parameters_before, parameters_after, before, after)


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _multiply_adds(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Half of what torch counts, which is two operations for a multiplication and an addition."""
    shadow = Shadow(model, Switch(off=True))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shadow.root(*args, **kwargs)
    return counter.get_total_flops() // 2
