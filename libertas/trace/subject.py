"""What a trace is about: a generated text, a given one, or what a score was measured on; always as tokens."""

from dataclasses import dataclass
from pathlib import Path

import orjson
from tokenizers import Tokenizer

from libertas.corpus import Corpus
from libertas.errors import UsageError
from libertas.lineage.manifest import named, read_manifest
from libertas.lineage.walk import input_of
from libertas.trace.config import TraceConfig
from libertas.trace.spans import TokenText, text_of

GENERATION, ITEMS, RECORDS = "generation.json", "items.jsonl", "records.jsonl"
HELD_OUT = "validation"


@dataclass(frozen=True)
class Subject:
    """What is traced, as tokens."""

    written: TokenText
    prompt_tokens: int
    log_probabilities: list[float] | None
    """Natural logarithm for each generated token, which follow the prompt's; None for a text that was given."""


def model_of(source: Path) -> Path:
    """The run or checkpoint that a source is, was written by, or scored.

    Raises:
        UsageError: the source is something else.
    """
    manifest = read_manifest(source)
    if manifest.kind in ("run", "checkpoint"):
        return source
    if manifest.kind not in ("generation", "result"):
        raise UsageError(
            f"{source} is {named(manifest.kind)}; expected a generation made by `libertas generate`, a result made by "
            "`libertas evaluate`, a run or a checkpoint"
        )
    return input_of(source, "run")


def subject_of(config: TraceConfig, tokenizer: Tokenizer) -> Subject:
    """The tokens to trace.

    Raises:
        UsageError: there is no text, or the result has no such item.
    """
    if config.text is not None:
        return _given(config.text, tokenizer)
    if (config.source / RECORDS).is_file():
        return _given(_scored_text(config.source, config.item), tokenizer)
    if not (config.source / GENERATION).is_file():
        raise UsageError(f"text is missing, and {config.source} is no generation; say what to trace with --text")
    made = orjson.loads((config.source / GENERATION).read_bytes())
    if not made["token_ids"]:
        raise UsageError(f"{config.source} has no generated text; run `libertas generate` with another prompt or seed")
    ids = made["prompt_token_ids"] + made["token_ids"]
    return Subject(text_of(tokenizer, ids), len(made["prompt_token_ids"]), made["log_probabilities"])


def _given(text: str, tokenizer: Tokenizer) -> Subject:
    return Subject(text_of(tokenizer, tokenizer.encode(text, add_special_tokens=False).ids), 0, None)


def _scored_text(result: Path, wanted: str | None) -> str:
    """Passage and right answer of an item, or the whole of a held-out document, by the beginning of its id."""
    items = [orjson.loads(line) for line in (result / ITEMS).read_bytes().splitlines()]
    records = [orjson.loads(line) for line in (result / RECORDS).read_bytes().splitlines()]
    if wanted is None:
        measured = [r for r in records if "item" in r and r["overlap"]]
        if not measured:
            raise UsageError(
                f"item is missing, and {result} was made without an index; name an item of {result / ITEMS}"
            )
        wanted = str(max(measured, key=lambda r: (r["overlap"]["longest"], r["item"]))["item"])
    for item in items:
        if ":" in wanted and item["id"].startswith(wanted):  # an item's id is its document's and a place
            return str(item["passage"] + item["answer"])
    corpus = Corpus.open(input_of(result, "corpus"), HELD_OUT)
    number = next((n for n, document in enumerate(corpus.ids()) if document.startswith(wanted)), None)
    if number is None:
        raise UsageError(f"{result} has no item or document {wanted!r}; the ids are in its {ITEMS} and {RECORDS}")
    return corpus.document(number).text
