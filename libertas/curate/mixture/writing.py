"""Writing the parts of a mixture, shard by shard: which documents a shard has is known before the first is written.

A shard is a task that may be killed at any moment and run anywhere: its file appears under its name when it is whole,
then its index rows, and last of all a note. A task whose note is there is not done again.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from libertas.corpus import Corpus, ShardWriter, read_shard, save_array, shard_name, write_index
from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.mixture.cuts import Cut, without
from libertas.curate.mixture.documents import DOCUMENT, Documents, StoredCuts
from libertas.curate.mixture.reading import component_name
from libertas.curate.mixture.stream import COPY, Stream, save_stream
from libertas.curate.mixture.unseen import UnseenWatch, batches_of
from libertas.document import Document
from libertas.engine import map_on_ray, map_ordered
from libertas.lineage.artifact import WRITING, write_json
from libertas.terminal import progress

PART_SHARD_BYTES = 1 << 28
"""Text of a shard, 256 MiB: what an interruption costs, and what a worker does at a time."""
WINDOW_BYTES = 1 << 26
"""Text that is fetched in corpus order and held to be written in the mixture's: 64 MiB."""
ORIGINAL = "original_"
"""What `meta.cuts` that a document brought is called by, before its name."""
DOCUMENT_BYTES = 1 << 10
"""What a document takes in memory beside its text."""


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """All that a machine needs to know to write one shard of a part."""

    part: str
    number: int
    first: int
    last: int
    """Place in the part of its first document, and after its last."""
    folder: Path
    """Of the mixture."""
    reading: Path
    """Where what was read lies: sizes and cuts."""
    notes: Path
    """Where the order, the notes and the rows of the index lie."""
    layout: TableLayout
    """Where the documents are."""
    similarity: float | None
    """From which a document counts as seen; None where it need not be watched for."""

    @property
    def shard(self) -> Path:
        """Where the documents go."""
        return self.folder / self.part / shard_name(self.number, self.part)

    def file(self, kind: str) -> Path:
        """Where something about the shard goes."""
        return self.notes / f"{self.part}-{self.number}.{kind}"

    def done(self) -> bool:
        """Whether it need not be done again."""
        return self.shard.exists() and self.file("json").exists()


@dataclass(kw_only=True)
class Written:
    """What a shard holds, as it was written."""

    documents: int = 0
    bytes: int = 0
    ids_in_both: int = 0
    texts_in_both: int = 0
    near_duplicates: int = 0
    """First copies that are held out as well, or are near-duplicates of what is."""
    cut: Counter[str] = field(default_factory=Counter)
    """Cuts of first copies, by rule."""
    cut_documents: int = 0
    cut_characters: int = 0


def part_tasks(documents: Documents, part: str, stream: Stream, shard_bytes: int, like: "PartTask") -> list[PartTask]:
    """The shards of a part, with what `like` says of all; the order of its documents is written."""
    bounds = save_stream(like.notes / f"{part}.npy", stream, documents.table["bytes"], shard_bytes)
    watched = like.similarity if part == "train" else None
    return [
        replace(like, part=part, number=number, first=first, last=last, similarity=watched)
        for number, (first, last) in enumerate(pairwise(bounds))
    ]


def write_part(tasks: Sequence[PartTask], workers: int, engine: str) -> tuple[Written, NDArray[np.bool_]]:
    """Write what is not there yet of a part, then its index; what was written, and the held-out n-grams it has."""
    folder = tasks[0].shard.parent
    folder.mkdir(exist_ok=True)
    with progress(f"Writing {tasks[0].part}", tasks[-1].last) as bar:
        todo = [task for task in tasks if not task.done()]
        bar.advance(tasks[-1].last - sum(t.last - t.first for t in todo), "documents")
        for task, outcome in _outcomes(todo, workers, engine):
            if isinstance(outcome, Exception):
                raise outcome
            bar.advance(task.last - task.first, "documents")
    repeats = write_index(folder, (np.load(task.file("npy")) for task in tasks))
    total, met = Written(), np.zeros(0, dtype=bool)
    for task in tasks:
        for name, value in orjson.loads(task.file("json").read_bytes()).items():
            setattr(total, name, getattr(total, name) + (Counter(value) if name == "cut" else value))
        if task.similarity is not None:
            seen = np.load(task.file("met.npy"))
            met = seen | met if len(met) else seen
    assert total.documents == tasks[-1].last, "a document vanished while it was written"
    assert len(repeats) == total.documents - _first_copies(tasks), "a document is repeated that should not be"
    return total, met


