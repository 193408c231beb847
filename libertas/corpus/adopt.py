"""Files of others to a corpus: every text becomes a document, everything else a drop with its reason.

Each file is a task of its own, which makes one shard and may be killed at any moment: an interrupted run goes on with
the files that are not done. With one process, with many, or on a cluster, the same bytes come out.
"""

import os
import shutil
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.markup import escape

from libertas.corpus.config import AdoptConfig
from libertas.corpus.drops import DROPS, DROPS_AT_ONCE, DROPS_SCHEMA
from libertas.corpus.index import save_array, write_index
from libertas.corpus.lmd import LmdDrop, LmdText, lmd_files, read_lmd
from libertas.corpus.shard import ShardWriter, read_shard, shard_name
from libertas.corpus.store import Corpus
from libertas.document import Document, Drop, document_id
from libertas.engine import map_on_ray, map_ordered
from libertas.errors import UsageError
from libertas.lineage.artifact import WRITING, Draft, write_json
from libertas.terminal import Bar, printable, progress, say

NOTES = ".notes"
"""Folder within a corpus that is being made: what is only needed until it is whole."""
AGAIN = "same record again"
ID_LENGTH = 32
HEXADECIMAL = frozenset(string.digits + "abcdef")
OURS = ("id", "source", "line", "member", "component", "warc", "original")
"""Fields of `meta` that adoption sets; what a file says there is kept in `meta.original`."""
TEXTS = ("url", "language")
"""Fields of `meta` that other stages read as text."""


@dataclass(frozen=True, kw_only=True)
class _FileTask:
    """All that a machine needs to know to make one shard."""

    number: int
    """Of the shard."""
    path: Path
    digest: str
    """Of the file's bytes."""
    corpus: Path
    component: str
    text_key: str

    @property
    def shard(self) -> Path:
        return self.corpus / shard_name(self.number, self.component)

    def note(self, ending: str) -> Path:
        """The rows (`npy`), the drops (`parquet`), and what is written last (`json`)."""
        return self.corpus / NOTES / f"{self.number}.{ending}"

    def own_id(self, number: int, member: str) -> str:
        """Id of a document that brings none: it follows from the file's bytes and the place in it."""
        return document_id(f"{member}#{number}", self.digest)


@dataclass(kw_only=True)
class _Tally:
    """What a finished task made; all that remains to be known of it in memory."""

    documents: int = 0
    text_bytes: int = 0
    mended: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    components: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def items(self) -> int:
        return self.documents + self.dropped.total()


def adopt(config: AdoptConfig) -> Corpus:
    """Make the corpus that the config describes, or find it made.

    Raises:
        UsageError: a path holds no file to read, or no file holds a text.
    """
    files, left_out = _files(config.paths)
    draft = Draft(kind="corpus", out=config.out, config=config, inputs={"file": files}, code=__name__)
    if not draft.finished():
        with draft.build(resume=True) as folder:
            tasks = [
                _FileTask(
                    number=number,
                    path=path.absolute(),
                    digest=draft.inputs[number].content,
                    corpus=folder.absolute(),
                    component=config.component,
                    text_key=config.text_key,
                )
                for number, path in enumerate(files)
            ]
            (folder / NOTES).mkdir(exist_ok=True)
            tallies = _done(config, tasks)
            if not any(tally.documents for tally in tallies):
                shutil.rmtree(folder)
                raise UsageError(_nothing_in(config, tallies))
            _merge(tasks, tallies, folder)
            _count(draft, tallies)
            shutil.rmtree(folder / NOTES)
        _tell(tallies, left_out, config.out / DROPS)
    return Corpus.open(config.out)


