"""The stage: a model and held-out documents -> an artifact `result`.

`results.json` holds the scores: in the keys of lm-eval's results files, and in full under `libertas`. `records.jsonl`
has one line per document, and one per item and protocol; `items.jsonl` one line per item. A score can be recomputed
from the records, and a record leads to its document and, where training held the same words, to the place there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
import zstandard
from numpy.typing import NDArray

from libertas.corpus import Corpus
from libertas.document import Document
from libertas.errors import UsageError
from libertas.evaluate import overlap as overlaps
from libertas.evaluate.answer import answer
from libertas.evaluate.compression import DICTIONARY_BYTES, POLICY, zstd_bytes
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.encode import encode_pair
from libertas.evaluate.item import Item
from libertas.evaluate.ngram import ORDER, NgramModel
from libertas.evaluate.overlap import Overlap
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.reading import BOUNDARY, DEFAULT_READINGS, START, TRUNCATION
from libertas.evaluate.score import end_of_text
from libertas.evaluate.summary import AnswerRecord, DocumentRecord, accuracies, bits_per_byte, spread
from libertas.evaluate.tables import score_tables
from libertas.evaluate.tasks.bits_per_byte import WINDOW_POLICY, document_log_probabilities
from libertas.evaluate.tasks.continuation import make_items
from libertas.lineage.artifact import Draft, write_json
from libertas.lineage.manifest import read_manifest_of
from libertas.lineage.walk import input_of
from libertas.terminal import progress
from libertas.tokenize.store import TokenStore
from libertas.trace.index import TokenIndex
from libertas.train import checkpoint
from libertas.train.checkpoint import Checkpoint

RESULTS, RECORDS, ITEMS = "results.json", "records.jsonl", "items.jsonl"
TASK_VERSION = 1
"""Raised when a task's meaning changes."""


@dataclass(frozen=True)
class Result:
    """The scores of one model."""

    path: Path
    scores: dict[str, Any]
    """Content of `results.json`."""

    @staticmethod
    def open(path: Path) -> "Result":
        """Open the result artifact at `path`.

        Raises:
            UsageError: `path` is no result.
        """
        read_manifest_of(path, "result", "a result made by `libertas evaluate`")
        return Result(path, orjson.loads((path / RESULTS).read_bytes()))

    def records(self) -> list[dict[str, Any]]:
        """All rows of `records.jsonl`; `task` says what a row is."""
        return _read_lines(self.path / RECORDS)

    def items(self) -> list[dict[str, Any]]:
        """All rows of `items.jsonl`."""
        return _read_lines(self.path / ITEMS)


def tables(result: Result) -> Iterable[Any]:
    """The scores as tables for the terminal."""
    return score_tables(result.scores["libertas"])


