"""The stage: a model and held-out documents -> an artifact `result`.

`results.json` holds the scores: in the keys of lm-eval's results files, and in full under `libertas`. `records.jsonl`
has one line per document, and one per item and protocol; `items.jsonl` one line per item. A score can be recomputed
from the records, and a record leads to its document and, where training held the same words, to the place there.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import torch
from rich.markup import escape

from libertas.corpus import Corpus
from libertas.document import Document
from libertas.errors import UsageError
from libertas.evaluate import overlap as overlaps
from libertas.evaluate.answer import answer
from libertas.evaluate.cache import ScoreCache, keep_scores
from libertas.evaluate.chat import Prompting, read_prompting
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.contamination.scores import leak_scores, leak_tables, measure_leaks
from libertas.evaluate.documents import measure_documents
from libertas.evaluate.encode import encode_pair
from libertas.evaluate.item import Item
from libertas.evaluate.notices import notices
from libertas.evaluate.overlap import Overlap
from libertas.evaluate.produce import write_answers
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.scorecard import readings_put, scorecard, writing_rules
from libertas.evaluate.sensitivity.page import write_sensitivity
from libertas.evaluate.sensitivity.report import (
    SENSITIVITY_PAGE,
    sensitivity_report,
    sensitivity_summary,
    sensitivity_tables,
)
from libertas.evaluate.shots import reordered
from libertas.evaluate.summary import AnswerRecord, DocumentRecord
from libertas.evaluate.tables import score_tables
from libertas.evaluate.task import Task, files_of, load_task, readings_of, refusals, writes
from libertas.evaluate.tasks.continuation import make_items
from libertas.evaluate.written import WrittenAnswer, written_tables
from libertas.lineage.artifact import Draft, write_json
from libertas.lineage.fingerprint import digest
from libertas.lineage.manifest import read_manifest_of
from libertas.lineage.walk import input_of
from libertas.terminal import progress, say
from libertas.tokenize.store import TokenStore
from libertas.trace.index import TokenIndex
from libertas.train import checkpoint
from libertas.train.checkpoint import Checkpoint

RESULTS, RECORDS, ITEMS = "results.json", "records.jsonl", "items.jsonl"


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
    scores = result.scores["libertas"]
    chosen = {name: task for name, task in scores["tasks"].items() if task["protocols"]}
    found: list[Any] = list(score_tables({**scores, "tasks": chosen}))
    found += written_tables({"continuation": scores["continuation"], **scores["tasks"]})
    if scores.get("sensitivity"):
        found += sensitivity_tables(scores["sensitivity"], str(result.path / SENSITIVITY_PAGE))
    if scores.get("leaks"):
        found += leak_tables(scores["leaks"])
    return found


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
            for line in refusals(task):
                say(escape(line))
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        model = _load(config)
        prompting = read_prompting(model.path, model.tokenizer)
        store = _training_tokens(model) if documents or config.index else None
        index = _matching_index(config.index, store)
        with draft.build() as folder:
            written = measure_documents(model, store, documents, index) if store and documents else []
            made, refused = make_items(documents, config.items, config.seed)
            assert len(written) == len(documents), f"{len(written)} documents scored of {len(documents)}"
            tasks = [Task("continuation", made), *(task.limited(config.limit) for task in tasks)]
            tasks = [_in_order(task, config.order_seed) for task in tasks]
            measured = [_measure_items(model, prompting, task, config, index) for task in tasks]
            tasks, answers = [task for task, _ in measured], {task.name: found for task, found in measured}
            texts = {task.name: _let_write(model, prompting, task, config) for task in tasks}
            scores = scorecard(config, model, store, prompting, written, tasks, answers, texts)
            if config.sensitivity:
                report = sensitivity_report(model.model, model.tokenizer, prompting, tasks, config)
                write_sensitivity(folder, report, model.weights_hash)
                scores["libertas"]["sensitivity"] = sensitivity_summary(report)
            rows = [_answer_row(name, row) for name, found in answers.items() for row in found]
            rows += [{"task": name, **one.to_json(), "overlap": None} for name, own in texts.items() for one in own]
            leaks = measure_leaks(config.contamination, model.path, tasks)
            rows = [row | {"contamination": leaks.brief(row["task"], row["item"])} for row in rows]
            scores["libertas"]["leaks"] = leak_scores(leaks, rows)
            write_json(folder / RESULTS, scores)
            write_lines(folder / RECORDS, [*map(_document_row, written), *rows])
            write_lines(folder / ITEMS, (_item_row(t.name, i, leaks.of(t.name, i.id)) for t in tasks for i in t.items))
            draft.counts = {
                "scores": len(scores["results"]),
                "items": sum(len(task.items) for task in tasks),
                "refused": sum(len(task.refused) for task in tasks),
                "held_out_bytes": sum(r.bytes for r in written),
                "documents": {"in": len(documents), "out": len(written), "dropped": 0},
                "passages": {"tried": len(made) + refused, "items": len(made), "refused": refused},
            }
    return Result.open(config.out)


def _load(config: EvaluateConfig) -> Checkpoint:
    """The model in the precision that is asked for; its scores are kept where they shall be."""
    found = checkpoint.load_checkpoint(config.run)
    found.model.to(getattr(torch, config.precision))
    if config.cache is not None:
        tokenizer = digest(found.tokenizer.to_str().encode())
        cache = ScoreCache(config.cache, weights=found.weights_hash, tokenizer=tokenizer, model=found.model)
        keep_scores(found.model, cache)
    return found


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


def _in_order(task: Task, seed: int | None) -> Task:
    return task if seed is None else replace(task, items=[reordered(item, seed) for item in task.items])


def _measure_items(
    model: Checkpoint, prompting: Prompting, task: Task, config: EvaluateConfig, index: TokenIndex | None
) -> tuple[Task, list[AnswerRecord]]:
    """Every item under every reading, and the task without the items that cannot be asked.

    An item's overlap is that of the right answer behind its passage.
    """
    readings = [reading for reading in readings_put(config, task, prompting) if not writes(reading)]
    if not readings:
        return task, []
    found = _overlaps(model, task, index) if index else {}
    shots = config.shots_of(task.name)
    refused: list[str] = []
    answers = answer(
        model.model, model.tokenizer, task.items, readings, task.pool, shots, task.name, prompting, refused
    )
    asked = {c.item.id for c in answers}
    kept = [item for item in task.items if item.id in asked]
    assert len(kept) + len(refused) == len(task.items), f"{task.name}: an item vanished"
    assert len(answers) == len(kept) * len(readings), f"{len(answers)} answers to {len(kept)} items"
    for line in notices(task.name, answers, refused):
        say(escape(line))
    records = [AnswerRecord(choice, found.get(choice.item.id)) for choice in answers]
    return replace(task, items=kept, refused=(*task.refused, *refused)), records


def _overlaps(model: Checkpoint, task: Task, index: TokenIndex) -> dict[str, Overlap]:
    """By item, what its right answer behind its passage shares with the training tokens."""
    found = {}
    with progress(f"{task.name}: answers in training tokens", len(task.items)) as bar:
        for item in task.items:
            pair = encode_pair(model.tokenizer, PROTOCOLS["text"].prompt(item), item.answer)
            found[item.id] = overlaps.overlap(index, pair.tokens, pair.scored)
            bar.advance()
    return found


def _let_write(model: Checkpoint, prompting: Prompting, task: Task, config: EvaluateConfig) -> list[WrittenAnswer]:
    """What the model writes to every item, under the readings that let it."""
    shots, rules = config.shots_of(task.name), writing_rules(config)
    readings = [reading for reading in readings_put(config, task, prompting) if writes(reading)]
    found = [
        write_answers(model.model, model.tokenizer, task.items, one, task.pool, shots, rules, task.name, prompting)
        for one in readings
    ]
    assert all(len(own) == len(task.items) for own in found), f"{task.name}: an item vanished"
    return [one for own in found for one in own]


def _document_row(record: DocumentRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": "bits_per_byte", **asdict(record), "overlap": overlap}


def _answer_row(task: str, record: AnswerRecord) -> dict[str, Any]:
    overlap = record.overlap.to_json() if record.overlap else None
    return {"task": task, **record.choice.to_json(), "overlap": overlap}


def _item_row(task: str, item: Item, leak: dict[str, Any] | None) -> dict[str, Any]:
    return {"task": task, **asdict(item), "contamination": leak}


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line, keys in order."""
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
