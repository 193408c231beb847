"""One archive to one shard, as a task that may be killed at any moment and run anywhere.

A task writes a shard of the corpus, the index rows of its documents, its drops, and last of all a note with the hash of
each; every file appears under its name when it is whole. A task whose note is there, and whose files are what the note
says, is not done again. Notes, rows and drops lie in a folder beside the corpus until `merged` has put them together.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from libertas.corpus import ShardWriter, read_shard, save_array, shard_name, write_index
from libertas.corpus.columns import table_of_rows
from libertas.corpus.drops import DROPS, DROPS_AT_ONCE, DROPS_SCHEMA
from libertas.document import Document, Drop
from libertas.engine import Failed, Limits, Pool
from libertas.gather import warc
from libertas.gather.ai_txt import AiTxts
from libertas.gather.inputs import records_in
from libertas.gather.record import AI_TXT, AI_TXT_UNREAD, Dropped, Recipe, document_of, dropped, dropped_again
from libertas.lineage.artifact import WRITING, write_json
from libertas.lineage.fingerprint import file_digest

BATCH_RECORDS = 32
BATCH_BYTES = 4 << 20
"""A batch travels to a worker when it has this many records, or bytes of payload: 4 MiB."""
AHEAD = 4
"""Batches for each worker that are under way or wait for an earlier one."""
WAITING_BYTES = 1 << 28
"""Payloads that lie in memory at a time: 256 MiB and a batch."""
WORKER_BYTES = 900_000_000
"""Private memory of a process that reads pages, beside a language model that was named."""

Result = Document | Dropped
Batch = Sequence[warc.Record | warc.Lost]
Reader = Pool[warc.Record | warc.Lost, Result]
Tell = Callable[[Batch, Sequence[Result]], None]


@dataclass(frozen=True, kw_only=True)
class ArchiveTask:
    """All that a machine needs to know to make one shard."""

    number: int
    """Of the shard."""
    archive: str
    """Path or URL."""
    prefix: str
    """What pointers in it are relative to."""
    corpus: Path
    """Folder that the shard goes to."""
    notes: Path
    """Folder for what is only needed until the corpus is whole."""
    fingerprint: str
    """Of the corpus; what was made for another one is not taken."""
    recipe: Recipe
    limits: Limits

    @property
    def shard(self) -> Path:
        """Where the documents go."""
        return self.corpus / shard_name(self.number, self.recipe.component)

    @property
    def rows(self) -> Path:
        """Where each document lies in the shard."""
        return self.notes / f"{self.number}.npy"

    @property
    def drops(self) -> Path:
        """The drops, as in `drops.parquet`."""
        return self.notes / f"{self.number}.parquet"

    @property
    def note(self) -> Path:
        """Written last."""
        return self.notes / f"{self.number}.json"


@dataclass(kw_only=True)
class Note:
    """What a finished task made; all that remains to be known of it in memory."""

    fingerprint: str
    archive: str
    documents: int = 0
    text_bytes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Documents and drops."""
        return self.documents + self.dropped.total()


def reader(recipe: Recipe, workers: int, limits: Limits) -> Reader:
    """Processes that turn records into documents."""
    return Pool(partial(document_of, recipe=recipe), workers, limits)


def page_limits(seconds: float, recipe: Recipe) -> Limits:
    """What one page may take."""
    model = recipe.language_model
    return Limits(seconds, WORKER_BYTES + (model.stat().st_size if model else 0))


def finished(task: ArchiveTask) -> Note | None:
    """The note of a task that need not be done again, or None."""
    try:
        said = orjson.loads(task.note.read_bytes())
        note = Note(**{**said, "languages": Counter(said["languages"]), "dropped": Counter(said["dropped"])})
        sound = note.hashes == _hashes(task)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return note if sound and note.fingerprint == task.fingerprint and note.archive == task.archive else None


def gather_alone(task: ArchiveTask) -> Note:
    """Do a task with a process of its own for the pages; for machines of a cluster."""
    with reader(task.recipe, 1, task.limits) as pool:
        return gather_archive(task, pool, lambda _batch, _results: None)


def gather_archive(task: ArchiveTask, pool: Reader, tell: Tell) -> Note:
    """Do a task; `tell` hears of each batch when it is done.

    Raises:
        UsageError: the archive cannot be read.
    """
    task.notes.mkdir(parents=True, exist_ok=True)
    note = Note(fingerprint=task.fingerprint, archive=task.archive)
    read, sites = 0, AiTxts()
    with _writing(task, note) as write:
        source = record_batches(records_in(task.archive, task.prefix))
        for batch, results in pool.map(source, AHEAD, _payload_bytes, WAITING_BYTES):
            kept = [_joined(item, r, sites) for item, r in zip(batch, results, strict=True)]
            read += len(batch)
            for result in kept:
                write(result)
            tell(batch, kept)
    assert read == note.records, "a record vanished"
    if sites.late:
        note = _rewritten(task, note, lambda _, document: sites.marked(document))
    write_json(task.note, vars(note))
    return note


