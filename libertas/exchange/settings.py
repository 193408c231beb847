"""`config.json` -> `ModelConfig` and back. A key that is not known is refused: it may change what is computed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from libertas.errors import UsageError
from libertas.exchange.architectures import ARCHITECTURES, T5_11, Architecture
from libertas.model.config import SIZES_OF_A_MODEL, ModelConfig
from libertas.model.t5 import T5Config
from libertas.spelling import nearest

ACTIVATION_NAMES = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu2": "relu2",
    "silu": "silu",
    "swish": "silu",
}
"""Their names of activations -> ours; the first of several is the one that is written."""

_WITHOUT_EFFECT = """
architectures model_type transformers_version torch_dtype dtype tokenizer_class use_cache
bos_token_id eos_token_id pad_token_id sep_token_id unk_token_id initializer_range is_decoder is_encoder_decoder
gradient_checkpointing output_attentions output_hidden_states return_dict return_dict_in_generate
task_specific_params id2label label2id problem_type chunk_size_feed_forward classifier_dropout attention_dropout
hidden_dropout resid_dropout embed_dropout resid_pdrop embd_pdrop attn_pdrop summary_type summary_use_proj
summary_activation summary_proj_to_labels summary_first_dropout n_ctx attention_layers attention_softmax_in_fp32
scale_attention_softmax_in_fp32 reorder_and_upcast_attn pretraining_tp slow_but_exact skip_bias_add
skip_bias_add_qkv bias_dropout_fusion masked_softmax_fusion offset_alibi rope_parameters rope_scaling
rope_interleaved is_llama_config dropout_rate initializer_factor dense_act_fn is_gated_act decoder_start_token_id
output_past
"""
WITHOUT_EFFECT = frozenset(_WITHOUT_EFFECT.split())
"""Keys that change nothing in a forward pass of a trained model, or are read by name (`rope_parameters`)."""

ALIASES = {"n_embed": "hidden_size", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}
"""Keys that the published BLOOM configurations have instead of those of the class."""

Value = Callable[[Any, ModelConfig], Any]


def _pattern(types: Any, _: ModelConfig) -> tuple[str, ...]:
    """`[[["global", "local"], 6]]`: each list of kinds as often as the number says."""
    return tuple(kind for kinds, times in types for _ in range(times) for kind in kinds)


def _share(width: Any, shape: ModelConfig) -> float:
    return 1.0 if width is None else float(width) / shape.key_width


READ: dict[tuple[str, str], Value] = {
    ("*", "activation"): lambda value, _: ACTIVATION_NAMES.get(value, value),
    ("gpt_neo", "attention"): _pattern,
    ("gpt_neox", "residual"): lambda parallel, _: "parallel" if parallel else "sequential",
    ("gptj", "rotary_share"): _share,
    ("*", "rotary_base"): lambda value, _: float(value),
}
"""How their values become ours, by model type and our field; others stay as they are."""

WRITE: dict[tuple[str, str], Value] = {
    ("*", "activation"): lambda value, _: next(n for n, ours in ACTIVATION_NAMES.items() if ours == value),
    ("gpt_bigcode", "activation"): lambda value, _: "gelu_pytorch_tanh" if value == "gelu_tanh" else value,
    ("gpt_neo", "attention"): lambda kinds, c: [[[kinds[n % len(kinds)]], 1] for n in range(c.layers)],
    ("gpt_neox", "residual"): lambda value, _: value == "parallel",
    ("gptj", "rotary_share"): lambda _, c: c.rotary_width,
    ("gpt_neox", "hidden"): lambda _, c: c.hidden_width,
    ("llama", "key_heads"): lambda _, c: c.groups,
    ("llama", "head_width"): lambda _, c: c.key_width,
}
"""The inverse of `READ`."""


def _converter(table: Mapping[tuple[str, str], Value], model_type: str, field: str) -> Value:
    return table.get((model_type, field)) or table.get(("*", field)) or (lambda value, _: value)


def read_settings(record: Mapping[str, Any], place: str) -> tuple[Architecture, ModelConfig | T5Config]:
    """The architecture and the shape that a `config.json` describes.

    Args:
        record: its content.
        place: what errors call it.

    Raises:
        UsageError: the class is none of `ARCHITECTURES`, or a key is unknown, or has a value that we do not compute.
    """
    listed = record.get("architectures")
    name = str(listed[0]) if isinstance(listed, list) and listed else "(none)"
    if name not in ARCHITECTURES:
        raise UsageError(f"{place}: the architecture {name!r} is not known; {nearest(name, ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    given = _with_t5_keys(record) if architecture is T5_11 else _with_rotary_keys(record, place)
    known = {*architecture.settings, *architecture.only, *WITHOUT_EFFECT, *(T5_KEYS if architecture is T5_11 else ())}
    for key in given:
        if key not in known and not key.startswith("_"):
            raise UsageError(f"{place}: {name} has no key {key!r} that is known here; it may change what is computed")
    for key, only in architecture.only.items():
        if given.get(key, only) != only:
            raise UsageError(f"{place}: {key} is {given[key]!r}; expected {only!r}, other models are not computed here")
    for key, (field, default) in architecture.settings.items():
        _require_kind(key, given.get(key, default), default, field, place)
    if architecture is T5_11:
        return architecture, _t5_shape(given, place)
    shape = architecture.like
    late = {}
    for key, (field, default) in architecture.settings.items():
        value = given.get(key, default)
        late[field] = (key, value, _converter(READ, architecture.model_type, field))
    plain = {f: v for f, (_, v, _) in late.items() if f in SIZES_OF_A_MODEL}
    try:
        shape = replace(shape, **plain, hidden=None, head_width=None, key_heads=_groups(architecture, plain))
        converted = {field: convert(value, shape) for field, (_, value, convert) in late.items()}
        return architecture, replace(shape, **converted)
    except (UsageError, TypeError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from error


LARGEST_SIZE, MOST_LAYERS = 1 << 24, 1 << 12
"""Of any setting that is a number, and of layers: far above all that was published, and a slip away from it no more."""
MAY_BE_NULL = frozenset({"rotary_dim"})
"""Keys whose absence and whose null mean different things."""


def _require_kind(key: str, value: Any, default: Any, field: str, place: str) -> None:
    """Refuse a value that is none of the kind of the default: it would fail later, or pass as something else."""
    if isinstance(default, list) or (value is None and (default is None or key in MAY_BE_NULL)):
        return
    if isinstance(default, bool | str):
        expected, fits = ("true or false" if isinstance(default, bool) else "a name"), type(value) is type(default)
    else:
        whole = field in SIZES_OF_A_MODEL or default is None
        expected = f"a {'whole ' if whole else ''}number above 0" + (f", such as {default}" if default else "")
        kinds = (int,) if whole else (int, float)
        fits = type(value) in kinds and 0 < value <= (MOST_LAYERS if field == "layers" else LARGEST_SIZE)
    if not fits:
        raise UsageError(f"{place}: {key} is {value!r}; expected {expected}")


T5_KEYS = ("num_decoder_layers", "tie_word_embeddings", "scale_decoder_outputs")
"""What T5's configuration has besides, and `_t5_shape` reads."""


