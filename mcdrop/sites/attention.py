"""Dropout on attention weights: `scaled_dot_product_attention` and `nn.MultiheadAttention`.

Both keep the weights to themselves: the first in one fused kernel, which has no training flag either (a probability
above 0 is the flag), the second in a function that hides its inner operations from a function mode. Without dropout on
the weights the fused kernel runs, under vmap too, where PyTorch would run it sample by sample.
"""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mcdrop.sites.operations import Call

# The same code with the one check left out that would hand the whole function to the mode again: what it is made of
# (projections, softmax, dropout) then comes to the mode piece by piece.
multi_head_attention_forward = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**vars(F), "has_torch_function": lambda operands: False},
    "multi_head_attention_forward",
    F.multi_head_attention_forward.__defaults__,
)


def attend(
    masked: Callable[[Call], Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` written out, with its weights handed to `masked`.

    out = dropout(softmax(scale Q K^T + mask)) V (Vaswani et al. 2017, eq. 1). A query that may attend to nothing gets
    weights 0, as PyTorch's kernel gives it.

    Args:
        masked: Takes the dropout of the weights as a call; returns the masked weights.
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, Ev).
        attn_mask: Boolean (True may attend) or additive, broadcasting against (..., L, S).
        dropout_p: Probability of zeroing a weight.
        is_causal: Whether position i attends to positions 0 to i alone.
        scale: Factor of the scores; None for 1 / sqrt(E).
        enable_gqa: Whether several heads of queries share one of keys and values.

    Returns:
        Tensor (..., L, Ev).
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    # Each factor takes the root of the scale, as PyTorch does, against overflow in half precision.
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    root = math.sqrt(abs(scale))
    scores = (query * math.copysign(root, scale)) @ (key * root).transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    if attn_mask is None or is_causal:
        weights = scores.softmax(dim=-1)
    else:  # a row of which everything is masked attends to nothing
        nothing = (scores == -math.inf).all(dim=-1, keepdim=True)
        weights = scores.masked_fill(nothing, 0.0).softmax(dim=-1).masked_fill(nothing, 0.0)
    call = Call("scaled_dot_product_attention", weights, dropout_p, True, False, False, False)
    return masked(call) @ value


def dropout_probability(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    *_: Any,
    **__: Any,
) -> float:
    """The probability with which `scaled_dot_product_attention`, called with these arguments, zeroes a weight."""
    return dropout_p


def fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` without dropout, with a rule for vmap: the samples are folded into the batch."""
    return _Fused.apply(
        {"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}, query, key, value, attn_mask
    )


class _Fused(torch.autograd.Function):
    """The kernel, with a rule for vmap and a gradient that runs it again."""

    generate_vmap_rule = False

    @staticmethod
    def forward(options: dict[str, Any], *operands: Any) -> Tensor:
        return F.scaled_dot_product_attention(*operands, **options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.options = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        with torch.enable_grad():
            operands: list[Any] = [tensor if tensor is None else tensor.detach() for tensor in ctx.saved_tensors]
            needed = [tensor for tensor, wanted in zip(operands, ctx.needs_input_grad[1:], strict=True) if wanted]
            for tensor in needed:
                tensor.requires_grad_()
            output = F.scaled_dot_product_attention(*operands, **ctx.options)
        found = iter(torch.autograd.grad(output, needed, grad))
        return None, *(next(found) if wanted else None for wanted in ctx.needs_input_grad[1:])

    @staticmethod
    def vmap(info: Any, in_dims: Any, options: dict[str, Any], *operands: Any) -> tuple[Tensor, int]:
        front: list[Any] = [
            tensor if tensor is None else _in_front(tensor, dim, info.batch_size)
            for tensor, dim in zip(operands, in_dims[1:], strict=True)
        ]
        *inputs, mask = front
        axes = inputs[0].ndim
        if mask is not None:
            mask = mask.view(info.batch_size, *[1] * (axes - mask.ndim), *mask.shape[1:])
        if axes < 5:
            return _Fused.apply(options, *inputs, mask), 0
        # The kernels take (rows, heads, length, width) and nothing longer.
        rows = max(tensor.shape[1] for tensor in inputs)
        folded = [
            tensor if tensor is None else tensor.expand(-1, rows, *tensor.shape[2:]).flatten(0, 1)
            for tensor in (*inputs, mask)
        ]
        return _Fused.apply(options, *folded).unflatten(0, (info.batch_size, rows)), 0


def _in_front(tensor: Tensor, dim: int | None, copies: int) -> Tensor:
    """The samples as first axis, also where they are all alike."""
    return tensor.expand(copies, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
