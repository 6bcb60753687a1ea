"""Dropout inside and around attention."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.conformance.case import Case, Net, normal


def causal(length):
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def padding(x):
    """(N, L): the last position of every row but the first is padding."""
    mask = torch.zeros(x.shape[:2], dtype=torch.bool)
    mask[x[:, 0, 0] < 0.5, -1] = True
    return mask


def sliding(m, x):
    """Additive mask, rows on axis 1, all weights returned head by head."""
    bias = torch.arange(len(x), dtype=x.dtype).sub(torch.arange(len(x))[:, None]).abs().neg()
    out, weights = m.attention(x, x, x, attn_mask=bias, average_attn_weights=False)
    return out.transpose(0, 1), weights


def cross(m, x, memory):
    return m.attention(x, memory, memory[..., :3], need_weights=False)[0]


class SelfAttention(nn.Module):
    """The fused function, told p only in training mode."""

    def __init__(self, heads: int, groups: int, **options) -> None:
        super().__init__()
        self.heads, self.groups, self.options, self.p = heads, groups, options, 0.3
        self.query, self.key_value = nn.Linear(4, 4), nn.Linear(4, 2 * groups * 4 // heads)
        self.out = nn.Linear(4, 4)

    def forward(self, x):
        rows, length, width = x.shape
        q = self.query(x).view(rows, length, self.heads, -1).transpose(1, 2)
        k, v = self.key_value(x).view(rows, length, 2, self.groups, -1).transpose(1, 3).unbind(2)
        dropout_p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p, **self.options)
        return self.out(y.transpose(1, 2).reshape(rows, length, width))


class Branches(SelfAttention):
    """The same under an if, with a mask."""

    def forward(self, x):
        q = k = v = self.query(x)[:, None]
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(1)
        if self.training:
            return self.out(F.scaled_dot_product_attention(q, k, v, mask, 0.4))[:, 0]
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))[:, 0]


class FoldedHeads(nn.Module):
    """Heads in the batch, (N * heads, L, S), written with bmm and a dropout layer."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.drop = nn.Linear(4, 12), nn.Dropout(0.4)

    def forward(self, x):
        rows, length, width = x.shape
        folded = self.project(x).view(rows, length, 3, 2, 2).permute(2, 0, 3, 1, 4).reshape(3, rows * 2, length, 2)
        q, k, v = folded.unbind(0)
        weights = self.drop(torch.softmax(torch.bmm(q, k.transpose(1, 2)) / math.sqrt(2), dim=-1))
        return torch.bmm(weights, v).view(rows, 2, length, 2).transpose(1, 2).reshape(rows, length, width)


class Called(nn.Module):
    """PyTorch's function called directly, with the weights held by the module itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(12, 4)), nn.Parameter(torch.zeros(12))
        self.out = nn.Linear(4, 4)

    def forward(self, x):
        x = x.transpose(0, 1)
        given = (self.weight, self.bias, None, None, False, 0.3, self.out.weight, self.out.bias)
        out, _ = F.multi_head_attention_forward(x, x, x, 4, 2, *given, training=self.training, need_weights=False)
        return out.transpose(0, 1)


def encoder(layers: int, **options) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(4, 2, 6, **options)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=options.get("batch_first", False))


def decoder(m, x, memory):
    return m.decoder(x, memory, tgt_mask=causal(x.shape[1]), memory_key_padding_mask=padding(memory))


CASES = [
    Case(
        "MultiheadAttention",
        lambda: Net(
            lambda m, x: m.attention(x, x, x, need_weights=False)[0],
            attention=nn.MultiheadAttention(4, 2, 0.3, batch_first=True),
        ),
        (normal(3, 4, 4),),
    ),
    Case(
        "MultiheadAttention with its weights and padding",
        lambda: Net(
            lambda m, x: m.attention(x, x, x, key_padding_mask=padding(x)),
            attention=nn.MultiheadAttention(4, 2, 0.3, batch_first=True),
        ),
        (normal(3, 4, 4),),
    ),
    Case(
        "MultiheadAttention, additive mask, rows on axis 1",
        lambda: Net(sliding, attention=nn.MultiheadAttention(4, 2, 0.3)),
        (normal(4, 3, 4),),
        batch_dim=1,
        output_dim=0,
    ),
    Case(
        "MultiheadAttention across, other widths, bias_kv, zero_attn",
        lambda: Net(
            cross,
            attention=nn.MultiheadAttention(
                4, 2, 0.4, add_bias_kv=True, add_zero_attn=True, kdim=5, vdim=3, batch_first=True
            ),
        ),
        (normal(3, 2, 4), normal(3, 4, 5, seed=2)),
    ),
    Case("F.multi_head_attention_forward", Called, (normal(3, 4, 4),)),
    Case("scaled_dot_product_attention", lambda: SelfAttention(2, 2), (normal(3, 4, 4),)),
    Case(
        "the same, causal, with grouped queries",
        lambda: SelfAttention(2, 1, is_causal=True, enable_gqa=True, scale=0.3),
        (normal(3, 4, 4),),
    ),
    Case("the same under an if, masked", lambda: Branches(1, 1), (normal(3, 4, 4),)),
    Case("heads folded into the batch", FoldedHeads, (normal(3, 4, 4),)),
    Case(
        "TransformerEncoderLayer under no_grad",
        lambda: nn.TransformerEncoderLayer(4, 2, 6, 0.2, batch_first=True),
        (normal(3, 4, 4),),
        within=torch.no_grad,
    ),
    Case(
        "TransformerEncoder with padding under inference_mode",
        lambda: Net(
            lambda m, x: m.encoder(x, src_key_padding_mask=padding(x)).mean(dim=1),
            encoder=encoder(2, dropout=0.2, batch_first=True),
        ),
        (normal(3, 4, 4),),
        within=torch.inference_mode,
    ),
    Case(
        "TransformerEncoder, causal, norm first, rows on axis 1",
        lambda: Net(
            lambda m, x: m.encoder(x, mask=causal(len(x)), is_causal=True),
            encoder=encoder(2, dropout=0.1, norm_first=True, activation="gelu"),
        ),
        (normal(4, 3, 4),),
        batch_dim=1,
    ),
    Case(
        "TransformerDecoder",
        lambda: Net(
            decoder, decoder=nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, 0.2, batch_first=True), 1)
        ),
        (normal(3, 3, 4), normal(3, 4, 4, seed=2)),
    ),
    Case(
        "Transformer",
        lambda: Net(
            lambda m, source, target: m.head(m.transformer(source, target)[:, -1]),
            transformer=nn.Transformer(4, 2, 1, 1, 6, 0.1, batch_first=True),
            head=nn.Linear(4, 2),
        ),
        (normal(3, 4, 4), normal(3, 3, 4, seed=2)),
    ),
]
