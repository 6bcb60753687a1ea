"""Why a loss became NaN or infinite."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from mcdrop.errors import NonFiniteError


def check_loss(
    loss: Float[Tensor, "*members"], weights: Mapping[str, Tensor], optimizer: Optimizer, where: str
) -> None:
    """Raises if the loss is no finite number.

    Args:
        loss: Of one batch, before its step: of one network, or of several.
        weights: By name; they tell the cause.
        optimizer: Whose learning rate does.
        where: Epoch and step, in words.

    Raises:
        NonFiniteError: With the likely cause.
    """
    wrong = ~torch.isfinite(loss)
    if wrong.any():
        members = f" of members {wrong.nonzero().flatten().tolist()}" if loss.ndim else ""
        value = loss.detach()[wrong].flatten()[0].item()
        raise NonFiniteError(f"The loss{members} is {value} in {where}. {_cause(weights, optimizer)}")


def check_weights(weights: Mapping[str, Tensor], optimizer: Optimizer, where: str) -> None:
    """Raises if a weight is no finite number: the last step of an epoch has no loss after it.

    Args:
        weights: By name.
        optimizer: Whose learning rate is named.
        where: The epoch, in words.

    Raises:
        NonFiniteError: Names the weights and the likely cause.
    """
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise NonFiniteError(f"Training failed in {where}. {_cause(weights, optimizer)}")


def _cause(weights: Mapping[str, Tensor], optimizer: Optimizer) -> str:
    rates = ", ".join(f"{rate:g}" for rate in sorted({float(group["lr"]) for group in optimizer.param_groups}))
    wrong = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if wrong:
        return (
            f"The weights {', '.join(wrong[:3])} are NaN or infinite: a step was too large. Lower the "
            f"learning rate, which is {rates}."
        )
    largest = max((weight.abs().max().item() for weight in weights.values() if weight.numel()), default=0.0)
    if largest > 1e3:
        return f"A weight has grown to {largest:.3g}: the learning rate ({rates}) is too large."
    return (
        "Inputs and weights are finite: the network gave probability 0 to what happened (the log of zero: return "
        "logits rather than probabilities), or its output overflowed."
    )
