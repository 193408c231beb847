"""Components and copies -> clusters: which document represents each, and how similar the others are to it."""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from libertas.corpus import Piece
from libertas.curate.duplicates.components import LABELS
from libertas.curate.duplicates.copies import ORIGINAL, ORIGINALS
from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.duplicates.near import PAIRS, jaccard
from libertas.curate.duplicates.sign import FACTS
from libertas.curate.duplicates.tasks import (
    Records,
    TableTask,
    as_records,
    between,
    complete,
    count,
    first_of_group,
    group_starts,
    in_order,
    ranges,
)
from libertas.curate.sidecar import ROW

CLUSTERS = "clusters"
CLUSTERS_SCHEMA = pa.schema(
    [
        *ROW,
        pa.field("kind", pa.string()),
        pa.field("cluster", pa.int64()),
        pa.field("similarity", pa.float64()),
        pa.field("representative", pa.string()),
        pa.field("priority", pa.float64()),
    ]
)
"""A row for each document of a cluster of two or more. `kind` is `representative`, `exact` (the same text) or `near`;
`cluster` is the place, in all corpora one after another, of its first document; `similarity` is with the document
`representative`; the one with the smallest `priority`, and of those the first in corpus order, represents a cluster."""
KINDS = ("representative", "exact", "near")

MEMBERS, CHOSEN = "members", "chosen"
MEMBERS_TYPE = (("cluster", "<i8"), ("document", "<i8"))
CHOSEN_TYPE = (
    ("document", "<i8"),
    ("cluster", "<i8"),
    ("representative", "<i8"),
    ("kind", "<i8"),
    ("similarity", "<f8"),
    ("priority", "<f8"),
)


def choose_representatives(layout: TableLayout, near: bool, workers: int, engine: str) -> None:
    """Write the run `chosen` from the runs `originals`, `labels` and `pairs`; without `near` from the first alone."""
    labels = count(layout.folder / LABELS) if near else 0
    spans = ranges(count(layout.folder / ORIGINALS) + labels, len(layout))
    for table, make, title in ((MEMBERS, _members, "gathering"), (CHOSEN, _chosen, "choosing")):
        tasks = [
            TableTask(layout.folder, f"{place:06}", (table,), partial(make, layout, near, *span))
            for place, span in enumerate(spans)
        ]
        complete(tasks, f"Clusters: {title}", workers, engine)


def _members(layout: TableLayout, near: bool, low: int, high: int) -> dict[str, Records]:
    """Cluster and document, for all but the cluster's first document: labelled ones, and copies of any."""
    copies = between(layout.folder / ORIGINALS, low, high)
    originals, documents = copies["original"], copies["document"]
    if near:
        labels = between(layout.folder / LABELS, low, high)
        roots = originals.copy()
        if len(labels):
            places = np.minimum(np.searchsorted(labels["document"], originals), len(labels) - 1)
            found = labels["document"][places] == originals
            roots[found] = labels["root"][places[found]]
        originals = np.concatenate([labels["root"], roots])
        documents = np.concatenate([labels["document"], documents])
    return {MEMBERS: in_order(as_records(MEMBERS_TYPE, originals, documents), "cluster", "document")}


def _chosen(layout: TableLayout, near: bool, low: int, high: int) -> dict[str, Records]:
    """All documents of the clusters whose first document is in a range."""
    rows = between(layout.folder / MEMBERS, low, high)
    roots = np.unique(rows["cluster"])
    clusters, documents = np.concatenate([roots, rows["cluster"]]), np.concatenate([roots, rows["document"]])
    priorities = layout.take(FACTS, documents, "priority")
    order = np.lexsort([documents, priorities, clusters])
    clusters, documents, priorities = clusters[order], documents[order], priorities[order]
    chosen = documents[first_of_group(group_starts(clusters))]
    texts = layout.take(ORIGINAL, np.concatenate([documents, chosen])).reshape(2, -1)
    kinds = np.where(documents == chosen, 0, np.where(texts[0] == texts[1], 1, 2))
    similarities = np.ones(len(documents))
    if near:
        similarities[kinds == 2] = _similarities(layout, texts[:, kinds == 2], low, high)
    rows = as_records(CHOSEN_TYPE, documents, clusters, chosen, kinds, similarities, priorities)
    return {CHOSEN: in_order(rows, "document")}


def _similarities(layout: TableLayout, ends: NDArray[np.int64], low: int, high: int) -> NDArray[np.float64]:
    """Of pairs of documents, shape (2, pairs): as verified, or read again where they never met."""
    unique, places = np.unique(np.sort(ends, axis=0), axis=1, return_inverse=True)
    known = between(layout.folder / PAIRS, low, high)
    all_of_them = np.concatenate([unique, [known["left"], known["right"]]], axis=1)
    group = np.unique(all_of_them, axis=1, return_inverse=True)[1]
    values = np.full(len(group), np.nan)
    values[group[unique.shape[1] :]] = known["similarity"]
    result: NDArray[np.float64] = values[group[: unique.shape[1]]]
    missing = np.isnan(result)
    result[missing] = jaccard(layout, unique[0, missing], unique[1, missing])
    return result[places]


def cluster_rows(layout: TableLayout, piece: Piece) -> pa.Table:
    """The rows about a piece's documents."""
    start, first = layout.place_of(piece)
    rows = between(layout.folder / CHOSEN, first, first + piece.documents)
    columns = (
        rows["document"] - start,
        layout.take(FACTS, rows["document"], "id").astype(str),
        np.array(KINDS, dtype=object)[rows["kind"]],
        rows["cluster"],
        rows["similarity"],
        layout.take(FACTS, rows["representative"], "id").astype(str),
        rows["priority"],
    )
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CLUSTERS_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=CLUSTERS_SCHEMA)
