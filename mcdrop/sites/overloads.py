"""Operations of exported graphs: `torch.ops.aten.dropout.default` is `torch.dropout` by another name."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket

_OPERATIONS = (OpOverload, OpOverloadPacket)


def public(function: Any) -> Any:
    """The function of PyTorch's public face that an operation of an exported graph stands for, with the same arguments.

    Args:
        function: Any function. What is no operation of an exported graph, or has no public name, is returned as it is.

    Example:
        >>> public(torch.ops.aten.dropout.default) is torch.dropout
        True
        >>> public(torch.ops.aten.bernoulli_.float) is torch.Tensor.bernoulli_
        True
        >>> public(torch.relu) is torch.relu
        True
    """
    return _public(function) if isinstance(function, _OPERATIONS) else function


@lru_cache(maxsize=4096)
def _public(function: OpOverload | OpOverloadPacket) -> Any:
    qualified = function._schema.name if isinstance(function, OpOverload) else function._qualified_op_name
    library, _, name = qualified.partition("::")
    if library != "aten":
        return function
    # What is drawn in place is a method first, dropout in place (`torch.dropout_`) a function alone.
    houses = (Tensor, torch, F) if name.endswith("_") else (torch, F, Tensor)
    return next((getattr(house, name) for house in houses if hasattr(house, name)), function)
