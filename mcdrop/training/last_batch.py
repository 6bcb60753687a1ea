"""A last batch of one row, which batch normalisation cannot take: found before the first step."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mcdrop.errors import InputError
from mcdrop.training.rows import Rows
from mcdrop.tree import tensors


@torch.no_grad()
def check_last_batch(model: nn.Module, rows: Rows) -> None:
    """Raises if an epoch ends with a single row and a layer normalises by the variance of what it gets.

    A layer that gets several values of each channel from every row (pixels, tokens) takes a single one.

    Args:
        model: The network; left in evaluation mode.
        rows: The training data.

    Raises:
        InputError: Names the layer.
    """
    if rows.rows_of_last_batch != 1:
        return
    model.train()
    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    norms = [(name, module) for name, module in norms if module.training]  # others were frozen by their owner
    model.eval()
    args, kwargs, target = next(rows.in_order())
    alone: list[str] = []

    def note(name: str, _: nn.Module, given: tuple[Any, ...]) -> None:
        (values,) = tensors(given)
        if values.numel() == values.shape[1] * len(target):
            alone.append(name)

    hooks = [module.register_forward_pre_hook(partial(note, name)) for name, module in norms]
    try:
        model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    if alone:
        raise InputError(
            f"The last batch of an epoch has 1 row ({rows.num_rows} rows were given), of which batch normalisation in "
            f"layer {alone[0]!r} can take no variance. Use another batch_size, leave a row out, or give a DataLoader "
            "with drop_last=True."
        )
