"""Scores of the items that training has not seen beside those of all items, and the tables that show them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from rich.table import Table
from rich.text import Text

from libertas.corpus import Corpus
from libertas.errors import LibertasError
from libertas.evaluate.contamination.find import ALONE, BOTH, CLASSES, CLEAN, TEMPLATED, Leak, Leaks, find_leaks
from libertas.evaluate.contamination.steps import with_first_steps
from libertas.evaluate.statistics import clustered_mean, paired_ratio
from libertas.evaluate.tables import estimate_text, narrow_table, part_text
from libertas.evaluate.task import Task
from libertas.lineage.manifest import read_manifest
from libertas.lineage.walk import input_of
from libertas.terminal import printable
from libertas.tokenize.store import TokenStore

LEAKED, UNSEEN = (BOTH, ALONE), (CLEAN, TEMPLATED)
"""Classes of items that training has seen, and of those that it has not; public texts are neither."""
SHOWN = 3
"""Items of a task that the terminal shows."""
SHOWN_CHARACTERS = 160
"""Of what matches, in the terminal."""
OFF = "turned off by `--contamination=false`"


@dataclass(frozen=True)
class LeakReport:
    """What training has of the items of some tasks."""

    leaks: Leaks
    reason: str
    """Why it was not measured; empty where it was."""
    documents: int = 0
    """Training documents that were read."""

    def of(self, task: str, item: str) -> dict[str, Any] | None:
        """What a line of `items.jsonl` says; None where nothing was measured."""
        leak = self.leaks.get(task, {}).get(item)
        return leak.to_json() if leak else None

    def brief(self, task: str, item: str) -> dict[str, Any] | None:
        """What a line of `records.jsonl` says: the class, the published rules, and where it was read when."""
        leak = self.leaks.get(task, {}).get(item)
        if leak is None:
            return None
        hit = {name: getattr(leak.hit, name) for name in ("document", "url", "step")} if leak.hit else {}
        return {"class": leak.kind, "rules": list(leak.rules), **hit}


def measure_leaks(wanted: bool, model: Path, tasks: Sequence[Task]) -> LeakReport:
    """Look the items of some tasks up in what the run or checkpoint at `model` was trained on, if that is here."""
    if not wanted:
        return LeakReport({}, OFF)
    try:
        store = TokenStore.open(input_of(model, "tokens"))
        corpus = store.corpus()
    except LibertasError as error:
        return LeakReport({}, f"what the model was trained on is not here ({error})")
    if not any(task.items for task in tasks):
        return LeakReport({}, "", len(corpus))
    leaks = _found(store.manifest.content, tasks, corpus)
    if read_manifest(model).kind in ("run", "checkpoint"):
        leaks = with_first_steps(leaks, model, store)
    return LeakReport(leaks, "", len(corpus))


_LAST: dict[bytes, Leaks] = {}
"""What was found last: the checkpoints of one run are asked the same, and have read the same documents."""


def _found(content: str, tasks: Sequence[Task], corpus: Corpus) -> Leaks:
    """`find_leaks`, or what it said of the same items and training tokens before."""
    key = blake3(content.encode())
    for task in tasks:
        key.update(repr((task.name, list(task.items))).encode("utf-8", "surrogatepass"))
    if key.digest() not in _LAST:
        _LAST.clear()
        _LAST[key.digest()] = find_leaks(tasks, corpus)
    return _LAST[key.digest()]


def leak_scores(report: LeakReport, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `results.json` says of contamination: classes of each task's items, and scores with and without leaks.

    Args:
        report: of the tasks.
        rows: lines of `records.jsonl`; those that are about no item are passed over.
    """
    by_task: dict[str, dict[str, list[Mapping[str, Any]]]] = {task: {} for task in report.leaks}
    for row in rows:
        if row["task"] in by_task and "item" in row:
            by_task[row["task"]].setdefault(str(row["protocol"]), []).append(row)
    return {
        "measured": not report.reason,
        "reason": report.reason,
        "documents": report.documents,
        "difference": "clean less all, on the same items; its error by the delta method, over groups of items",
        "tasks": {task: _task_scores(leaks, by_task[task]) for task, leaks in report.leaks.items() if leaks},
    }


