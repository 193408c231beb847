"""Lines (in most texts, paragraphs) that stood in an earlier document: cut from the later ones.

Only documents that are no duplicates, or stand for them, have a say and are cut: else two copies would cut each other.
Lines are the same when they are in lower case, with every run of whitespace as one space.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from blake3 import blake3

from libertas.curate.duplicates.clusters import CHOSEN
from libertas.curate.duplicates.layout import Chunk, TableLayout
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
    ranges,
    repeated,
)
from libertas.document import Document

LINES, CUT_LINES = "lines", "cut-lines"
LINES_TYPE = (("key", "<u8"), ("document", "<i8"), ("start", "<i8"), ("end", "<i8"))
CUT_TYPE = (("document", "<i8"), ("start", "<i8"), ("end", "<i8"), ("source", "<i8"))
"""Characters [start, end) of a document, and the document that has them first."""


def cut_lines(
    layout: TableLayout, chunks: Sequence[Chunk], characters: int, copies: int, workers: int, engine: str
) -> None:
    """Write the run `cut-lines`: lines of at least so many characters that so many earlier documents have."""
    tasks = [TableTask(layout.folder, c.name, (LINES,), partial(_hashed, layout, c, characters)) for c in chunks]
    complete(tasks, "Lines: reading", workers, engine)
    tasks = [
        TableTask(layout.folder, f"{place:06}", (CUT_LINES,), partial(_seen_before, layout, copies, *keys))
        for place, keys in enumerate(ranges(count(layout.folder / LINES), KEYS))
    ]
    complete(tasks, "Lines: joining", workers, engine)


def staying(layout: TableLayout, chunk: Chunk) -> Iterator[list[tuple[int, Document]]]:
    """The documents of a chunk that stand for themselves or for a cluster, with their numbers, piece by piece."""
    rows = between(layout.folder / CHOSEN, chunk.first, chunk.first + chunk.documents)
    stays = np.ones(chunk.documents, dtype=bool)
    stays[rows["document"] - chunk.first] = rows["document"] == rows["representative"]
    place = 0
    for piece in chunk.pieces:
        documents = piece.read()
        yield [(chunk.first + place + k, d) for k, d in enumerate(documents) if stays[place + k]]
        place += len(documents)


def _hashed(layout: TableLayout, chunk: Chunk, characters: int) -> dict[str, Records]:
    found = [np.empty(0, dtype=list(LINES_TYPE))]
    for documents in staying(layout, chunk):
        rows = [
            (line_key(normal), number, start, end)
            for number, document in documents
            for normal, start, end in normalized_lines(document.text)
            if len(normal) >= characters
        ]
        found.append(np.array(rows, dtype=list(LINES_TYPE)))
    lines = np.concatenate(found)
    return {LINES: lines[np.argsort(lines["key"], kind="stable")]}


def normalized_lines(text: str) -> Iterator[tuple[str, int, int]]:
    """Each line in its normal form, and the characters [start, end) that it takes, its line feed included."""
    start = 0
    for line in text.split("\n"):
        end = min(start + len(line) + 1, len(text))
        yield " ".join(line.lower().split()), start, end
        start = end


def line_key(line: str) -> int:
    """64 bits of BLAKE3."""
    return int.from_bytes(blake3(line.encode(errors="replace")).digest(length=8), "little")


def _seen_before(layout: TableLayout, copies: int, low: int, high: int) -> dict[str, Records]:
    rows = between(layout.folder / LINES, low, high)
    rows = in_order(rows[repeated(rows["key"])], "key", "document", "start")
    groups = group_starts(rows["key"])
    first = first_of_group(groups)
    documents = np.cumsum(group_starts(rows["key"], rows["document"]))  # how many came before, of whatever line
    seen = documents - documents[first] >= copies
    rows, sources = rows[seen], rows["document"][first][seen]
    cuts = as_records(CUT_TYPE, rows["document"], rows["start"], rows["end"], sources)
    return {CUT_LINES: in_order(cuts, "document", "start")}
