"""Models of transformers, tiny and from random configurations: keyword inputs, padding, records as outputs."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import nn

from tests.conformance.case import Case, Pass, normal, training_mode

TOKENS = torch.tensor([[5, 9, 2, 7], [3, 3, 8, 0], [6, 1, 0, 0]])
TEXT = {"input_ids": TOKENS, "attention_mask": (TOKENS > 0).long()}
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
DROP = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
SINGLE = 1e-5
"""Rounding of parts in float32: root mean squares and rotary angles, whatever the model's type."""


def from_config(model: type, config: type, **options: Any) -> Callable[[], nn.Module]:
    """Makes the model with random weights."""
    return lambda: model(config(**options))


BERT = {"vocab_size": 10, "max_position_embeddings": 8, **SMALL, **DROP}
DISTILBERT = {"vocab_size": 10, "max_position_embeddings": 8, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 12}
GPT2 = {"vocab_size": 10, "n_positions": 8, "n_embd": 16, "n_layer": 2, "n_head": 2, **SPECIAL}
LLAMA = {"vocab_size": 10, **SMALL, "num_key_value_heads": 1, "attention_dropout": 0.3, "pad_token_id": 0}
T5 = {"vocab_size": 10, "d_model": 16, "d_kv": 8, "d_ff": 12, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.2}
BART = {
    "vocab_size": 10, "max_position_embeddings": 8, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12,
    "dropout": 0.2, "attention_dropout": 0.1, "activation_dropout": 0.1,
}  # fmt: skip
VIT = {"image_size": 8, "patch_size": 4, **SMALL, **DROP}
WAV2VEC2 = {
    **SMALL, "vocab_size": 6, "conv_dim": (8, 8), "conv_kernel": (4, 3), "conv_stride": (4, 2),
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2,
    "layerdrop": 0.3,
}  # fmt: skip
SPEC_AUGMENT = {"mask_time_length": 2, "mask_time_prob": 0.5, "mask_feature_prob": 0.4, "mask_feature_length": 2}
DATA_DEPENDENT = (
    "loop: not vectorised (RuntimeError: vmap: It looks like you're attempting to use a Tensor in some data"
)


def not_augmented(model: nn.Module) -> Pass:
    """Training mode without SpecAugment."""
    model.config.apply_spec_augment = False
    return training_mode(model)


CASES = []
for attention in ("sdpa", "eager"):
    how = {"attn_implementation": attention}
    CASES += [
        Case(
            f"BERT, {attention}",
            from_config(transformers.BertForSequenceClassification, transformers.BertConfig, **BERT, **how),
            (),
            TEXT | {"token_type_ids": TOKENS % 2},
            output="logits",
        ),
        Case(
            f"RoBERTa, {attention}",
            from_config(
                transformers.RobertaForSequenceClassification, transformers.RobertaConfig, **BERT, pad_token_id=0, **how
            ),
            (),
            TEXT,
            output="logits",
        ),
        Case(
            f"DistilBERT, {attention}",
            from_config(
                transformers.DistilBertForSequenceClassification, transformers.DistilBertConfig, **DISTILBERT, **how
            ),
            (),
            TEXT,
            output="logits",
        ),
        Case(
            f"GPT-2, {attention}",
            from_config(transformers.GPT2LMHeadModel, transformers.GPT2Config, **GPT2, **how),
            (),
            TEXT,
            output="logits",
        ),
        Case(
            f"Llama with dropout on attention, {attention}",
            from_config(transformers.LlamaForCausalLM, transformers.LlamaConfig, **LLAMA, **how),
            (),
            TEXT,
            output="logits",
            rounding=SINGLE,
        ),
        Case(
            f"T5, {attention}",
            from_config(transformers.T5ForConditionalGeneration, transformers.T5Config, **T5, **how),
            (),
            TEXT | {"decoder_input_ids": TOKENS[:, :3]},
            output="logits",
            rounding=SINGLE,
        ),
        Case(
            f"BART, {attention}",
            from_config(transformers.BartForConditionalGeneration, transformers.BartConfig, **BART, **how),
            (),
            TEXT | {"decoder_input_ids": TOKENS[:, :3]},
            output="logits",
        ),
        Case(
            f"ViT, {attention}",
            from_config(transformers.ViTForImageClassification, transformers.ViTConfig, **VIT, **how),
            (),
            {"pixel_values": normal(3, 3, 8, 8)},
            output="logits",
        ),
    ]
CASES += [
    Case(
        "Wav2Vec2 with LayerDrop and SpecAugment",
        from_config(transformers.Wav2Vec2ForCTC, transformers.Wav2Vec2Config, **WAV2VEC2, **SPEC_AUGMENT),
        (),
        {"input_values": normal(3, 40)},
        output="logits",
        own_masks=False,
        reference=not_augmented,
        off=r"numpy.random wakes up \(replacement of values\)",
        execution=DATA_DEPENDENT,
    ),
    Case(
        "Wav2Vec2 with LayerDrop, eager, padded",
        from_config(
            transformers.Wav2Vec2ForCTC,
            transformers.Wav2Vec2Config,
            **WAV2VEC2,
            attn_implementation="eager",
            mask_time_prob=0.0,
        ),
        (),
        {
            "input_values": normal(3, 40),
            "attention_mask": torch.ones(3, 40).long().index_fill(1, torch.arange(30, 40), 0),
        },
        output="logits",
        own_masks=False,
        execution=DATA_DEPENDENT,
    ),
    Case(
        "Wav2Vec2 with dropout alone",
        from_config(
            transformers.Wav2Vec2ForCTC,
            transformers.Wav2Vec2Config,
            **WAV2VEC2 | {"layerdrop": 0.0},
            mask_time_prob=0.0,
        ),
        (),
        {"input_values": normal(3, 40)},
        output="logits",
    ),
]
