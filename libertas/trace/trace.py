"""Why does a text read as it does? Its longest spans in the training data, each down to the bytes of the archive.

A trace shows that a span stands word for word in the training data, and when the model read it. It does not show that
the model wrote the span because of that document.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.text import Text
from tokenizers import Tokenizer

from libertas.errors import UsageError
from libertas.lineage.artifact import Draft, write_json
from libertas.lineage.manifest import is_artifact, read_manifest
from libertas.terminal import printable, progress
from libertas.tokenize.bpe import closing_token
from libertas.tokenize.store import TokenStore
from libertas.trace.config import TraceConfig
from libertas.trace.index import TokenIndex
from libertas.trace.origin import Origin, Origins, exposure
from libertas.trace.spans import bytes_of, find_spans, match_of
from libertas.trace.subject import model_of, subject_of

TRACE = "trace.json"
CONTEXT_CHARACTERS = 200
"""Training text shown on each side of a span."""
STEPS_LISTED = 3
"""Training steps listed from the first on, and up to the last."""
COLOURS = ("green", "yellow", "cyan", "magenta", "blue", "red")


@dataclass(frozen=True)
class Trace:
    """A finished trace."""

    path: Path
    record: dict[str, Any]
    """Content of `trace.json`: `text`, `prompt_end`, `tokens` and `spans`; a followed span has `places`."""


def trace(config: TraceConfig) -> Trace:
    """Find the longest spans of a text in the training tokens, and follow each to its documents and their bytes.

    Raises:
        UsageError: source and index do not belong together, or there is no text.
        BrokenLineage: a record's bytes are not the ones that were gathered.
    """
    model = model_of(config.source)
    trained = exposure(model)
    config = replace(config, index=config.index or _index_beside(trained.tokens))
    assert config.index is not None
    inputs = {"source": [config.source], "index": [config.index]}
    draft = Draft(kind="trace", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        index = TokenIndex.open(config.index)
        if index.tokens.manifest.content != read_manifest(trained.tokens).content:
            raise UsageError(
                f"{config.index} was made from {index.tokens.path}, but {config.source} was trained on "
                f"{trained.tokens}; run `libertas index {trained.tokens} --out DIR` and name that"
            )
        origins = Origins(index.tokens, trained.order, trained.steps)
        with draft.build() as folder:
            record = _record(config, index, origins, index.tokens.tokenizer())
            write_json(folder / TRACE, record)
            places = [p for s in record["spans"] for p in s["places"]]
            draft.counts = {
                "tokens": len(record["tokens"]),
                "spans": len(record["spans"]),
                "places": len(places),
                "verified": sum(p["verified"] for p in places),
            }
    return Trace(config.out, orjson.loads((config.out / TRACE).read_bytes()))


def _index_beside(tokens: Path) -> Path:
    """An index of these tokens in the folder where they lie."""
    content = read_manifest(tokens).content
    for folder in sorted(p for p in tokens.parent.iterdir() if is_artifact(p)):
        manifest = read_manifest(folder)
        if manifest.kind == "index" and any(i.content == content for i in manifest.inputs):
            return folder
    raise UsageError(
        f"there is no index of {tokens} beside it; run `libertas index {tokens} --out {tokens.parent / 'index'}`, "
        "or name one with --index"
    )


def _record(config: TraceConfig, index: TokenIndex, origins: Origins, tokenizer: Tokenizer) -> dict[str, Any]:
    subject = subject_of(config, tokenizer)
    written, prompt = subject.written, subject.prompt_tokens
    spans = find_spans(index, written.ids, config.minimum, closing_token(tokenizer))
    found = [s for s in spans.found if s.end > prompt]  # a span inside the prompt was not written by the model
    followed = sorted(found, key=lambda s: (-s.length, s.start))[: config.spans]
    rows = []
    with progress("Tracing", len(followed)) as bar:
        for span in found:
            positions = index.positions(match_of(index, written.ids, span))
            ids = index.tokens.document_ids[_documents_of(index.tokens, positions)]
            _, first_in_each = np.unique(ids, return_index=True)
            listed = np.sort(first_in_each)[: config.occurrences if span in followed else 0]
            start, end = written.characters(span.start, span.end)
            rows.append(
                {
                    "start": start,
                    "end": end,
                    "text": written.text[start:end],
                    "first_token": span.start,
                    "tokens": span.length,
                    "occurrences": len(positions),
                    "documents": len(first_in_each),
                    "places": [_place(config, tokenizer, origins, positions[n], span.length) for n in listed],
                }
            )
            bar.advance(1 if span in followed else 0)
    scores: list[float | None] = [None] * len(written.ids)
    if subject.log_probabilities is not None:
        scores[prompt:] = subject.log_probabilities
    return {
        "text": written.text,
        "generated": subject.log_probabilities is not None,
        "prompt_end": written.offsets[prompt - 1][1] if prompt else 0,
        "minimum": config.minimum,
        "training_tokens": len(index.tokens),
        "training_steps": origins.steps,
        "tokens": [
            {"id": i, "start": start, "end": end, "log_probability": score, "longest": longest}
            for i, (start, end), score, longest in zip(
                written.ids, written.offsets, scores, spans.longest.tolist(), strict=True
            )
        ],
        "spans": rows,
    }


def _documents_of(store: TokenStore, positions: list[int]) -> NDArray[np.intp]:
    """Number of the document of each position: `TokenStore.document_at` for many at once."""
    return np.searchsorted(store.offsets, np.array(positions, dtype=np.uint64), side="right") - 1


def _place(config: TraceConfig, tokenizer: Tokenizer, origins: Origins, position: int, length: int) -> dict[str, Any]:
    """One occurrence of a span of `length` tokens."""
    origin = origins.origin(position)
    meta = origin.document.meta
    before, inside, after = _surroundings(origins.store, tokenizer, origin, length)
    return {
        "position": origin.position,
        "document_id": origin.document.id,
        "component": meta.get("component"),
        "url": meta.get("url"),
        "title": meta.get("title"),
        "steps": {
            "total": len(origin.steps),
            "first": origin.steps[:STEPS_LISTED],
            "last": origin.steps[STEPS_LISTED:][-STEPS_LISTED:],
        },
        "warc": origin.warc.to_json() if origin.warc else None,
        "path": os.path.relpath(origin.file, config.out.resolve()) if origin.file else None,
        "verified": origin.payload is not None,
        "before": before,
        "span": inside,
        "after": after,
        "rules": [
            {k: v for k, v in asdict(d).items() if k != "document_id"} for d in origins.decided(origin.document.id)
        ],
    }


def _surroundings(store: TokenStore, tokenizer: Tokenizer, origin: Origin, length: int) -> tuple[str, str, str]:
    """The document's text before, inside and after a span; a character that is cut in two is left out."""
    start, end = origin.position, origin.position + length
    first = max(int(store.offsets[origin.number]), start - CONTEXT_CHARACTERS)  # a token has a byte at least
    last = min(int(store.offsets[origin.number + 1]) - 1, end + CONTEXT_CHARACTERS)  # without the end-of-text token
    before, inside, after = (
        b"".join(bytes_of(tokenizer, store.tokens[a:b].tolist())).decode("utf-8", errors="ignore")
        for a, b in ((first, start), (start, end), (end, last))
    )
    return before[-CONTEXT_CHARACTERS:], inside, after[:CONTEXT_CHARACTERS]