def _with_t5_keys(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with what the class takes where a key is absent: its feed-forward part is not gated, as in T5 1.0."""
    tied = record.get("tie_word_embeddings", True)
    return {"feed_forward_proj": "relu", "tie_word_embeddings": tied, "scale_decoder_outputs": tied, **record}


def _t5_shape(given: Mapping[str, Any], place: str) -> T5Config:
    values = {field: given.get(key, default) for key, (field, default) in T5_11.settings.items()}
    if given.get("num_decoder_layers", values["layers"]) not in (None, values["layers"]):
        raise UsageError(
            f"{place}: num_decoder_layers is {given['num_decoder_layers']}; expected as many as num_layers, "
            f"{values['layers']}"
        )
    try:
        # `transformers` takes "not tied" for "not scaled" and since version 5 writes that down as a key of its own.
        return T5Config(**values, tied=bool(given["scale_decoder_outputs"]))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _groups(architecture: Architecture, plain: Mapping[str, Any]) -> int | None:
    return 1 if architecture.like.key_heads == 1 else None


def _with_rotary_keys(record: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The record with rotary positions under the names that files had before `rope_parameters`."""
    given = {ALIASES.get(key, key) if record.get("model_type") == "bloom" else key: v for key, v in record.items()}
    for key in ("rope_scaling", "rope_parameters"):
        if not isinstance(given.get(key) or {}, dict):
            raise UsageError(f"{place}: {key} is {given[key]!r}; expected settings, or null")
    rope = {**(given.get("rope_scaling") or {}), **(given.get("rope_parameters") or {})}
    kind = rope.pop("rope_type", rope.pop("type", "default"))
    if kind != "default":
        raise UsageError(
            f"{place}: rope_type is {kind!r}; expected 'default', scaled rotary positions are not computed"
        )
    neox = record.get("model_type") == "gpt_neox"
    if "rope_theta" in rope:
        given["rotary_emb_base" if neox else "rope_theta"] = rope["rope_theta"]
    if "partial_rotary_factor" in rope and neox:
        given["rotary_pct"] = rope["partial_rotary_factor"]
    return given


def architecture_of(config: ModelConfig | T5Config) -> Architecture:
    """The published class that computes what a shape describes.

    Raises:
        UsageError: none does.
    """
    if isinstance(config, T5Config):
        return T5_11
    if config.base_head_width not in (None, config.key_width):
        raise UsageError(
            f"no published class multiplies queries and keys by sqrt({config.base_head_width}) / {config.key_width}; "
            "expected a model whose base_head_width is none or its head width"
        )
    # The rest of muP is in the weights and in how they learned, and changes nothing that is computed.
    config = replace(config, base_head_width=None, base_width=ModelConfig.base_width)
    for architecture in (a for a in ARCHITECTURES.values() if a is not T5_11):
        free = {field for field, _ in architecture.settings.values()} | {"initialization", "head_width"}
        wanted = {f: getattr(config, f) for f in free}
        if replace(architecture.like, **wanted) == config and _sayable(architecture, config):
            return architecture
    raise UsageError(
        "no published class computes this model: expected the blocks of one of "
        f"{', '.join(ARCHITECTURES)}; keep it in libertas, or train one of those shapes"
    )


def _sayable(architecture: Architecture, config: ModelConfig) -> bool:
    """Whether the class can say what the shape says where both leave something open."""
    if architecture.model_type != "llama" and config.key_width * config.heads != config.width:
        return False
    if architecture.model_type in ("gptj", "gpt_neox") or config.positions != "rotary":
        return True
    return config.rotary_share == 1.0


def write_settings(architecture: Architecture, config: ModelConfig | T5Config) -> dict[str, Any]:
    """The inverse of `read_settings`: the content of a `config.json`."""
    record: dict[str, Any] = {"architectures": [architecture.name], "model_type": architecture.model_type}
    if isinstance(config, T5Config):
        sizes = {key: getattr(config, field) for key, (field, _) in architecture.settings.items()}
        tying = {"tie_word_embeddings": config.tied, "scale_decoder_outputs": config.tied}
        return {**record, **sizes, "num_decoder_layers": config.layers, **tying, **architecture.only}
    for key, (field, _) in architecture.settings.items():
        record[key] = _converter(WRITE, architecture.model_type, field)(getattr(config, field), config)
    if architecture.model_type in ("gpt_neox", "llama"):
        record["rope_parameters"] = {"rope_type": "default", "rope_theta": config.rotary_base}
        if architecture.model_type == "gpt_neox":
            record["rope_parameters"]["partial_rotary_factor"] = config.rotary_share
    return {**record, **architecture.only}
