"""A Hugging Face folder -> a checkpoint of ours, and back. Weights pass a tensor at a time, and their dtype is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from tokenizers import Tokenizer
from torch import Tensor, equal, isfinite, uint8

from libertas.errors import UsageError
from libertas.exchange.architectures import GPT_NEOX, T5_11, Architecture
from libertas.exchange.config import ExportConfig, ImportConfig
from libertas.exchange.layout import to_ours, to_theirs
from libertas.exchange.names import OUTPUTS, TensorMatch, matches, spelled, their_shape
from libertas.exchange.neox import NeoxParts, file_name, write_parts
from libertas.exchange.settings import architecture_of, read_settings, write_settings
from libertas.lineage.artifact import Draft, write_durably, write_json
from libertas.lineage.fingerprint import digest
from libertas.lineage.manifest import named, read_manifest
from libertas.lineage.walk import find_ancestor
from libertas.model.config import T5_MARK, ModelConfig
from libertas.model.sizes import named_size
from libertas.model.t5 import T5Config
from libertas.tensor_files import (
    DTYPES,
    INDEX,
    SINGLE,
    TensorFact,
    TensorFiles,
    sharded,
    tensor_file_index,
    tensor_file_name,
    write_tensors,
)
from libertas.terminal import say

CONFIG, SHAPE, TOKENIZER, SPECIAL = "config.json", "model.json", "tokenizer.json", "special.json"
PROMPTING = "prompting.json"
"""File in an imported checkpoint: what its publishers say of prompts (`_prompting`)."""
TOKENIZER_SETTINGS, CHAT_TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
"""Token ids that `config.json` names; they go along, since a text ends where they say."""
LARGEST_ID = 1 << 40
EMBEDDING, LOGITS, OUTPUT = "embedding.weight", "logits.weight", "lm_head.weight"
"""The embeddings in our checkpoints, and the second one in most of theirs."""


def import_model(config: ImportConfig) -> Path:
    """Make the checkpoint, or find it made; returns its directory.

    Raises:
        UsageError: the folder lacks something, the architecture or a key of `config.json` is not known, a tensor is
            missing, too many, of another shape, or holds NaN. Nothing is ever drawn anew.
    """
    record, architecture, shape = _described(config)
    opened = NeoxParts(config.folder, named_size(config.like)) if config.like else TensorFiles(config.folder)
    said = [] if config.like else [config.folder / CONFIG]
    sources = [*said, *opened.files]
    _require_special_ids(record, shape, config.folder / CONFIG)
    tokenizer = config.folder / TOKENIZER
    if tokenizer.exists():
        _require_fitting(tokenizer, shape)
        sources.append(tokenizer)
    sources += [config.folder / name for name in (TOKENIZER_SETTINGS, CHAT_TEMPLATE) if (config.folder / name).exists()]
    draft = Draft(kind="checkpoint", out=config.out, config=config, inputs={"model": sources}, code=__name__)
    if draft.finished():
        return config.out
    with opened as files, draft.build() as folder:
        wanted = matches(architecture, shape)
        if architecture is T5_11 and LOGITS in wanted and record["tie_word_embeddings"] and OUTPUT not in files.names():
            # Version 5 of `transformers` writes a T5 1.1 that it made itself so: tied, though not scaled.
            wanted[LOGITS] = wanted[EMBEDDING]
        facts = _facts_of_ours(files, wanted, architecture, shape)
        hashes: dict[str, str] = {}

        def ours(name: str) -> Tensor:
            match = wanted[name]
            present = set(files.names())
            parts = [
                _finite(files, spelled(theirs, present, architecture, str(config.folder))) for theirs in match.theirs
            ]
            tensor = to_ours(match.layout, parts, shape).contiguous()
            hashes[name] = digest(tensor.view(uint8).numpy().tobytes())
            return tensor

        write_tensors(folder / SINGLE, facts, ours)
        write_json(folder / SHAPE, shape.to_json())
        write_json(folder / SPECIAL, {k: record[k] for k in SPECIAL_IDS if record.get(k) is not None})
        write_json(folder / PROMPTING, _prompting(config.folder))
        if tokenizer.exists():
            write_durably(folder / TOKENIZER, tokenizer.read_bytes())
        draft.counts = {
            **({"norms_apart": opened.apart} if isinstance(opened, NeoxParts) else {}),
            "step": 0,
            "parameters": sum(f.numbers for f in facts.values()),
            "architecture": architecture.name,
            "weights": digest("".join(f"{n} {h}\n" for n, h in sorted(hashes.items())).encode()),
        }
    if isinstance(opened, NeoxParts) and opened.apart:
        name, most = max(opened.apart.items(), key=lambda item: item[1])
        say(
            f"{len(opened.apart)} norms differ between the {len(opened.parts)} parts, by up to {most:.3g} ({name}); "
            "their means were taken, so the merged model is an approximation"
        )
    return config.out


def _place(files: TensorFiles | NeoxParts) -> str:
    """What errors call the files: one by its name, several by that of their folder."""
    return str(files.files[0] if len(files.files) == 1 else files.folder)


def _finite(files: TensorFiles | NeoxParts, name: str) -> Tensor:
    tensor = files.read(name)
    if not bool(isfinite(tensor).all()):
        raise UsageError(f"{_place(files)}: tensor {name} holds NaN or infinity; expected numbers; it is of no use")
    return tensor


def _described(config: ImportConfig) -> tuple[dict[str, Any], Architecture, ModelConfig | T5Config]:
    """What the folder says of itself, or the named size that it is said to be."""
    if not config.like:
        if (config.folder / file_name(0, 0)).exists():
            raise UsageError(f"{config.folder} has GPT-NeoX's files, which do not say their size; name it with --like")
        record = _read_json(config.folder / CONFIG, "a folder as `save_pretrained` writes it")
        return record, *read_settings(record, str(config.folder / CONFIG))
    shape = named_size(config.like)
    if architecture_of(shape) is not GPT_NEOX:
        raise UsageError(f"like is {config.like}, which is no GPT-NeoX; expected a size such as pythia-70m")
    return {}, GPT_NEOX, shape


def _facts_of_ours(
    files: TensorFiles | NeoxParts,
    wanted: Mapping[str, TensorMatch],
    architecture: Architecture,
    shape: ModelConfig | T5Config,
) -> dict[str, TensorFact]:
    """What our tensors will be, once theirs are all there, of the right shape, and no others are."""
    place, present, used = _place(files), set(files.names()), set[str]()
    facts = {}
    for name, match in wanted.items():
        kinds = set()
        for number, theirs in enumerate(match.theirs):
            found = spelled(theirs, present, architecture, place)
            used.add(found)
            fact, expected = files.fact(found), their_shape(match, number, shape)
            if fact.shape != expected:
                raise UsageError(f"{place}: tensor {found} has shape {fact.shape}; expected {expected} by {CONFIG}")
            if fact.dtype not in DTYPES:
                raise UsageError(f"{place}: tensor {found} is of {fact.dtype}; expected F32, F16 or BF16 weights")
            kinds.add(fact.dtype)
        if len(kinds) > 1:
            raise UsageError(
                f"{place}: {', '.join(match.theirs)} are of {', '.join(sorted(kinds))}; expected one dtype"
            )
        facts[name] = TensorFact(kinds.pop(), match.shape)
    copies = {*architecture.copies, *([f"{name}.weight" for name in OUTPUTS] if shape.tied else ())}
    for name in sorted(present - used):
        if name in copies:
            original = spelled(wanted[EMBEDDING].theirs[0], present, architecture, place)
            if not equal(files.read(name), files.read(original)):
                raise UsageError(f"{place}: tensor {name} differs from {original}; expected a copy by {CONFIG}")
        elif not name.endswith(architecture.buffers or ("\0",)):
            raise UsageError(f"{place}: tensor {name} belongs to no part of {architecture.name}; expected none but its")
    return facts


def _require_special_ids(record: Mapping[str, Any], shape: ModelConfig | T5Config, place: Path) -> None:
    """Refuse ids that no token has; -1 is what some published files have for none."""
    for key in SPECIAL_IDS:
        found: Any = record.get(key)
        for number in found if isinstance(found, list) else [found]:
            if number is not None and not (type(number) is int and -1 <= number < shape.vocabulary):
                raise UsageError(f"{place}: {key} is {number!r}; expected a token id below {shape.vocabulary:,}")


def _require_fitting(tokenizer: Path, shape: ModelConfig | T5Config) -> None:
    try:
        size = max(Tokenizer.from_file(str(tokenizer)).get_vocab().values(), default=-1) + 1
    except Exception as error:  # the library raises nothing more special
        raise UsageError(f"{tokenizer} is no tokenizer ({error}); copy it again, or remove it") from error
    if size > shape.vocabulary:
        raise UsageError(
            f"{tokenizer} has token ids below {size:,}, of which the model knows {shape.vocabulary:,}; "
            "expected no more; take the tokenizer that the model was trained with"
        )


def _prompting(folder: Path) -> dict[str, Any]:
    """What the publishers say of prompts, by the names that `transformers` has for it.

    The special tokens, `add_bos_token`, and `chat_template`, which may stand in a file of its own or be one of several.
    """
    path = folder / TOKENIZER_SETTINGS
    said = _read_json(path, "a tokenizer's settings") if path.exists() else {}
    tokens = {k: v.get("content") if isinstance(v, dict) else v for k, v in said.items() if k.endswith("_token")}
    kept = {k: v for k, v in tokens.items() if isinstance(v, bool if k == "add_bos_token" else str)}
    template = said.get("chat_template")
    if isinstance(template, list):
        named_templates = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named_templates.get("default")
    if (folder / CHAT_TEMPLATE).exists():
        template = (folder / CHAT_TEMPLATE).read_text(encoding="utf-8", errors="replace")
    return {**kept, "chat_template": template} if isinstance(template, str) else kept


def _read_json(path: Path, expected: str) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; expected {expected}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}); copy it again") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no settings; expected {expected}")
    return found


def export_model(config: ExportConfig) -> Path:
    """Write the folder, or find it written; returns it.

    Raises:
        UsageError: it is no checkpoint, or no published class computes what this model computes.
    """
    source = _checkpoint(config.checkpoint)
    described = _read_json(source / SHAPE, "a checkpoint's shape")
    shape = T5Config.from_json(described) if T5_MARK in described else ModelConfig.from_json(described)
    architecture = architecture_of(shape)
    tokenizer = _tokenizer_of(source)
    inputs = {
        "checkpoint": [source],
        **({"tokenizer": [tokenizer]} if tokenizer and source not in tokenizer.parents else {}),
    }
    draft = Draft(kind="export", out=config.out, config=config, inputs=inputs, code=__name__)
    if draft.finished():
        return config.out
    with draft.build() as folder, TensorFiles(source) as files:
        wanted = matches(architecture, shape)
        homes = {t: (name, number) for name, m in wanted.items() for number, t in enumerate(m.theirs)}
        facts = {
            theirs: TensorFact(files.fact(name).dtype, their_shape(wanted[name], number, shape))
            for theirs, (name, number) in homes.items()
        }

        def theirs_of(theirs: str) -> Tensor:
            name, number = homes[theirs]
            match = wanted[name]
            return to_theirs(match.layout, files.read(name), shape, len(match.theirs))[number]

        draft.counts = {"parameters": sum(f.numbers for f in facts.values()), "architecture": architecture.name}
        if config.to == "neox":
            if architecture is not GPT_NEOX or isinstance(shape, T5Config):
                raise UsageError(f"{source} is a {architecture.name}; expected GPT-NeoX's blocks for --to neox")
            write_parts({name: theirs_of(name) for name in facts}, shape, folder, config.parts)
            return config.out
        groups = list(sharded(facts, config.shard_bytes))
        for number, group in enumerate(groups, start=1):
            write_tensors(folder / tensor_file_name("model", number, len(groups)), group, theirs_of)
        if len(groups) > 1:
            write_json(folder / INDEX, tensor_file_index("model", groups))
        special = _special_of(source, tokenizer)
        kinds = sorted({f.dtype for f in facts.values()})
        dtype = str(DTYPES[kinds[0]]).removeprefix("torch.")
        write_json(folder / CONFIG, {**write_settings(architecture, shape), "torch_dtype": dtype, **special})
        write_json(folder / "generation_config.json", special)
        if tokenizer is not None:
            write_durably(folder / TOKENIZER, tokenizer.read_bytes())
            settings = _tokenizer_settings(tokenizer, special, shape)
            said = _read_json(source / PROMPTING, "a checkpoint's settings") if (source / PROMPTING).exists() else {}
            write_json(folder / TOKENIZER_SETTINGS, {**settings, **said})
    return config.out


def _checkpoint(path: Path) -> Path:
    manifest = read_manifest(path)
    if manifest.kind == "run":
        path = path / "checkpoints" / f"step-{int(manifest.counts['steps']):08d}"
        manifest = read_manifest(path)
    if manifest.kind != "checkpoint":
        raise UsageError(f"{path} is {named(manifest.kind)}; expected a run, or a checkpoint of `train` or `import`")
    return path


def _tokenizer_of(checkpoint: Path) -> Path | None:
    """The tokenizer that lies in a checkpoint, or with the tokens that it was trained on."""
    if (checkpoint / TOKENIZER).exists():
        return checkpoint / TOKENIZER
    tokens = find_ancestor(checkpoint, "tokens")
    return tokens / TOKENIZER if tokens else None


END_OF_TEXT = "<|endoftext|>"


def _special_of(checkpoint: Path, tokenizer: Path | None) -> dict[str, int]:
    """Token ids that begin and end a text."""
    if (checkpoint / SPECIAL).exists():
        found = _read_json(checkpoint / SPECIAL, "token ids")
        return {key: value for key, value in found.items() if key in SPECIAL_IDS}
    end = Tokenizer.from_file(str(tokenizer)).token_to_id(END_OF_TEXT) if tokenizer else None
    return {} if end is None else {"bos_token_id": end, "eos_token_id": end}


def _tokenizer_settings(tokenizer: Path, special: Mapping[str, Any], shape: ModelConfig | T5Config) -> dict[str, Any]:
    """What `AutoTokenizer` needs to open the tokenizer without knowing who made it."""
    known = Tokenizer.from_file(str(tokenizer))
    named_ids = {k.removesuffix("_id"): known.id_to_token(v) for k, v in special.items() if isinstance(v, int)}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **({"model_max_length": shape.context} if isinstance(shape, ModelConfig) else {}),
        "clean_up_tokenization_spaces": False,
        **{k: v for k, v in named_ids.items() if v is not None},
    }
