"""The published classes that our transformer equals, each as a value: settings and tensors in both spellings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from libertas.exchange.layout import JOINED, PER_HEAD, SAME, TRANSPOSED
from libertas.model.config import ModelConfig
from libertas.model.sizes import SIZES
from libertas.model.t5 import T5Config

Names = tuple[tuple[str, ...], str]
"""Their names of one of our modules, `{n}` for the number of the layer, and the layout of its tensors."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One class of `transformers`."""

    name: str
    """As `config.json` has it under `architectures`."""
    model_type: str
    like: ModelConfig
    """A model of this class, or its blocks; what `settings` does not name is the same in all of them."""
    settings: Mapping[str, tuple[str, Any]]
    """Their key -> our field, and the value that their code takes where the key is absent."""
    only: Mapping[str, Any] = field(default_factory=dict)
    """Their keys that change what is computed -> the one value that we compute."""
    prefix: str
    """How the names of its tensors begin, but for those of the output embedding."""
    tensors: Mapping[str, Names]
    """Our module -> their names."""
    buffers: tuple[str, ...] = ()
    """Ends of the names of tensors that hold no weights, or none that are used."""
    copies: tuple[str, ...] = ()
    """Names of tensors that may repeat the input embedding."""


_GPT2_BLOCK: dict[str, Names] = {
    "embedding": (("wte",), SAME),
    "positions": (("wpe",), SAME),
    "norm": (("ln_f",), SAME),
    "blocks.{n}.norm_attention": (("h.{n}.ln_1",), SAME),
    "blocks.{n}.norm_feed_forward": (("h.{n}.ln_2",), SAME),
}
_GPT2_SETTINGS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocabulary", 50_257),
    "n_positions": ("context", 1024),
    "n_embd": ("width", 768),
    "n_layer": ("layers", 12),
    "n_head": ("heads", 12),
    "n_inner": ("hidden", None),
    "activation_function": ("activation", "gelu_new"),
    "layer_norm_epsilon": ("norm_epsilon", 1e-5),
}
_PLAIN_GPT2 = {"scale_attn_weights": True, "add_cross_attention": False, "tie_word_embeddings": True}


def _gpt2_matrices(layout: str) -> dict[str, Names]:
    return {
        "blocks.{n}.attention.qkv": (("h.{n}.attn.c_attn",), layout),
        "blocks.{n}.attention.out": (("h.{n}.attn.c_proj",), layout),
        "blocks.{n}.feed_forward.up": (("h.{n}.mlp.c_fc",), layout),
        "blocks.{n}.feed_forward.down": (("h.{n}.mlp.c_proj",), layout),
    }


GPT2 = Architecture(
    name="GPT2LMHeadModel",
    model_type="gpt2",
    like=SIZES["gpt2"],
    settings=_GPT2_SETTINGS,
    only={**_PLAIN_GPT2, "scale_attn_by_inverse_layer_idx": False},
    prefix="transformer.",
    tensors={**_GPT2_BLOCK, **_gpt2_matrices(TRANSPOSED)},
    buffers=(".attn.bias", ".attn.masked_bias"),
)

GPT_BIGCODE = Architecture(
    name="GPTBigCodeForCausalLM",
    model_type="gpt_bigcode",
    like=SIZES["santacoder-1.1b"],
    settings={**_GPT2_SETTINGS, "activation_function": ("activation", "gelu_pytorch_tanh")},
    only={**_PLAIN_GPT2, "multi_query": True, "num_key_value_heads": 1},
    prefix="transformer.",
    tensors={**_GPT2_BLOCK, **_gpt2_matrices(SAME)},
    buffers=(".attn.bias",),
)

GPT_NEO = Architecture(
    name="GPTNeoForCausalLM",
    model_type="gpt_neo",
    like=SIZES["gpt-neo-125m"],
    settings={
        "vocab_size": ("vocabulary", 50_257),
        "max_position_embeddings": ("context", 2048),
        "hidden_size": ("width", 2048),
        "num_layers": ("layers", 24),
        "num_heads": ("heads", 16),
        "attention_types": ("attention", [[["global", "local"], 12]]),
        "window_size": ("window", 256),
        "intermediate_size": ("hidden", None),
        "activation_function": ("activation", "gelu_new"),
        "layer_norm_epsilon": ("norm_epsilon", 1e-5),
    },
    only={"tie_word_embeddings": True},
    prefix="transformer.",
    tensors={
        **_GPT2_BLOCK,
        "blocks.{n}.attention.qkv": (
            ("h.{n}.attn.attention.q_proj", "h.{n}.attn.attention.k_proj", "h.{n}.attn.attention.v_proj"),
            JOINED,
        ),
        "blocks.{n}.attention.out": (("h.{n}.attn.attention.out_proj",), SAME),
        "blocks.{n}.feed_forward.up": (("h.{n}.mlp.c_fc",), SAME),
        "blocks.{n}.feed_forward.down": (("h.{n}.mlp.c_proj",), SAME),
    },
    buffers=(".attn.attention.bias", ".attn.attention.masked_bias"),
)

