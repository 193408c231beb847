"""Pairs -> components: a union-find over a file on one machine, rounds of sorting on a cluster; the same labels.

On one machine the parents of all documents are one memory-mapped array, 8 bytes for each. On a cluster there is no
such array: large-star and small-star rounds (Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii 2014, "Connected
Components in MapReduce and Beyond") turn the pairs into stars around each component's smallest document.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.duplicates.near import PAIRS
from libertas.curate.duplicates.tasks import (
    KEYS,
    Records,
    TableTask,
    as_records,
    between,
    complete,
    count,
    first_of_group,
    group_starts,
    in_order,
    opened,
    ranges,
)
from libertas.curate.minhash import splitmix

LABELS = "labels"
LABELS_TYPE = (("document", "<i8"), ("root", "<i8"))
"""The smallest document of the component, for all others of it."""
EDGES_TYPE = (("document", "<i8"), ("other", "<i8"))
BOTH_WAYS, PARENTS = "both-ways", "parents"
AT_ONCE = 1 << 20
"""Pairs, or documents, that are worked on at a time."""


def label_components(layout: TableLayout, workers: int, engine: str) -> None:
    """Write the run `labels` from the run `pairs`."""
    if engine == "ray":
        star_rounds(layout, workers, engine)
    else:
        union_find(layout, workers)


def union_find(layout: TableLayout, workers: int) -> None:
    """Labels by joining trees in a memory-mapped array of parents; a parent is never larger than its child."""
    complete(
        [TableTask(layout.folder, "000000", (PARENTS,), partial(_parents, layout))], "Components: joining", 1, "local"
    )
    tasks = [
        TableTask(layout.folder, f"{place:06}", (LABELS,), partial(_labels_of_trees, layout, first))
        for place, first in enumerate(range(0, len(layout), AT_ONCE))
    ]
    complete(tasks, "Components: writing", workers, "local")


def _parents(layout: TableLayout) -> dict[str, NDArray[np.int64]]:
    path = layout.folder / f"{PARENTS}.map"
    with path.open("wb") as file:  # written before it is mapped, so that a full disk is an error and no crash
        for first in range(0, len(layout), AT_ONCE):
            file.write(np.arange(first, min(first + AT_ONCE, len(layout)), dtype=np.int64).data)
    parents: NDArray[np.int64] = np.memmap(path, dtype=np.int64, mode="r+")
    for run in sorted((layout.folder / PAIRS).glob("*.npy")):
        pairs = opened(run)
        for first in range(0, len(pairs), AT_ONCE):
            part = pairs[first : first + AT_ONCE]
            _join(parents, np.array(part["left"]), np.array(part["right"]))
    return {PARENTS: parents}


def _join(parents: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Hang larger roots below smaller ones until both ends of every pair have the same."""
    while True:
        tops = _roots(parents, left), _roots(parents, right)
        parents[left], parents[right] = tops  # so that paths stay short
        apart = tops[0] != tops[1]
        if not apart.any():
            return
        left, right = tops[0][apart], tops[1][apart]
        np.minimum.at(parents, np.maximum(left, right), np.minimum(left, right))


