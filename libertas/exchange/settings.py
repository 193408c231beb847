"""`config.json` -> `ModelConfig` and back. A key that is not known is refused: it may change what is computed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from libertas.errors import UsageError
from libertas.exchange.architectures import ARCHITECTURES, Architecture
from libertas.model.config import ModelConfig
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
rope_interleaved is_llama_config
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


def read_settings(record: Mapping[str, Any], place: str) -> tuple[Architecture, ModelConfig]:
    """The architecture and the shape that a `config.json` describes.

    Args:
        record: its content.
        place: what errors call it.

    Raises:
        UsageError: the class is none of `ARCHITECTURES`, or a key is unknown, or has a value that we do not compute.
    """
    name = next(iter(record.get("architectures") or ["(none)"]))
    if name not in ARCHITECTURES:
        raise UsageError(f"{place}: the architecture {name!r} is not known; {nearest(name, ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    given = _with_rotary_keys(record, place)
    known = {*architecture.settings, *architecture.only, *WITHOUT_EFFECT}
    for key in given:
        if key not in known and not key.startswith("_"):
            raise UsageError(f"{place}: {name} has no key {key!r} that is known here; it may change what is computed")
    for key, only in architecture.only.items():
        if given.get(key, only) != only:
            raise UsageError(f"{place}: {key} is {given[key]!r}; expected {only!r}, other models are not computed here")
    shape = architecture.like
    late = {}
    for key, (field, default) in architecture.settings.items():
        value = given.get(key, default)
        late[field] = (key, value, _converter(READ, architecture.model_type, field))
    plain = {f: v for f, (_, v, _) in late.items() if f in ("vocabulary", "width", "layers", "heads", "context")}
    for field, value in plain.items():
        if not isinstance(value, int):
            raise UsageError(f"{place}: {late[field][0]} is {value!r}; expected a whole number")
    try:
        shape = replace(shape, **plain, hidden=None, head_width=None, key_heads=_groups(architecture, plain))
        converted = {field: convert(value, shape) for field, (_, value, convert) in late.items()}
        return architecture, replace(shape, **converted)
    except (UsageError, TypeError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from error


def _groups(architecture: Architecture, plain: Mapping[str, Any]) -> int | None:
    return 1 if architecture.like.key_heads == 1 else None


def _with_rotary_keys(record: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The record with rotary positions under the names that files had before `rope_parameters`."""
    given = {ALIASES.get(key, key) if record.get("model_type") == "bloom" else key: v for key, v in record.items()}
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


def architecture_of(config: ModelConfig) -> Architecture:
    """The published class that computes what a shape describes.

    Raises:
        UsageError: none does.
    """
    for architecture in ARCHITECTURES.values():
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


def write_settings(architecture: Architecture, config: ModelConfig) -> dict[str, Any]:
    """The inverse of `read_settings`: the content of a `config.json`."""
    record: dict[str, Any] = {"architectures": [architecture.name], "model_type": architecture.model_type}
    for key, (field, _) in architecture.settings.items():
        record[key] = _converter(WRITE, architecture.model_type, field)(getattr(config, field), config)
    if architecture.model_type in ("gpt_neox", "llama"):
        record["rope_parameters"] = {"rope_type": "default", "rope_theta": config.rotary_base}
        if architecture.model_type == "gpt_neox":
            record["rope_parameters"]["partial_rotary_factor"] = config.rotary_share
    return {**record, **architecture.only}
