"""What the side-cars of a corpus add up to: clusters of duplicates, cuts of contaminated and of personal text."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from libertas.curate.datasheet.funnel import Ancestor, parquet_batches
from libertas.curate.sidecar import AGAINST, CUTS

CLUSTERS, OVERLAPS = "clusters", "overlaps"
AT_ONCE = 1 << 26
"""Rows of clusters whose sizes are counted in memory at a time."""


def duplicate_facts(stages: Sequence[Ancestor]) -> list[dict[str, Any]]:
    """For each artifact of duplicates: documents by kind, and clusters by size in powers of two."""
    found = []
    for stage in _of_kind(stages, "duplicates"):
        tables = sorted((stage.path / CLUSTERS).glob("*.parquet"))
        kinds: Counter[str] = Counter()
        for table in tables:
            for batch in parquet_batches(table):
                for row in batch.group_by("kind").aggregate([("kind", "count")]).to_pylist():
                    kinds[str(row["kind"])] += int(row["kind_count"])
        sizes = _sizes(tables)
        found.append(
            {
                "artifact": stage.path.name,
                "documents": _documents(stage),
                "in_clusters": int(sizes.sum()),
                "clusters": len(sizes),
                "redundant": int(sizes.sum()) - len(sizes),
                "largest": int(sizes.max(initial=0)),
                "kinds": dict(sorted(kinds.items())),
                "sizes": _by_power(sizes),
            }
        )
    return found


def _sizes(tables: Sequence[Path]) -> NDArray[np.int64]:
    """Documents of each cluster, shape (clusters,); read in several passes where they are very many."""
    rows = sum(pq.read_metadata(table).num_rows for table in tables)
    parts = max(1, -(-rows // AT_ONCE))
    sizes = [np.empty(0, dtype=np.int64)]
    for part in range(parts):
        columns = [
            np.unique(clusters[clusters % parts == part], return_counts=True)
            for table in tables
            for batch in parquet_batches(table)
            for clusters in [batch.column("cluster").to_numpy().astype(np.int64)]
        ]
        if columns:
            names, counts = (np.concatenate(c) for c in zip(*columns, strict=True))
            order = np.argsort(names, kind="stable")
            starts = np.flatnonzero(np.diff(names[order], prepend=-1))
            sizes.append(np.add.reduceat(counts[order], starts) if len(starts) else np.empty(0, dtype=np.int64))
    return np.concatenate(sizes)


def _by_power(sizes: NDArray[np.int64]) -> list[list[int]]:
    """Clusters by size: rows of (smallest size, largest size, clusters) for 2, 3-4, 5-8, ..."""
    rows, low, high = [], 2, 2
    while low <= sizes.max(initial=0):
        rows.append([low, high, int(((sizes >= low) & (sizes <= high)).sum())])
        low, high = high + 1, 2 * high
    return rows


def cut_facts(stages: Sequence[Ancestor], kind: str) -> list[dict[str, Any]]:
    """For each artifact of a kind: what it cuts and speaks against, by rule, and its own counts."""
    return [
        {
            "artifact": stage.path.name,
            "documents": _documents(stage),
            "cuts": _cuts(stage.path),
            "against": _against(stage.path),
            "tasks": _tasks(stage.path),
            "counts": {k: v for k, v in (stage.manifest.counts if stage.manifest else {}).items() if k != "documents"},
        }
        for stage in _of_kind(stages, kind)
    ]


def _cuts(folder: Path) -> list[dict[str, Any]]:
    """Spans, characters and documents by rule; rows are in corpus order, so documents are counted as they change."""
    spans: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    documents: Counter[str] = Counter()
    last: dict[str, tuple[Path, int]] = {}
    for table in sorted((folder / CUTS).glob("*.parquet")):
        for batch in parquet_batches(table):
            for rule in pc.unique(batch.column("rule")).to_pylist():
                rows = batch.filter(pc.equal(batch.column("rule"), rule))
                numbers = rows.column("number").to_numpy()
                spans[rule] += len(rows)
                characters[rule] += int(pc.sum(pc.subtract(rows.column("end"), rows.column("start"))).as_py())
                again = last.get(rule) == (table, int(numbers[0]))
                documents[rule] += len(np.unique(numbers)) - again
                last[rule] = (table, int(numbers[-1]))
    ordered = sorted(spans, key=lambda rule: (-spans[rule], rule))
    return [{"rule": r, "spans": spans[r], "characters": characters[r], "documents": documents[r]} for r in ordered]


def _tasks(folder: Path) -> list[dict[str, Any]]:
    """For each evaluation set: overlaps, documents that have any, different items, most words of one overlap."""
    found: dict[str, dict[str, Any]] = {}
    items: dict[str, set[str]] = {}
    last: dict[str, tuple[Path, int]] = {}
    for table in sorted((folder / OVERLAPS).glob("*.parquet")):
        for batch in parquet_batches(table):
            for task in pc.unique(batch.column("task")).to_pylist():
                rows = batch.filter(pc.equal(batch.column("task"), task))
                told = found.setdefault(task, {"task": task, "overlaps": 0, "documents": 0, "most_words": 0})
                told["overlaps"] += len(rows)
                numbers = rows.column("number").to_numpy()
                told["documents"] += len(np.unique(numbers)) - (last.get(task) == (table, int(numbers[0])))
                last[task] = (table, int(numbers[-1]))
                told["most_words"] = max(told["most_words"], int(pc.max(rows.column("words")).as_py()))
                items.setdefault(task, set()).update(rows.column("item").to_pylist())
    return [{**found[task], "items": len(items[task])} for task in sorted(found)]


def _against(folder: Path) -> int:
    return sum(
        len(np.unique(pq.read_table(table, columns=["number"], partitioning=None).column(0).to_numpy()))
        for table in sorted((folder / AGAINST).glob("*.parquet"))
    )


def _documents(stage: Ancestor) -> int | None:
    said = (stage.manifest.counts if stage.manifest else {}).get("documents")
    return int(said["in"]) if isinstance(said, dict) and "in" in said else int(said) if isinstance(said, int) else None


def _of_kind(stages: Sequence[Ancestor], kind: str) -> list[Ancestor]:
    return [stage for stage in stages if stage.name == kind and stage.manifest is not None]