def _task_scores(leaks: Mapping[str, Leak], protocols: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    kinds = Counter(leak.kind for leak in leaks.values())
    shown = sorted((CLASSES.index(leak.kind), n, item) for n, (item, leak) in enumerate(leaks.items()) if leak.hit)
    return {
        "items": len(leaks),
        "classes": {kind: kinds[kind] for kind in CLASSES},
        "too_short_to_tell": sum(not leak.told for leak in leaks.values()),
        "rules": dict(sorted(Counter(rule for leak in leaks.values() for rule in leak.rules).items())),
        "protocols": [{"protocol": name, **_split_scores(leaks, rows)} for name, rows in protocols.items()],
        "hits": [{"item": item, **leaks[item].to_json()} for _, _, item in shown[:SHOWN] if leaks[item].kind in LEAKED],
    }


def _split_scores(leaks: Mapping[str, Leak], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of one reading on all items, on clean ones, on leaked ones, and on those of each class.

    With x the score of an item, c 1 where it is clean and 0 elsewhere, the difference is sum(c x) / sum(c) - mean(x).
    Of item i its part is c_i (x_i - clean mean) / sum(c) - (x_i - mean) / n; parts of a group are added up before they
    are squared. So it has the error of a difference between two scores of the same items, one of which is part of the
    other, not of two samples.
    """
    value = np.array([float(np.mean(row["right"])) if row.get("right") else float(row["correct"]) for row in rows])
    group = np.array([str(row.get("group", row["item"])) for row in rows])
    kind = np.array([leaks[row["item"]].kind for row in rows])

    def score(kinds: Sequence[str]) -> dict[str, Any] | None:
        some = np.isin(kind, kinds)
        found = clustered_mean(value[some], group[some].tolist()) if some.any() else None
        return found.to_json() if found else None

    clean = np.isin(kind, UNSEEN).astype(np.float64)
    difference = paired_ratio(value, np.ones(len(value)), value * clean, clean, group.tolist()) if clean.any() else None
    return {
        "all": score(CLASSES),
        "clean": score(UNSEEN),
        "leaked": score(LEAKED),
        "clean_less_all": difference.to_json() if difference else None,
        "classes": {name: score((name,)) for name in CLASSES},
    }


def leak_tables(scores: Mapping[str, Any]) -> Iterator[Table | Text]:
    """What `leak_scores` says, as the terminal shows it."""
    if not scores["measured"]:
        yield Text(f"contamination: not measured, {printable(scores['reason'])}", style="dim")
        return
    if not scores["tasks"]:
        return
    yield _classes_table(scores)
    split = [
        (f"{task} {row['protocol']}", row)
        for task, own in scores["tasks"].items()
        for row in own["protocols"]
        if row["leaked"]
    ]
    if split:
        caption = "±: standard error; of the difference, of the same items with and without those that leaked"
        table = narrow_table("Scores without the items that training has seen, %", caption, "task and protocol",
                             ("all", "clean", "leaked", "clean - all"))  # fmt: skip
        for name, row in split:
            table.add_row(Text(printable(name)), *(part_text(row[part], 1, 100) for part in ("all", "clean", "leaked")),
                          estimate_text(row["clean_less_all"], 1, 100, "+"))  # fmt: skip
        yield table
    for task, own in scores["tasks"].items():
        yield from (line for hit in own["hits"] for line in _hit_lines(task, hit))


def _classes_table(scores: Mapping[str, Any]) -> Table:
    caption = (
        f"looked up word for word in {scores['documents']:,} training documents; short: too short to be told from "
        "chance, counted as clean"
    )
    headings = ("items", "with answer", "question", "public", "templated", "clean", "short")
    table = narrow_table("Items that stand in training documents", caption, "task", headings)
    for task, own in scores["tasks"].items():
        numbers = (own["items"], *(own["classes"][kind] for kind in CLASSES), own["too_short_to_tell"])
        table.add_row(Text(printable(task)), *(f"{number:,}" for number in numbers))
    return table


def _hit_lines(task: str, found: Mapping[str, Any]) -> Iterator[Text]:
    hit = found["hit"]
    text = " ".join(hit["text"].split())
    short = f"{text[:SHOWN_CHARACTERS]}{' ...' if len(text) > SHOWN_CHARACTERS else ''}"
    step = f"first read at step {hit['step']:,}" if hit["step"] else "read at no step"
    many = f", {found['documents']:,} documents in all" if found["documents"] > 1 else ""
    yield Text.assemble((printable(f"{task} {found['item']}: {found['class']}"), "bold"), f"{many}; {step}")
    yield Text(f"  “{printable(short)}”")
    yield Text(printable(f"  {hit['url'] or 'no address'}, document {hit['document']}"), style="dim")
