"""Written answers -> records, scores and a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from libertas.evaluate.grade import STOPS, gold_of, pass_at_k
from libertas.evaluate.item import Item
from libertas.evaluate.reading import Reading
from libertas.evaluate.statistics import clustered_share
from libertas.evaluate.tables import estimate_text, narrow_table
from libertas.lineage.fingerprint import canonical, digest

PASS_AT = (1, 5, 10, 50, 100)
"""Of pass@k, those k for which there are samples enough."""
NO_CHOICE = -1
"""In `WrittenAnswer.chosen`."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """What a model wrote to one item under one reading."""

    item: Item
    reading: str
    texts: tuple[str, ...]
    """One for each sample, up to where it stopped."""
    right: tuple[bool, ...]
    finished: tuple[bool, ...]
    """Whether the model came to an end by itself, before its tokens were used up."""
    chosen: tuple[int, ...]
    """The choice that each text names, -1 for none; empty where there are no choices."""
    truncated: bool
    """Whether the prompt lost tokens at its left."""
    error: str = ""
    """Of a grader that failed: its answer counts as wrong."""

    @property
    def correct(self) -> bool:
        """Whether the first sample is right: chance decides which that is, so its mean is that of all."""
        return self.right[0]

    def to_json(self) -> dict[str, Any]:
        """One row of `records.jsonl`, in the keys of `Choice.to_json` where they mean the same."""
        choices = {"chosen": list(self.chosen), "gold": self.item.gold} if self.item.choices else {}
        return {
            **self.item.meta,
            "item": self.item.id,
            "group": self.item.group,
            "protocol": self.reading,
            "written": list(self.texts),
            "right": list(self.right),
            "correct": self.correct,
            "finished": list(self.finished),
            "truncated": self.truncated,
            "error": self.error,
            **choices,
        }


def written_scores(records: Sequence[WrittenAnswer]) -> dict[str, Any]:
    """Scores of one or more records: shares of right answers with clustered errors, baselines, and what went wrong.

    `accuracy` is the mean over items of the share of right samples; `pass_at` holds the unbiased pass@k. `majority` is
    the share of the commonest right answer: what always giving it would score.
    """
    items = [record.item for record in records]
    groups = [item.group for item in items]
    samples = min(len(record.right) for record in records)
    named = [number == NO_CHOICE for record in records for number in record.chosen]

    def mean(values: Sequence[float]) -> dict[str, Any]:
        found = clustered_share(values, groups)
        assert found is not None, "scores of no records"
        return found.to_json()

    def share(marks: Sequence[object]) -> float:
        return float(np.mean([bool(mark) for mark in marks]))

    return {
        "accuracy": mean([float(np.mean(record.right)) for record in records]),
        "pass_at": {
            str(k): mean([pass_at_k(len(record.right), sum(record.right), k) for record in records])
            for k in PASS_AT
            if k <= samples
        },
        "samples": samples,
        "chance": float(np.mean([1 / len(item.choices) if item.choices else 0.0 for item in items])),
        "majority": max(Counter(map(gold_of, items)).values()) / len(items),
        "truncated": sum(record.truncated for record in records),
        "unfinished_share": share([not ended for record in records for ended in record.finished]),
        "errored_share": share([record.error for record in records]),
        "unextracted_share": share(named) if named else None,
    }


def written_rows(
    records: Sequence[WrittenAnswer], readings: Sequence[Reading], rules: dict[str, Any]
) -> list[dict[str, Any]]:
    """A row per reading over all items, with a part per component or subject; `rules`: how it was written, in words."""
    rows = []
    for reading in readings:
        own = [record for record in records if record.reading == reading.name]
        parts: dict[str, list[WrittenAnswer]] = {}
        for record in own:
            meta = record.item.meta
            parts.setdefault(str(meta.get("component", meta.get("subject", "all"))), []).append(record)
        if own:
            decided = canonical([reading.fingerprint, rules, {name: list(s) for name, s in STOPS.items()}])
            rows.append(
                {
                    "protocol": reading.name,
                    "fingerprint": digest(decided),
                    "rules": rules,
                    **written_scores(own),
                    "components": {name: written_scores(part) for name, part in sorted(parts.items())},
                }
            )
    return rows


def written_metrics(row: Mapping[str, Any]) -> dict[str, float | None]:
    """A row of `written_rows` in the keys of lm-eval's `results`."""
    named = {"exact_match": row["accuracy"], **{f"pass@{k}": found for k, found in row["pass_at"].items()}}
    return {
        f"{name}{suffix},none": found[key]
        for name, found in named.items()
        for suffix, key in (("", "mean"), ("_stderr", "stderr"))
    }


def written_tables(tasks: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """A table for every task of which something was written; `tasks` as in `libertas` of a result."""
    return [_table(name, task["written"], task["items"]) for name, task in tasks.items() if task["written"]]


def _table(name: str, rows: Sequence[Mapping[str, Any]], items: int) -> Table:
    first = rows[0]
    samples = "" if first["samples"] == 1 else f", {first['samples']:,} samples of each"
    notes = [f"always the commonest right answer: {100 * first['majority']:.1f}"]
    if first["chance"]:
        notes.append(f"chance among the choices: {100 * first['chance']:.1f}")
    if truncated := max(row["truncated"] for row in rows):
        notes.append(f"{truncated:,} prompts were longer than the context leaves room for and were cut at the left")
    if errored := max(row["errored_share"] for row in rows):
        notes.append(f"the grader failed at {errored:.1%} of the items, which count as wrong; `error` in the records")
    passes = [k for k in first["pass_at"] if k != "1"]
    headings = ("accuracy", *(f"pass@{k}" for k in passes), "unfinished", "no choice")
    title = f"{name}: {items:,} questions, answers written{samples}, % right"
    table = narrow_table(title, "\n".join(notes), "protocol", headings)
    for row in rows:
        unnamed = "-" if row["unextracted_share"] is None else f"{100 * row['unextracted_share']:.1f}"
        estimates = (row["accuracy"], *(row["pass_at"][k] for k in passes))
        cells = [estimate_text(one, 1, 100) for one in estimates]
        table.add_row(row["protocol"], *cells, f"{100 * row['unfinished_share']:.1f}", unnamed)
    return table