def _first_copies(tasks: Sequence[PartTask]) -> int:
    stream = np.load(tasks[0].notes / f"{tasks[0].part}.npy", mmap_mode="r")
    return int((stream < COPY).sum())


def _outcomes(tasks: Sequence[PartTask], workers: int, engine: str) -> Iterator[tuple[PartTask, Exception | None]]:
    if engine == "ray":
        yield from map_on_ray(write_mixed, tasks)
    else:
        yield from zip(tasks, map_ordered(write_mixed, tasks, min(workers, len(tasks))), strict=True)


def write_mixed(task: PartTask) -> None:
    """Write one shard, the rows of its index, and its note."""
    stream: Stream = np.load(task.notes / f"{task.part}.npy", mmap_mode="r")[task.first : task.last]
    table = np.memmap(task.reading / "documents.bin", dtype=DOCUMENT, mode="r")
    cuts, note = StoredCuts(task.reading), Written()
    watch = UnseenWatch(task.notes, task.similarity) if task.similarity is not None else None
    unfinished = task.shard.with_name(task.shard.name + WRITING)
    writer = ShardWriter(unfinished, task.number)
    try:
        for window in _windows(stream, table["bytes"]):
            for batch in batches_of(_in_order(window, task.layout, cuts, note, writer)):
                if watch is not None:
                    watch.see(batch)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    expected = int(table["bytes"][stream & ~COPY].sum(dtype=np.int64))
    assert note.bytes == expected, f"{task.shard.name} has {note.bytes} bytes of text, expected {expected}"
    os.rename(unfinished, task.shard)
    if watch is not None:
        note.ids_in_both, note.texts_in_both, note.near_duplicates = watch.ids, watch.texts, watch.near
        save_array(task.file("met.npy"), watch.met)
    save_array(task.file("npy"), writer.rows())
    write_json(task.file("json"), vars(note))


def _in_order(
    window: Stream, layout: TableLayout, cuts: StoredCuts, note: Written, writer: ShardWriter
) -> Iterator[Document]:
    """Write the documents of a window; those that the mixture had not before are handed on."""
    rows = window & ~COPY
    wanted = np.unique(rows).astype(np.int64)
    found: dict[int, Document] = {}
    for numbers, documents in layout.documents(wanted):
        found.update(zip(numbers.tolist(), documents, strict=True))
    for number, copy in zip(rows.tolist(), (window >= COPY).tolist(), strict=True):
        applied = cuts.of(number)
        document = _finished(found[number], applied)
        writer.add(document)
        note.documents += 1
        note.bytes += len(document.text.encode())
        if not copy:
            _count_cuts(note, applied)
            yield document


def _finished(document: Document, cuts: list[list[Any]]) -> Document:
    """A document as the mixture has it: without what is cut, and with a component.

    `meta.cuts` are always those of this mixture; what a document brought of that name is kept under another.
    """
    meta = {**document.meta, "component": component_name(document)}
    if "cuts" in meta:
        kept = ORIGINAL + "cuts"
        while kept in meta:
            kept = ORIGINAL + kept
        meta[kept] = meta.pop("cuts")
    if not cuts:
        return replace(document, meta=meta)
    return replace(document, text=without(document.text, [Cut(*cut) for cut in cuts]), meta=meta | {"cuts": cuts})


def _count_cuts(note: Written, cuts: list[list[Any]]) -> None:
    note.cut_documents += bool(cuts)
    note.cut_characters += sum(end - start for start, end, *_ in cuts)
    note.cut.update(str(rule) for _, _, rule, *_ in cuts)


def _windows(stream: Stream, sizes: NDArray[np.integer]) -> Iterator[Stream]:
    """Parts of a stream whose documents fit into memory together."""
    held = np.cumsum(sizes[stream & ~COPY].astype(np.int64) + DOCUMENT_BYTES)
    bounds = np.flatnonzero(np.diff(held // WINDOW_BYTES)) + 1
    for first, last in pairwise([0, *bounds.tolist(), len(stream)]):
        yield stream[first:last]


def read_part(tasks: Sequence[PartTask]) -> Iterator[Document]:
    """The documents of a part that is written."""
    for task in tasks:
        yield from read_shard(task.shard)


def lay_out_corpora(corpora: Sequence[Corpus], folder: Path) -> TableLayout:
    """Where the documents of some corpora lie, one after another."""
    starts = np.cumsum([0, *map(len, corpora)]).tolist()
    places = tuple((corpus.path.absolute(), corpus.part) for corpus in corpora)
    return TableLayout(folder=folder, corpora=places, starts=tuple(starts), names=(), bounds=())
