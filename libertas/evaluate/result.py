"""The stage: a model and held-out documents -> an artifact `result`.

`results.json` holds the scores: in the keys of lm-eval's results files, and in full under `libertas`. `records.jsonl`
has one line per document, and one per item and protocol; `items.jsonl` one line per item. A score can be recomputed
from the records, and a record leads to its document and, where training held the same words, to the place there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
import zstandard

from libertas.corpus import Corpus
from libertas.document import Document
from libertas.errors import UsageError
from libertas.evaluate import overlap as overlaps
from libertas.evaluate.answer import answer, first_prompt
from libertas.evaluate.compression import POLICY
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.documents import measure_documents
from libertas.evaluate.encode import encode_pair
from libertas.evaluate.ngram import ORDER
from libertas.evaluate.overlap import Overlap
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.reading import BOUNDARY, START, TRUNCATION
from libertas.evaluate.summary import AnswerRecord, DocumentRecord, accuracies, bits_per_byte, spread
from libertas.evaluate.tables import score_tables
from libertas.evaluate.task import Task, files_of, load_task, readings_of
from libertas.evaluate.tasks.bits_per_byte import WINDOW_POLICY
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
    """Score a model on the validation part of a corpus, and on tasks.

    Raises:
        UsageError: the corpus holds nothing out, a task's file is not what it should be, or the index is of other
            tokens than the model was trained on.
    """
    inputs = {
        "run": [config.run],
        "corpus": [config.corpus] if config.corpus else [],
        "index": [config.index] if config.index else [],
        "task": [path for spec in config.tasks for path in files_of(spec)],
    }
    draft = Draft(kind="result", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        documents = _held_out(config.corpus) if config.corpus else []
        tasks = [load_task(spec, config.seed) for spec in config.tasks]
        for task in tasks:
            readings_of(config, task)  # refused before a model is loaded
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        model = checkpoint.load_checkpoint(config.run)
        store = _training_tokens(model) if documents or config.index else None
        index = _matching_index(config.index, store)
        with draft.build() as folder:
            written = measure_documents(model, store, documents, index) if store and documents else []
            made, refused = make_items(documents, config.items, config.seed)
            assert len(written) == len(documents), f"{len(written)} documents scored of {len(documents)}"
            tasks = [Task("continuation", made), *(task.limited(config.limit) for task in tasks)]
            answers = {task.name: _measure_items(model, task, config, index) for task in tasks}
            scores = _scores(config, model, written, tasks, answers)
            write_json(folder / RESULTS, scores)
            rows = [_answer_row(name, row) for name, found in answers.items() for row in found]
            write_lines(folder / RECORDS, [*map(_document_row, written), *rows])
            write_lines(folder / ITEMS, ({"task": t.name, **asdict(item)} for t in tasks for item in t.items))
            draft.counts = {
                "scores": len(scores["results"]),
                "items": sum(len(task.items) for task in tasks),
                "held_out_bytes": sum(r.bytes for r in written),
                "documents": {"in": len(documents), "out": len(written), "dropped": 0},
                "passages": {"tried": len(made) + refused, "items": len(made), "refused": refused},
            }
    return Result.open(config.out)


def _held_out(path: Path) -> list[Document]:
    documents = list(Corpus.open(path, "validation"))
    if not any(d.text for d in documents):
        raise UsageError(f"{path} holds out no text; mix it with `validation` above 0, such as 0.02")
    return documents


def _training_tokens(model: Checkpoint) -> TokenStore:
    return TokenStore.open(input_of(model.path, "tokens"))


def _matching_index(path: Path | None, store: TokenStore | None) -> TokenIndex | None:
    """The index, if there is one, after checking that it is of the tokens the model was trained on."""
    if path is None or store is None:
        return None
    index = TokenIndex.open(path)
    if index.tokens.manifest.content != store.manifest.content:
        raise UsageError(f"{path} indexes other tokens than {store.path}, which the model read; index those")
    return index


def _measure_items(
    model: Checkpoint, task: Task, config: EvaluateConfig, index: TokenIndex | None
) -> list[AnswerRecord]:
    """Every item under every reading; its overlap is that of the right answer behind its passage."""
    readings = readings_of(config, task)
    found: dict[str, Overlap | None] = {}
    with progress(f"{task.name}: answers in training tokens", len(task.items)) as bar:
        for item in task.items:
            pair = encode_pair(model.tokenizer, PROTOCOLS["text"].prompt(item), item.answer)
            found[item.id] = overlaps.overlap(index, pair.tokens, pair.scored) if index else None
            bar.advance()
    shots = config.shots_of(task.name)
    answers = answer(model.model, model.tokenizer, task.items, readings, task.pool, shots, task.name)
    assert len(answers) == len(task.items) * len(readings), f"{len(answers)} answers to {len(task.items)} items"
    return [AnswerRecord(c, found[c.item.id]) for c in answers]


def _document_row(record: DocumentRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": "bits_per_byte", **asdict(record), "overlap": overlap}


def _answer_row(task: str, record: AnswerRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": task, **record.choice.to_json(), "overlap": overlap}


def _scores(
    config: EvaluateConfig,
    model: Checkpoint,
    documents: Sequence[DocumentRecord],
    tasks: Sequence[Task],
    answers: Mapping[str, Sequence[AnswerRecord]],
) -> dict[str, Any]:
    """Content of `results.json`: nothing in it depends on the day, the place or the machine's name."""
    bits = bits_per_byte(documents) if documents else []
    told = {task.name: _told(config, task, answers[task.name]) for task in tasks}
    found: dict[str, tuple[dict[str, Any], int, int]] = {}
    for row in bits:
        values = {"bits_per_byte,none": row["model"]["mean"], "bits_per_byte_stderr,none": row["model"]["stderr"]}
        found[f"bits_per_byte_{row['component']}"] = values, row["documents"], 0
    for task in tasks:
        for row in told[task.name]["protocols"]:
            values = {"acc,none": row["accuracy"]["mean"], "acc_stderr,none": row["accuracy"]["stderr"]}
            found[f"{task.name}_{row['protocol']}"] = values, row["accuracy"]["n"], config.shots_of(task.name).count
    return {
        "results": {name: {"alias": name, **values} for name, (values, _, _) in found.items()},
        "versions": dict.fromkeys(found, TASK_VERSION),
        "n-shot": {name: shots for name, (_, _, shots) in found.items()},
        "higher_is_better": {
            name: {"acc": True} if "acc,none" in v else {"bits_per_byte": False} for name, (v, _, _) in found.items()
        },
        "n-samples": {name: {"original": n, "effective": n} for name, (_, n, _) in found.items()},
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
            "continuation": {"asked": config.items, **told["continuation"]},
            "tasks": {name: row for name, row in told.items() if name != "continuation"},
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


def _told(config: EvaluateConfig, task: Task, answers: Sequence[AnswerRecord]) -> dict[str, Any]:
    """What is said of one task."""
    readings = readings_of(config, task)
    rows = accuracies(answers, readings)
    shots = config.shots_of(task.name)
    prompts = {r.name: first_prompt(task.items, r.protocol, task.pool, shots) for r in readings} if task.items else {}
    return {"items": len(task.items), "protocols": rows, "spread": spread(rows), "first_prompts": prompts}


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line, keys in order."""
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
