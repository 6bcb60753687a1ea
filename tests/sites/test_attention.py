"""Attention written out, against PyTorch's kernels under the same mask."""

import pytest
import torch
import torch.nn.functional as F

from mcdrop.sites.attention import attend, dropout_probability, multi_head_attention_forward

N, H, L, S, E = 2, 4, 5, 6, 3


def tensors(kv_heads: int = H) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(N, H, L, E), (N, kv_heads, S, E), (N, kv_heads, S, E + 1)]
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]


def nothing_for_query_two() -> torch.Tensor:
    mask = torch.rand(N, 1, L, S, generator=torch.Generator().manual_seed(1)) > 0.3
    mask[:, :, 2] = False
    return mask


CASES = {
    "plain": {},
    "boolean mask, one query attends to nothing": {"attn_mask": nothing_for_query_two()},
    "additive mask": {"attn_mask": torch.randn(L, S, dtype=torch.float64)},
    "causal": {"is_causal": True},
    "scaled": {"scale": 0.7},
    "scaled below zero": {"scale": -0.7},
    "grouped heads": {"enable_gqa": True},
}


@pytest.mark.parametrize("name", CASES)
def test_without_a_mask_it_is_the_kernel(name) -> None:
    options = CASES[name]
    inputs = tensors(2 if "enable_gqa" in options else H)
    ours = attend(lambda call: call.input, *inputs, **options)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(*inputs, **options), rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Dropout mask should only be used for testing")
@pytest.mark.parametrize("name", ["plain", "additive mask", "causal"])
def test_with_a_mask_it_is_the_kernel_with_that_mask(name) -> None:
    options, p = CASES[name], 0.3
    query, key, value = tensors()
    keep = torch.rand(N, H, L, S, generator=torch.Generator().manual_seed(2)) > p
    ours = attend(lambda call: call.apply(call.input, keep, call.p), query, key, value, dropout_p=p, **options)
    mask, causal = options.get("attn_mask"), options.get("is_causal", False)
    theirs, _ = torch.ops.aten._scaled_dot_product_attention_math(query, key, value, mask, p, causal, keep)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_probability_wherever_it_stands() -> None:
    inputs = tensors()
    assert dropout_probability(*inputs) == 0
    assert dropout_probability(*inputs, None, 0.2) == 0.2
    assert dropout_probability(*inputs, dropout_p=0.3, is_causal=True) == 0.3


def test_the_opened_function_is_pytorchs() -> None:
    layer = torch.nn.MultiheadAttention(6, 2)
    x = torch.randn(4, 3, 6)
    arguments = (x, x, x, 6, 2, layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0)
    rest = (layer.out_proj.weight, layer.out_proj.bias)
    for ours, theirs in zip(
        multi_head_attention_forward(*arguments, *rest), F.multi_head_attention_forward(*arguments, *rest), strict=True
    ):
        assert torch.equal(ours, theirs)
