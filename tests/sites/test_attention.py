"""Attention written out, against PyTorch's kernels under the same mask."""

import pytest
import torch
import torch.nn.functional as F

import mcdrop
from mcdrop.sites.attention import attend, dropout_probability, fused, multi_head_attention_forward
from tests.conformance.case import Net

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


SHAPES = {
    "rows and heads": ((N, H, L, E), (N, H, S, E), None),
    "a mask for each row": ((N, H, L, E), (N, H, S, E), (N, 1, L, S)),
    "one mask": ((N, H, L, E), (N, H, S, E), (L, S)),
    "a mask for each head": ((N, H, L, E), (N, H, S, E), (H, L, S)),
    "one set of keys for all rows": ((N, H, L, E), (1, H, S, E), None),
    "no heads": ((N, L, E), (N, S, E), (L, S)),
    "one row": ((L, E), (S, E), None),
}


@pytest.mark.parametrize(
    "mapped", [(True, False, False), (False, True, True), (True, True, False), (False, False, True)]
)
@pytest.mark.parametrize("name", SHAPES)
def test_under_vmap_it_is_the_kernel_sample_by_sample(name, mapped) -> None:
    """Without the warning that PyTorch gives where it has no rule of its own."""
    samples, generator = 3, torch.Generator().manual_seed(0)
    query, key, mask = SHAPES[name]
    mapped = mapped if mask else (mapped[0] or mapped[2], mapped[1], False)
    dims = [0 if one else None for one in (mapped[0], mapped[1], mapped[1], mapped[2])]

    def draw(shape, dim):
        full = shape if dim is None else (samples, *shape)
        return torch.randn(full, dtype=torch.float64, generator=generator)

    operands = [draw(shape, dim) for shape, dim in zip((query, key, key, mask), dims, strict=True) if shape]
    dims = tuple(dims[: len(operands)])
    ours = torch.vmap(fused, in_dims=dims)(*operands)
    for sample in range(samples):
        one = [tensor if dim is None else tensor[sample] for tensor, dim in zip(operands, dims, strict=True)]
        torch.testing.assert_close(ours[sample], F.scaled_dot_product_attention(*one), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_its_gradient_is_the_kernels(name) -> None:
    options = CASES[name]
    inputs = [tensor.requires_grad_() for tensor in tensors(2 if "enable_gqa" in options else H)]
    weight = torch.randn(N, H, L, E + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ours, theirs = (
        torch.autograd.grad((function(*inputs, **options) * weight).sum(), inputs)
        for function in (fused, F.scaled_dot_product_attention)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_attention_without_dropout_is_vectorised_without_a_warning() -> None:
    def attending(m, x):
        x = m.drop(x)
        return F.scaled_dot_product_attention(x, x, x, is_causal=True)

    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    mc = mcdrop.MCDropout(Net(attending, drop=torch.nn.Dropout()), likelihood=mcdrop.Identity(), num_samples=6, seed=0)
    assert mc(x).provenance.execution == "vectorised"