GPT_J = Architecture(
    name="GPTJForCausalLM",
    model_type="gptj",
    like=SIZES["gpt-j-6b"],
    settings={
        **_GPT2_SETTINGS,
        "vocab_size": ("vocabulary", 50_400),
        "n_positions": ("context", 2048),
        "n_embd": ("width", 4096),
        "n_layer": ("layers", 28),
        "n_head": ("heads", 16),
        "rotary_dim": ("rotary_share", 64),
    },
    only={"tie_word_embeddings": False},
    prefix="transformer.",
    tensors={
        "embedding": (("wte",), SAME),
        "norm": (("ln_f",), SAME),
        "blocks.{n}.norm_attention": (("h.{n}.ln_1",), SAME),
        "blocks.{n}.attention.qkv": (("h.{n}.attn.q_proj", "h.{n}.attn.k_proj", "h.{n}.attn.v_proj"), JOINED),
        "blocks.{n}.attention.out": (("h.{n}.attn.out_proj",), SAME),
        "blocks.{n}.feed_forward.up": (("h.{n}.mlp.fc_in",), SAME),
        "blocks.{n}.feed_forward.down": (("h.{n}.mlp.fc_out",), SAME),
        "logits": (("lm_head",), SAME),
    },
    buffers=(".attn.bias", ".attn.masked_bias", ".attn.embed_positions"),
)

GPT_NEOX = Architecture(
    name="GPTNeoXForCausalLM",
    model_type="gpt_neox",
    like=SIZES["gpt-neox-20b"],
    settings={
        "vocab_size": ("vocabulary", 50_432),
        "max_position_embeddings": ("context", 2048),
        "hidden_size": ("width", 6144),
        "num_hidden_layers": ("layers", 44),
        "num_attention_heads": ("heads", 64),
        "intermediate_size": ("hidden", 24_576),
        "hidden_act": ("activation", "gelu"),
        "layer_norm_eps": ("norm_epsilon", 1e-5),
        "use_parallel_residual": ("residual", True),
        "tie_word_embeddings": ("tied", False),
        "rotary_pct": ("rotary_share", 0.25),
        "rotary_emb_base": ("rotary_base", 10_000),
    },
    only={"attention_bias": True},
    prefix="gpt_neox.",
    tensors={
        "embedding": (("embed_in",), SAME),
        "norm": (("final_layer_norm",), SAME),
        "blocks.{n}.norm_attention": (("layers.{n}.input_layernorm",), SAME),
        "blocks.{n}.norm_feed_forward": (("layers.{n}.post_attention_layernorm",), SAME),
        "blocks.{n}.attention.qkv": (("layers.{n}.attention.query_key_value",), PER_HEAD),
        "blocks.{n}.attention.out": (("layers.{n}.attention.dense",), SAME),
        "blocks.{n}.feed_forward.up": (("layers.{n}.mlp.dense_h_to_4h",), SAME),
        "blocks.{n}.feed_forward.down": (("layers.{n}.mlp.dense_4h_to_h",), SAME),
        "logits": (("embed_out",), SAME),
    },
    buffers=(".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"),
)

BLOOM = Architecture(
    name="BloomForCausalLM",
    model_type="bloom",
    like=SIZES["bloom-560m"],
    settings={
        "vocab_size": ("vocabulary", 250_880),
        "hidden_size": ("width", 64),
        "n_layer": ("layers", 2),
        "n_head": ("heads", 8),
        "layer_norm_epsilon": ("norm_epsilon", 1e-5),
        "seq_length": ("context", 2048),
    },
    only={"apply_residual_connection_post_layernorm": False, "tie_word_embeddings": True},
    prefix="transformer.",
    tensors={
        "embedding": (("word_embeddings",), SAME),
        "embedding_norm": (("word_embeddings_layernorm",), SAME),
        "norm": (("ln_f",), SAME),
        "blocks.{n}.norm_attention": (("h.{n}.input_layernorm",), SAME),
        "blocks.{n}.norm_feed_forward": (("h.{n}.post_attention_layernorm",), SAME),
        "blocks.{n}.attention.qkv": (("h.{n}.self_attention.query_key_value",), PER_HEAD),
        "blocks.{n}.attention.out": (("h.{n}.self_attention.dense",), SAME),
        "blocks.{n}.feed_forward.up": (("h.{n}.mlp.dense_h_to_4h",), SAME),
        "blocks.{n}.feed_forward.down": (("h.{n}.mlp.dense_4h_to_h",), SAME),
    },
)