def evaluate(config: EvaluateConfig) -> Result:
    """Score a model on the validation part of a corpus.

    Raises:
        UsageError: the corpus holds nothing out, or the index is of other tokens than the model was trained on.
    """
    inputs = {"run": [config.run], "corpus": [config.corpus], "index": [config.index] if config.index else []}
    draft = Draft(kind="result", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        documents = _held_out(config.corpus)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        model = checkpoint.load_checkpoint(config.run)
        store = _training_tokens(model)
        index = _matching_index(config.index, store)
        with draft.build() as folder:
            written = _measure_documents(model, store, documents, index)
            items, refused = make_items(documents, config.items, config.seed)
            answers = _measure_items(model, items, index)
            assert len(written) == len(documents), f"{len(written)} documents scored of {len(documents)}"
            assert len(answers) == len(items) * len(DEFAULT_READINGS), f"{len(answers)} answers to {len(items)} items"
            scores = _scores(config, model, written, answers, items)
            write_json(folder / RESULTS, scores)
            _write_lines(folder / RECORDS, [*map(_document_row, written), *map(_answer_row, answers)])
            _write_lines(folder / ITEMS, map(asdict, items))
            draft.counts = {
                "scores": len(scores["results"]),
                "items": len(items),
                "held_out_bytes": sum(r.bytes for r in written),
                "documents": {"in": len(documents), "out": len(written), "dropped": 0},
                "passages": {"tried": len(items) + refused, "items": len(items), "refused": refused},
            }
    return Result.open(config.out)


def _held_out(path: Path) -> list[Document]:
    documents = list(Corpus.open(path, "validation"))
    if not any(d.text for d in documents):
        raise UsageError(f"{path} holds out no text; mix it with `validation` above 0, such as 0.02")
    return documents


def _training_tokens(model: Checkpoint) -> TokenStore:
    return TokenStore.open(input_of(model.path, "tokens"))


def _matching_index(path: Path | None, store: TokenStore) -> TokenIndex | None:
    """The index, if there is one, after checking that it is of the tokens the model was trained on."""
    if path is None:
        return None
    index = TokenIndex.open(path)
    if index.tokens.manifest.content != store.manifest.content:
        raise UsageError(f"{path} indexes other tokens than {store.path}, which the model read; index those")
    return index


def _measure_documents(
    model: Checkpoint, store: TokenStore, documents: Sequence[Document], index: TokenIndex | None
) -> list[DocumentRecord]:
    end = end_of_text(model.tokenizer)
    encoded = model.tokenizer.encode_batch_fast([d.text for d in documents], add_special_tokens=False)
    tokens = [np.array(e.ids, dtype=np.int64) for e in encoded]
    scored = document_log_probabilities(model.model, tokens, end)
    ngram = NgramModel(store.tokens, store.vocabulary)
    alone, primed = _compressed(documents, store)
    records = []
    with progress("held-out documents in training tokens", len(documents)) as bar:
        for number, document in enumerate(documents):
            sequence = np.r_[end, tokens[number]]
            records.append(
                DocumentRecord(
                    document=document.id,
                    component=str(document.meta["component"]),
                    url=str(document.meta.get("url", "")),
                    bytes=len(document.text.encode()),
                    tokens=len(tokens[number]),
                    log_probability=float(scored[number].sum()),
                    ngram_log_probability=float(ngram.log_probabilities(sequence).sum()),
                    zstd_bytes=int(alone[number]),
                    zstd_primed_bytes=int(primed[number]),
                    overlap=overlaps.overlap(index, tokens[number]) if index else None,
                )
            )
            bar.advance()
    return records


def _compressed(documents: Sequence[Document], store: TokenStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """zstd bytes of each document, alone and primed with the training text of its component."""
    texts = [d.text.encode() for d in documents]
    primed = np.zeros(len(texts), dtype=np.int64)
    components = sorted({str(d.meta["component"]) for d in documents})
    with progress("zstd", len(components)) as bar:
        primers = _primers(store, components)
        alone = zstd_bytes(texts)
        for component in components:
            own = [i for i, d in enumerate(documents) if str(d.meta["component"]) == component]
            primed[own] = zstd_bytes([texts[i] for i in own], primers[component])
            bar.advance(1, component)
    return alone, primed


def _primers(store: TokenStore, components: Sequence[str]) -> dict[str, bytes]:
    """Per component the first `DICTIONARY_BYTES` of its training text."""
    primers = {component: bytearray() for component in components}
    for document in store.corpus():
        primer = primers.get(str(document.meta["component"]))
        if primer is not None and len(primer) < DICTIONARY_BYTES:
            primer += document.text.encode()
    return {component: bytes(primer[:DICTIONARY_BYTES]) for component, primer in primers.items()}


def _measure_items(model: Checkpoint, items: Sequence[Item], index: TokenIndex | None) -> list[AnswerRecord]:
    """Every item under every protocol; its overlap is that of the right answer behind its passage."""
    found: dict[str, Overlap | None] = {}
    with progress("answers in training tokens", len(items)) as bar:
        for item in items:
            pair = encode_pair(model.tokenizer, PROTOCOLS["text"].prompt(item), item.answer)
            found[item.id] = overlaps.overlap(index, pair.tokens, pair.scored) if index else None
            bar.advance()
    return [AnswerRecord(c, found[c.item.id]) for c in answer(model.model, model.tokenizer, items)]


def _document_row(record: DocumentRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": "bits_per_byte", **asdict(record), "overlap": overlap}


def _answer_row(record: AnswerRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": "continuation", **record.choice.to_json(), "overlap": overlap}


def _scores(
    config: EvaluateConfig,
    model: Checkpoint,
    documents: Sequence[DocumentRecord],
    answers: Sequence[AnswerRecord],
    items: Sequence[Item],
) -> dict[str, Any]:
    """Content of `results.json`: nothing in it depends on the day, the place or the machine's name."""
    bits, choices = bits_per_byte(documents), accuracies(answers)
    tasks: dict[str, dict[str, Any]] = {}
    for row in bits:
        name = f"bits_per_byte_{row['component']}"
        tasks[name] = {"bits_per_byte,none": row["model"]["mean"], "bits_per_byte_stderr,none": row["model"]["stderr"]}
    for row in choices:
        name = f"continuation_{row['protocol']}"
        tasks[name] = {"acc,none": row["accuracy"]["mean"], "acc_stderr,none": row["accuracy"]["stderr"]}
    counts = [row["documents"] for row in bits] + [row["accuracy"]["n"] for row in choices]
    return {
        "results": {name: {"alias": name, **values} for name, values in tasks.items()},
        "versions": dict.fromkeys(tasks, TASK_VERSION),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {
            name: {"acc": True} if "acc,none" in v else {"bits_per_byte": False} for name, v in tasks.items()
        },
        "n-samples": {name: {"original": n, "effective": n} for name, n in zip(tasks, counts, strict=True)},
        "config": {
            "model": "libertas",
            "model_args": {"step": model.step, "weights": model.weights_hash},
            "model_num_parameters": model.model.parameter_count(),
            "model_dtype": str(model.model.embedding.weight.dtype),
            "random_seed": config.seed,
        },
        "libertas": {
            "weights": model.weights_hash,
            "step": model.step,
            "bits_per_byte": bits,
            "continuation": {
                "asked": config.items,
                "items": len(items),
                "protocols": choices,
                "spread": spread(choices),
                "first_prompts": {r.name: r.protocol.prompt(items[0]) for r in DEFAULT_READINGS} if items else {},
            },
            "contamination": {
                "measured": config.index is not None,
                "span_tokens": overlaps.SPAN_TOKENS,
                "coverage": overlaps.CONTAMINATED_COVERAGE,
            },
            "policies": {
                "windows": WINDOW_POLICY,
                "ngram": f"{ORDER}-gram, interpolated modified Kneser-Ney, on the training tokens",
                "zstd": f"{POLICY}; libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
                "start": START,
                "boundary": BOUNDARY,
                "truncation": TRUNCATION,
            },
        },
    }


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
