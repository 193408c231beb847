"""Exact copies: documents whose text is the same as an earlier one's, by a join on the keys of their texts."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from libertas.curate.duplicates.layout import Chunk, TableLayout
from libertas.curate.duplicates.sign import FACTS
from libertas.curate.duplicates.tasks import (
    KEYS,
    Records,
    TableTask,
    as_records,
    between,
    complete,
    first_of_group,
    group_starts,
    in_order,
    ranges,
    repeated,
)

KEYED, COPIES, ORIGINALS, ORIGINAL = "keyed", "copies", "originals", "original"
KEYED_TYPE = (("key", "<u8"), ("rest", "<u8"), ("document", "<i8"))
COPIES_TYPE = (("document", "<i8"), ("original", "<i8"))
ORIGINALS_TYPE = (("original", "<i8"), ("document", "<i8"))
SLICE = 1 << 20
"""Documents whose keys are sorted into one run."""


def find_copies(layout: TableLayout, chunks: Sequence[Chunk], workers: int, engine: str) -> None:
    """Write the runs `copies` and `originals`, and the table `original`: the first document with the same text."""
    slices = [(first, min(first + SLICE, len(layout))) for first in range(0, len(layout), SLICE)]
    tasks = [
        TableTask(layout.folder, f"{place:06}", (KEYED,), partial(_keyed, layout, *documents))
        for place, documents in enumerate(slices)
    ]
    complete(tasks, "Exact copies: sorting", workers, engine)
    tasks = [
        TableTask(layout.folder, f"{place:06}", (COPIES, ORIGINALS), partial(_copies, layout, *keys))
        for place, keys in enumerate(ranges(len(layout), KEYS))
    ]
    complete(tasks, "Exact copies: joining", workers, engine)
    tasks = [
        TableTask(layout.folder, c.name, (ORIGINAL,), partial(_original, layout, c.first, c.documents)) for c in chunks
    ]
    complete(tasks, "Exact copies: writing", workers, engine)


def _keyed(layout: TableLayout, first: int, last: int) -> dict[str, Records]:
    keys = layout.span(FACTS, first, last)["key"]
    rows = as_records(KEYED_TYPE, keys[:, 0], keys[:, 1], np.arange(first, last))
    return {KEYED: rows[np.argsort(rows["key"])]}


def _copies(layout: TableLayout, low: int, high: int) -> dict[str, Records]:
    rows = between(layout.folder / KEYED, low, high)
    rows = in_order(rows[repeated(rows["key"])], "key", "rest", "document")
    starts = group_starts(rows["key"], rows["rest"])
    documents, originals = rows["document"], rows["document"][first_of_group(starts)]
    documents, originals = documents[~starts], originals[~starts]
    return {
        COPIES: in_order(as_records(COPIES_TYPE, documents, originals), "document"),
        ORIGINALS: in_order(as_records(ORIGINALS_TYPE, originals, documents), "original", "document"),
    }


def _original(layout: TableLayout, first: int, documents: int) -> dict[str, NDArray[np.int64]]:
    original = np.arange(first, first + documents)
    rows = between(layout.folder / COPIES, first, first + documents)
    original[rows["document"] - first] = rows["original"]
    return {ORIGINAL: original}
