"""Tiny models of every published class, with lively random weights, made by `transformers` itself."""

from typing import Any

import torch
import transformers

COMMON = {"bos_token_id": 1, "eos_token_id": 2}
GPT2_LIKE = {"vocab_size": 99, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4}
HIDDEN_LIKE = {"vocab_size": 99, "max_position_embeddings": 64, "hidden_size": 32}

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {**GPT2_LIKE}),
    "gpt2 wide": ("GPT2", {**GPT2_LIKE, "n_inner": 80, "activation_function": "gelu"}),
    "bigcode": ("GPTBigCode", {**GPT2_LIKE, "multi_query": True}),
    "neo": (
        "GPTNeo",
        {
            **HIDDEN_LIKE,
            "num_layers": 3,
            "num_heads": 4,
            "attention_types": [[["global", "local", "local"], 1]],
            "window_size": 8,
        },
    ),
    "gptj": ("GPTJ", {**GPT2_LIKE, "rotary_dim": 4}),
    "neox": (
        "GPTNeoX",
        {
            **HIDDEN_LIKE,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 96,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
        },
    ),
    "neox sequential": (
        "GPTNeoX",
        {
            **HIDDEN_LIKE,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 128,
            "use_parallel_residual": False,
            "hidden_act": "gelu_new",
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.25},
        },
    ),
    "bloom": ("Bloom", {"vocab_size": 99, "hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "bloom six heads": ("Bloom", {"vocab_size": 99, "hidden_size": 48, "n_layer": 2, "n_head": 6}),
    "llama": (
        "Llama",
        {**HIDDEN_LIKE, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 80},
    ),
    "llama grouped": (
        "Llama",
        {
            **HIDDEN_LIKE,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 80,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 777.0},
        },
    ),
}


def published(name: str, seed: int = 0) -> Any:
    """A tiny model of a class; weights are large enough that every part of it shows in the logits."""
    family, settings = SETTINGS[name]
    config = getattr(transformers, f"{family}Config")(**COMMON, **settings)
    model = getattr(transformers, config.architectures[0] if config.architectures else _class(family))(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.25, generator=generator)
            else:
                parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.1, generator=generator))
    return model.eval()


def _class(family: str) -> str:
    return {"GPT2": "GPT2LMHeadModel"}.get(family, f"{family}ForCausalLM")