def _roots(parents: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    """The root of each document's tree."""
    while True:
        above = parents[documents]
        if np.array_equal(above, documents):
            return documents
        documents = above


def _labels_of_trees(layout: TableLayout, first: int) -> dict[str, Records]:
    parents = opened(layout.folder / PARENTS / "000000.npy")
    documents = np.arange(first, min(first + AT_ONCE, len(layout)))
    documents = documents[parents[first : first + AT_ONCE] != documents]
    return {LABELS: as_records(LABELS_TYPE, documents, _roots(parents, documents))}


def star_rounds(layout: TableLayout, workers: int, engine: str) -> None:
    """Labels by rounds of two joins each, until a round changes nothing; a join is a task for each range of documents.

    A large star hangs all larger neighbours of a document below the smallest of them and itself, a small star the
    smaller ones and itself below the smallest. Both keep components; only stars around the smallest stay as they are.
    """
    spans = ranges(2 * count(layout.folder / PAIRS), len(layout))

    def step(table: str, make: Callable[..., dict[str, NDArray[np.generic]]], *given: str) -> None:
        tables = (table, f"{table}-sum") if given else (table,)
        tasks = [
            TableTask(layout.folder, f"{place:06}", tables, partial(make, layout, *span, *given, table))
            for place, span in enumerate(spans)
        ]
        complete(tasks, f"Components: {table}", workers, engine)

    step(BOTH_WAYS, _both_ways)
    source = BOTH_WAYS
    before, after = (0, 0), (1, 0)
    turn = 0
    while before != after:  # a number of rounds that grows as log^2, in practice fewer than ten
        turn += 1
        large, small = f"large-{turn:03}", f"small-{turn:03}"
        step(large, _large_star, source)
        step(small, _small_star, large)
        sums = [opened(path)[:] for path in sorted((layout.folder / f"{small}-sum").glob("*.npy"))]
        source, before, after = small, after, (sum(int(s[0]) for s in sums), sum(int(s[1]) for s in sums) % KEYS)
    step(LABELS, partial(_labels_of_stars, source))


def _both_ways(layout: TableLayout, low: int, high: int, table: str) -> dict[str, Records]:
    rows = between(layout.folder / PAIRS, low, high)
    return {table: _both(rows["left"], rows["right"])}


def _both(left: NDArray[np.int64], right: NDArray[np.int64]) -> Records:
    edges = as_records(EDGES_TYPE, np.concatenate([left, right]), np.concatenate([right, left]))
    return in_order(edges, "document", "other")


def _neighbours(layout: TableLayout, low: int, high: int, source: str) -> tuple[Records, NDArray[np.int64]]:
    """Edges of a range of documents, each once, and for each the smallest neighbour of its document."""
    edges = in_order(between(layout.folder / source, low, high), "document", "other")
    edges = edges[group_starts(edges["document"], edges["other"])]
    return edges, edges["other"][first_of_group(group_starts(edges["document"]))]


def _large_star(layout: TableLayout, low: int, high: int, source: str, table: str) -> dict[str, NDArray[np.generic]]:
    edges, smallest = _neighbours(layout, low, high, source)
    larger = edges["other"] > edges["document"]
    tops = np.minimum(smallest, edges["document"])[larger]
    hung = in_order(as_records(EDGES_TYPE, edges["other"][larger], tops), "document", "other")
    return {table: hung, f"{table}-sum": _sum(hung)}


def _small_star(layout: TableLayout, low: int, high: int, source: str, table: str) -> dict[str, NDArray[np.generic]]:
    edges, smallest = _neighbours(layout, low, high, source)
    others = edges["other"] != smallest
    once = group_starts(edges["document"])
    documents = np.concatenate([edges["document"][once], edges["other"][others]])
    hung = as_records(EDGES_TYPE, documents, np.concatenate([smallest[once], smallest[others]]))
    return {table: _both(hung["document"], hung["other"]), f"{table}-sum": _sum(hung)}


def _sum(edges: Records) -> NDArray[np.uint64]:
    """A number of edges and the sum of their hashes, in whatever order; shape (2,)."""
    hashes = splitmix(edges["document"].astype(np.uint64) + splitmix(edges["other"].astype(np.uint64)))
    return np.array([len(edges), hashes.sum(dtype=np.uint64)], dtype=np.uint64)


def _labels_of_stars(source: str, layout: TableLayout, low: int, high: int, table: str) -> dict[str, Records]:
    edges, smallest = _neighbours(layout, low, high, source)
    once = group_starts(edges["document"]) & (smallest < edges["document"])
    return {table: as_records(LABELS_TYPE, edges["document"][once], smallest[once])}