def trace_view(result: Trace) -> Iterator[Text]:
    """The text with its followed spans coloured, then a block for each of them."""
    record = result.record
    followed = sorted((s for s in record["spans"] if s["places"]), key=lambda s: (-s["tokens"], s["start"]))
    text = Text(printable(record["text"]))
    text.stylize("dim", 0, record["prompt_end"])
    for span in record["spans"]:
        text.stylize("underline", span["start"], span["end"])
    for number, span in enumerate(followed):
        text.stylize(f"bold {COLOURS[number % len(COLOURS)]}", span["start"], span["end"])
    yield text
    yield Text()
    for number, span in enumerate(followed):
        yield from _block(result.path, number + 1, span, COLOURS[number % len(COLOURS)])
    if followed:
        yield Text("A span that stands in the training data is not proof that it was learned there.", style="dim")
        return
    longest = max((t["longest"] for t in record["tokens"]), default=0)
    yield Text(
        f"No span of {record['minimum']} tokens or more stands in the training data; the longest has {longest}: "
        "lower --minimum to see it."
    )


def _block(trace_path: Path, number: int, span: dict[str, Any], colour: str) -> Iterator[Text]:
    times = "once" if span["occurrences"] == 1 else f"{span['occurrences']:,} times"
    documents = "one document" if span["documents"] == 1 else f"{span['documents']:,} documents"
    yield Text.assemble(
        (f"{number}. {_one_line(span['text'])}", f"bold {colour}"),
        f"  {span['tokens']} tokens, {times} in {documents}",
    )
    for place in span["places"]:
        yield Text(
            f"   {place['component']}  {place['title'] or ''}  {place['url'] or ''}  document {place['document_id']}"
        )
        yield Text.assemble(
            ("     …" + _one_line(place["before"])[-60:], "dim"),
            (_one_line(place["span"]), colour),
            (_one_line(place["after"])[:60] + "…", "dim"),
        )
        yield Text(f"     {_steps(place['steps'])}; {_rules(place['rules'])}")
        yield Text(f"     {_address(place, trace_path)}")


def _steps(steps: dict[str, Any]) -> str:
    if steps["total"] == 0:
        return "read at no training step"
    shown = ", ".join(map(str, steps["first"]))
    if steps["last"]:
        gap = " … " if steps["total"] > 2 * STEPS_LISTED else ", "
        shown += gap + ", ".join(map(str, steps["last"]))
    return f"read at training step{'' if steps['total'] == 1 else 's'} {shown} ({steps['total']} in all)"


def _rules(rules: list[dict[str, Any]]) -> str:
    if not rules:
        return "let in without rules"
    against = [f"{r['rule']}: {r['reason']}" for r in rules if r["reason"]]
    return "; ".join(against) or f"let in by {len(rules)} rules"


def _address(place: dict[str, Any], trace_path: Path) -> str:
    ref = place["warc"]
    if ref is None:
        return "from no archive"
    return (
        f"{_from_here(trace_path / place['path'])} at offset {ref['offset']:,}, {ref['length']:,} bytes, "
        f"{ref['record_id']}; read again, {ref['payload_digest'][:15]}… is right"
    )


def _from_here(path: Path) -> Path:
    full, here = path.resolve(), Path.cwd()
    return full.relative_to(here) if full.is_relative_to(here) else full


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "↵").replace("\t", " ")