def _files(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The files to read, in order, and the names of those in their folders that are of another making."""
    files: list[Path] = []
    left_out: list[str] = []
    for path in paths:
        found, others = lmd_files(path)
        files += found
        left_out += others
    for path in files:
        raw = os.fsencode(path)
        if raw.decode("utf-8", "replace").encode() != raw:
            raise UsageError(
                f"{raw.decode('utf-8', 'backslashreplace')} has a name that is not valid UTF-8; expected one that can "
                "stand in a manifest; rename it"
            )
    return files, left_out


def _done(config: AdoptConfig, tasks: Sequence[_FileTask]) -> list[_Tally]:
    """Do what is not done yet."""
    tallies = {task.number: tally for task in tasks if (tally := _finished(task))}
    todo = [task for task in tasks if task.number not in tallies]
    with progress("Adopting", len(todo)) as bar:
        for task, outcome in _outcomes(config, todo, bar):
            if isinstance(outcome, Exception):
                raise outcome
            tallies[task.number] = outcome
            bar.advance(1, f"{sum(t.documents for t in tallies.values()):,} documents")
    return [tallies[task.number] for task in tasks]


def _outcomes(
    config: AdoptConfig, tasks: Sequence[_FileTask], bar: Bar
) -> Iterator[tuple[_FileTask, _Tally | Exception]]:
    if config.engine == "ray":
        yield from map_on_ray(_adopt_file, tasks)
    elif min(config.workers, len(tasks)) > 1:
        yield from zip(tasks, map_ordered(_adopt_file, tasks, min(config.workers, len(tasks))), strict=True)
    else:
        for task in tasks:
            yield task, _adopt_file(task, lambda n: bar.advance(0, f"{n:,} documents of the file in hand"))


def _finished(task: _FileTask) -> _Tally | None:
    try:
        said: dict[str, Any] = orjson.loads(task.note("json").read_bytes())
    except OSError:
        return None
    counters = {name: Counter(value) for name, value in said.items() if isinstance(value, dict)}
    return _Tally(**{**said, **counters})


def _adopt_file(task: _FileTask, tell: Callable[[int], None] = lambda _: None) -> _Tally:
    """Do a task; `tell` hears now and then how many documents there are."""
    tally, items = _Tally(), 0
    with _writing(task, tally) as write:
        for items, item in enumerate(read_lmd(task.path, task.text_key), start=1):
            if isinstance(item, LmdText):
                tally.mended += item.mended
                write(_document(task, item))
            else:
                write(item)
            if items % 1000 == 0:
                tell(items)
    assert items == tally.items, "a record vanished"
    return tally


def _again(task: _FileTask, places: set[int]) -> _Tally:
    """Make a shard anew in which the documents at some places, whose ids stand earlier, have ids of their own.

    Those that have them already are the same record again, and become drops.
    """
    before = _finished(task)
    assert before is not None, "only what is finished is made anew"
    task.note("json").unlink()
    tally = _Tally(mended=before.mended, dropped=before.dropped.copy())
    with _writing(task, tally, pq.read_table(task.note("parquet"))) as write:
        for place, document in enumerate(read_shard(task.shard)):
            write(_with_own_id(task, document) if place in places else document)
    assert tally.items == before.items, "a record vanished"
    return tally


def _with_own_id(task: _FileTask, document: Document) -> Document | LmdDrop:
    number, member = document.meta["line"], document.meta.get("member", "")
    own = task.own_id(number, member)
    if own == document.id:
        return LmdDrop(number, member, Drop("read", AGAIN, own))
    original = {**document.meta.get("original", {}), "id": document.id}
    return Document(own, document.text, {**document.meta, "original": original})


@contextmanager
def _writing(
    task: _FileTask, tally: _Tally, before: pa.Table | None = None
) -> Iterator[Callable[[Document | LmdDrop], None]]:
    """Write what a task makes, count it in its tally, and put everything in its place when it is whole."""
    shard = task.shard.with_name(task.shard.name + WRITING)
    drops_file = task.note("parquet").with_name(task.note("parquet").name + WRITING)
    writer = ShardWriter(shard, task.number)
    rows: list[dict[str, Any]] = []
    try:
        with pq.ParquetWriter(drops_file, DROPS_SCHEMA, compression="zstd") as drops:
            if before is not None:
                drops.write_table(before)

            def write(result: Document | LmdDrop) -> None:
                if isinstance(result, Document):
                    writer.add(result)
                    tally.components[result.meta["component"]] += 1
                    if "language" in result.meta:
                        tally.languages[result.meta["language"]] += 1
                    return
                tally.dropped[result.drop.reason] += 1
                rows.append(_row(task, result))
                if len(rows) >= DROPS_AT_ONCE:
                    drops.write_table(pa.Table.from_pylist(rows, DROPS_SCHEMA))
                    rows.clear()

            yield write
            drops.write_table(pa.Table.from_pylist(rows, DROPS_SCHEMA))
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    tally.documents, tally.text_bytes = writer.documents, writer.text_bytes
    rows_file = task.note("npy").with_name(task.note("npy").name + WRITING)
    save_array(rows_file, writer.rows())
    for unfinished, path in ((shard, task.shard), (rows_file, task.note("npy")), (drops_file, task.note("parquet"))):
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.rename(unfinished, path)
    write_json(task.note("json"), vars(tally))


def _row(task: _FileTask, dropped: LmdDrop) -> dict[str, Any]:
    member = f"/{dropped.member}" if dropped.member else ""
    return {
        "record_id": f"{task.path.name}{member}#{dropped.number}",
        "uri": "",
        "file": task.path.name,
        "offset": None,
        "rule": dropped.drop.rule,
        "reason": dropped.drop.reason,
        "value": None if dropped.drop.value is None else str(dropped.drop.value),
    }


def _document(task: _FileTask, item: LmdText) -> Document:
    """A text of a file as a document of ours, with all that the file says of it."""
    meta = item.meta
    own = is_document_id(meta.get("id"))
    set_here: dict[str, Any] = {"source": task.path.name, "line": item.number}
    if item.member:
        set_here["member"] = item.member
    named = [meta.get(key) for key in ("component", "pile_set_name")]
    set_here["component"] = next((n for n in named if isinstance(n, str) and n), task.component)
    if item.mended:
        set_here["mended"] = True
    displaced = {
        key: value
        for key, value in meta.items()
        if (key in OURS or (key in TEXTS and not isinstance(value, str))) and value != set_here.get(key)
    }
    if own:
        del displaced["id"]
    kept = {key: value for key, value in meta.items() if key not in displaced and key != "id"}
    if isinstance(before := displaced.get("original"), dict):  # it was adopted before
        del displaced["original"]
        displaced = {**before, **displaced}
    original = {"original": displaced} if displaced else {}
    document = meta["id"] if own else task.own_id(item.number, item.member)
    return Document(document, item.text, {**kept, **set_here, **original})


def is_document_id(value: object) -> bool:
    """Whether a value looks like the id of a document: 32 hexadecimal digits."""
    return isinstance(value, str) and len(value) == ID_LENGTH and HEXADECIMAL.issuperset(value)


def _merge(tasks: Sequence[_FileTask], tallies: list[_Tally], folder: Path) -> None:
    """Put the parts together: one index in which no id stands twice, and one table of drops."""
    while len(repeats := _index(tasks, folder)):
        starts = np.cumsum([0, *(tally.documents for tally in tallies)])
        for place, task in enumerate(tasks):
            first, last = np.searchsorted(repeats, starts[place : place + 2])
            if last > first:
                tallies[place] = _again(task, set((repeats[first:last] - starts[place]).tolist()))
    with pq.ParquetWriter(folder / DROPS, DROPS_SCHEMA, compression="zstd") as drops:
        for task in tasks:
            with pq.ParquetFile(task.note("parquet")) as part:
                for batch in part.iter_batches(DROPS_AT_ONCE):
                    drops.write_batch(batch)


def _index(tasks: Sequence[_FileTask], folder: Path) -> NDArray[np.uint32]:
    return write_index(folder, (np.load(task.note("npy")) for task in tasks))


def _summed(counters: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return dict(sorted(total.items()))


def _count(draft: Draft, tallies: Sequence[_Tally]) -> None:
    dropped = _summed(tally.dropped for tally in tallies)
    documents = sum(tally.documents for tally in tallies)
    draft.counts.update(
        documents={"in": sum(t.items for t in tallies), "out": documents, "dropped": sum(dropped.values())},
        dropped=dropped,
        text_bytes=sum(tally.text_bytes for tally in tallies),
        mended=sum(tally.mended for tally in tallies),
        languages=_summed(tally.languages for tally in tallies),
        documents_of_component=_summed(tally.components for tally in tallies),
    )


def _nothing_in(config: AdoptConfig, tallies: Sequence[_Tally]) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in _summed(tally.dropped for tally in tallies).items())
    return (
        f"{config.paths[0]} holds no text ({reasons or 'it is empty'}); expected objects with a field "
        f"{config.text_key!r}; name another one with --text-key"
    )


def _tell(tallies: Sequence[_Tally], left_out: Sequence[str], where: Path) -> None:
    """One line for the person about whatever did not become a document as it stood."""
    parts = [f"{n:,} {reason}" for reason, n in _summed(tally.dropped for tally in tallies).items()]
    if mended := sum(tally.mended for tally in tallies):
        parts.append(f"{mended:,} mended, because they held what no text can hold")
    if left_out:
        n = len(left_out)
        which = f"{left_out[0]!a}{' first' * (n > 1)}"
        parts.append(f"{n} file{'s' * (n > 1)} of another making left out ({which})")
    if parts:
        say(escape(printable(f"{'; '.join(parts)}; reasons in {where}")))