LLAMA = Architecture(
    name="LlamaForCausalLM",
    model_type="llama",
    like=replace(SIZES["llama-7b"], qkv_bias=False),
    settings={
        "vocab_size": ("vocabulary", 32_000),
        "max_position_embeddings": ("context", 2048),
        "hidden_size": ("width", 4096),
        "num_hidden_layers": ("layers", 32),
        "num_attention_heads": ("heads", 32),
        "num_key_value_heads": ("key_heads", None),
        "head_dim": ("head_width", None),
        "intermediate_size": ("hidden", 11_008),
        "hidden_act": ("activation", "silu"),
        "rms_norm_eps": ("norm_epsilon", 1e-6),
        "tie_word_embeddings": ("tied", False),
        "rope_theta": ("rotary_base", 10_000.0),
    },
    only={"attention_bias": False, "mlp_bias": False},
    prefix="model.",
    tensors={
        "embedding": (("embed_tokens",), SAME),
        "norm": (("norm",), SAME),
        "blocks.{n}.norm_attention": (("layers.{n}.input_layernorm",), SAME),
        "blocks.{n}.norm_feed_forward": (("layers.{n}.post_attention_layernorm",), SAME),
        "blocks.{n}.attention.qkv": (
            ("layers.{n}.self_attn.q_proj", "layers.{n}.self_attn.k_proj", "layers.{n}.self_attn.v_proj"),
            JOINED,
        ),
        "blocks.{n}.attention.out": (("layers.{n}.self_attn.o_proj",), SAME),
        "blocks.{n}.feed_forward.up": (("layers.{n}.mlp.gate_proj", "layers.{n}.mlp.up_proj"), JOINED),
        "blocks.{n}.feed_forward.down": (("layers.{n}.mlp.down_proj",), SAME),
        "logits": (("lm_head",), SAME),
    },
    buffers=(".rotary_emb.inv_freq",),
)


def _t5_attention(ours: str, theirs: str) -> dict[str, Names]:
    parts = (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o"))
    return {f"{ours}.{mine}": ((f"{theirs}.{its}",), SAME) for mine, its in parts}


def _t5_blocks(stack: str, feed_forward: int) -> dict[str, Names]:
    """Of the encoder or the decoder, whose `feed_forward`th sub-layer is the feed-forward part."""
    ours, theirs = f"{stack}.{{n}}", f"{stack}.block.{{n}}.layer"
    dense = f"{theirs}.{feed_forward}.DenseReluDense"
    return {
        f"{stack}_positions": ((f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias",), SAME),
        f"{ours}.norm_self": ((f"{theirs}.0.layer_norm",), SAME),
        **_t5_attention(f"{ours}.self_attention", f"{theirs}.0.SelfAttention"),
        f"{ours}.norm_feed_forward": ((f"{theirs}.{feed_forward}.layer_norm",), SAME),
        f"{ours}.feed_forward.up": ((f"{dense}.wi_0", f"{dense}.wi_1"), JOINED),
        f"{ours}.feed_forward.down": ((f"{dense}.wo",), SAME),
        f"{stack}_norm": ((f"{stack}.final_layer_norm",), SAME),
    }


T5_11 = Architecture(
    name="T5ForConditionalGeneration",
    model_type="t5",
    like=T5Config(vocabulary=32_128, width=768, layers=12, heads=12, head_width=64, hidden=2048).feed_forward(),
    settings={
        "vocab_size": ("vocabulary", 32_128),
        "d_model": ("width", 512),
        "num_layers": ("layers", 6),
        "num_heads": ("heads", 8),
        "d_kv": ("head_width", 64),
        "d_ff": ("hidden", 2048),
        "relative_attention_num_buckets": ("buckets", 32),
        "relative_attention_max_distance": ("farthest", 128),
        "layer_norm_epsilon": ("norm_epsilon", 1e-6),
    },
    only={"feed_forward_proj": "gated-gelu", "is_encoder_decoder": True, "is_decoder": False},
    prefix="",
    tensors={
        "embedding": (("shared",), SAME),
        **_t5_blocks("encoder", 1),
        **_t5_blocks("decoder", 2),
        "decoder.{n}.norm_cross": (("decoder.block.{n}.layer.1.layer_norm",), SAME),
        **_t5_attention("decoder.{n}.cross_attention", "decoder.block.{n}.layer.1.EncDecAttention"),
        "logits": (("lm_head",), SAME),
    },
    # The first release has one, which its own code does not use.
    buffers=(".EncDecAttention.relative_attention_bias.weight",),
    copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
)

ARCHITECTURES = {a.name: a for a in (GPT2, GPT_BIGCODE, GPT_NEO, GPT_J, GPT_NEOX, BLOOM, LLAMA, T5_11)}
"""By the name that `config.json` has for them."""