def without_repeats(task: ArchiveTask, note: Note, repeats: NDArray[np.uint32]) -> Note:
    """Make a shard anew without some of its documents, which become drops; `repeats` are their places in it."""
    again = set(repeats.tolist())
    fresh = _rewritten(task, note, lambda place, found: dropped_again(found) if place in again else found)
    write_json(task.note, vars(fresh))
    return fresh


def _rewritten(task: ArchiveTask, note: Note, change: Callable[[int, Document], Result]) -> Note:
    """Make a shard anew, with each document as `change` has it, who is told its place."""
    fresh = Note(fingerprint=note.fingerprint, archive=note.archive, dropped=note.dropped.copy())
    before = pq.read_table(task.drops)
    with _writing(task, fresh, before) as write:
        for place, document in enumerate(read_shard(task.shard)):
            write(change(place, document))
    assert fresh.records == note.records, "a record vanished"
    return fresh


@contextmanager
def _writing(task: ArchiveTask, note: Note, before: pa.Table | None = None) -> Iterator[Callable[[Result], None]]:
    """Write what a task makes, count it in its note, and put everything but the note in its place when it is whole."""
    writer = ShardWriter(_unfinished(task.shard), task.number)
    rows: list[dict[str, Any]] = []
    try:
        with pq.ParquetWriter(_unfinished(task.drops), DROPS_SCHEMA, compression="zstd") as drops:
            if before is not None:
                drops.write_table(before)

            def write(result: Result) -> None:
                if isinstance(result, Document):
                    writer.add(result)
                    note.languages[result.meta["language"]] += 1
                    return
                note.dropped[result.drop.reason] += 1
                rows.append(result.row())
                if len(rows) >= DROPS_AT_ONCE:
                    drops.write_table(table_of_rows(rows, DROPS_SCHEMA))
                    rows.clear()

            yield write
            drops.write_table(table_of_rows(rows, DROPS_SCHEMA))
        writer.close()
    except BaseException:
        writer.abandon()
        for path in (task.shard, task.drops):
            _unfinished(path).unlink(missing_ok=True)
        raise
    note.documents, note.text_bytes = writer.documents, writer.text_bytes
    save_array(_unfinished(task.rows), writer.rows())
    for path in (task.shard, task.rows, task.drops):
        _settle(path)
    note.hashes = _hashes(task)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + WRITING)


def _settle(path: Path) -> None:
    """Give a whole file its name, once its bytes are on the disk."""
    with _unfinished(path).open("rb") as file:
        os.fsync(file.fileno())
    os.rename(_unfinished(path), path)


def _hashes(task: ArchiveTask) -> dict[str, str]:
    return {path.name: file_digest(path) for path in (task.shard, task.rows, task.drops)}


def _joined(item: warc.Record | warc.Lost, result: Result | Failed[Any], sites: AiTxts) -> Result:
    """What became of a record, with what its site says of all its pages as far as that is known."""
    if isinstance(result, Document):
        return sites.marked(result)
    if isinstance(result, Failed):
        assert isinstance(item, warc.Record), "nothing is computed on lost bytes"
        return dropped(item, Drop("extract", result.reason, len(item.body)))
    if result.drop.reason == AI_TXT and isinstance(item, warc.Record) and not sites.hear(item.uri, item.body):
        return dropped(item, Drop("warc", AI_TXT_UNREAD, item.uri))
    return result


def record_batches(items: Iterable[warc.Record | warc.Lost]) -> Iterator[Batch]:
    """Records by the handful, in order."""
    batch: list[warc.Record | warc.Lost] = []
    size = 0
    for item in items:
        batch.append(item)
        size += _payload_bytes([item])
        if len(batch) == BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _payload_bytes(batch: Batch) -> int:
    return sum(len(item.body) for item in batch if isinstance(item, warc.Record))


def merged(tasks: Sequence[ArchiveTask], notes: Sequence[Note], folder: Path) -> list[Note]:
    """Put the parts together: one index, one table of drops, and no id twice, of which the first in order stays."""
    final = list(notes)
    repeats = _index(tasks, folder)
    starts = np.cumsum([0, *(note.documents for note in notes)])
    for place, (task, note) in enumerate(zip(tasks, notes, strict=True)):
        first, last = np.searchsorted(repeats, starts[place : place + 2])
        if last > first:
            final[place] = without_repeats(task, note, repeats[first:last] - starts[place])
    if len(repeats):
        left = _index(tasks, folder)
        assert len(left) == 0, "an id stands twice"
    with pq.ParquetWriter(folder / DROPS, DROPS_SCHEMA, compression="zstd") as drops:
        for task in tasks:
            with pq.ParquetFile(task.drops) as part:
                for batch in part.iter_batches(DROPS_AT_ONCE):
                    drops.write_batch(batch)
    return final


def _index(tasks: Sequence[ArchiveTask], folder: Path) -> NDArray[np.uint32]:
    return write_index(folder, (np.load(task.rows) for task in tasks))
