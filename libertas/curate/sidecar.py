"""Side-cars: what a stage says of the documents of some corpora, in tables beside them; texts are never touched.

`{table}/{corpus}-{shard}.parquet` speaks of one shard of one corpus, in corpus order, with a row group for each `Piece`
of it. Every file is made by one task, which may be killed at any moment and run anywhere: it appears under its name
when it is whole, and a task whose files are all there is not done again.

Two tables mean the same in every stage, and `mix` acts on them: `AGAINST` names documents that should go, `CUTS`
the characters of a text that should be replaced.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from libertas.corpus import SORTED_AT_ONCE, Corpus, Piece
from libertas.corpus.columns import table_of_rows
from libertas.engine import map_on_ray, map_ordered
from libertas.errors import UsageError
from libertas.lineage.artifact import WRITING, Draft
from libertas.lineage.manifest import Manifest, named, read_manifest
from libertas.terminal import Bar, progress

ROW = [pa.field("number", pa.int64()), pa.field("document_id", pa.string())]
"""How every row begins: the document's place in its corpus, from 0, and its id."""

AGAINST = "against"
AGAINST_SCHEMA = pa.schema(
    [*ROW, pa.field("rule", pa.string()), pa.field("reason", pa.string()), pa.field("value", pa.float64())]
)
"""Documents that should go: the rule that says so, its constant reason, and the value it saw."""

CUTS = "cuts"
CUTS_SCHEMA = pa.schema(
    [
        *ROW,
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("replacement", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""Characters [start, end) of a text, as Python counts them, and what should stand there instead; empty removes them."""

SIDECAR_KINDS = ("decisions", "duplicates", "overlaps", "redactions")
"""Artifacts that hold side-cars; `mix` takes any number of them."""

Tables = Mapping[str, pa.Table]
Judge = Callable[[Piece], Tables]
"""What a stage says of a piece: a table of rows, possibly none, for each name it was asked for."""


@dataclass(frozen=True, kw_only=True)
class _ShardTask:
    """All that a machine needs to know to make the side-cars of one shard."""

    pieces: Sequence[Piece]
    judge: Judge
    folder: Path
    name: str
    schemas: Mapping[str, pa.Schema]

    def path(self, table: str) -> Path:
        return self.folder / table / f"{self.name}.parquet"

    def done(self) -> bool:
        return all(self.path(table).exists() for table in self.schemas)


def sidecar_path(folder: Path, table: str, corpus: int, shard: int) -> Path:
    """Where a side-car stage says something about one shard of its corpus number `corpus`."""
    return folder / table / f"{sidecar_name(corpus, shard)}.parquet"


def sidecar_name(corpus: int, shard: int) -> str:
    """Name, without its ending, of all that is said of one shard."""
    return f"{corpus}-{shard:05}"


def write_sidecars(
    corpora: Sequence[Corpus],
    folder: Path,
    judge: Judge,
    schemas: Mapping[str, pa.Schema],
    *,
    title: str,
    workers: int = 1,
    engine: str = "local",
) -> None:
    """Judge every document of some corpora; what is there already, whole, is left as it is.

    Args:
        corpora: in the order in which the artifact's inputs name them.
        folder: of the artifact that is being made; it must be kept after an interruption (`build(resume=True)`).
        judge: a module-level function of a piece, or a `partial` of one.
        schemas: table name -> what its rows look like.
        title: for the progress line.
        workers: processes on this machine.
        engine: `local`, or `ray` for a task per shard on a cluster.
    """
    tasks = [
        _ShardTask(
            pieces=corpus.pieces(shard),
            judge=judge,
            folder=folder.absolute(),
            name=sidecar_name(number, shard),
            schemas=schemas,
        )
        for number, corpus in enumerate(corpora)
        for shard in range(len(corpus.shards))
    ]
    for table in schemas:
        (folder / table).mkdir(parents=True, exist_ok=True)
    with progress(title, sum(map(len, corpora))) as bar:
        todo = []
        for task in tasks:
            if task.done():
                bar.advance(sum(p.documents for p in task.pieces), "documents")
            else:
                todo.append(task)
        if engine == "ray":
            _on_ray(todo, bar)
        else:
            _here(todo, judge, workers, bar)


def _here(tasks: Sequence[_ShardTask], judge: Judge, workers: int, bar: Bar) -> None:
    """Shard after shard, with the pieces of all of them in one row, so that no worker waits at a shard's end."""
    pieces = (piece for task in tasks for piece in task.pieces)
    results = map_ordered(judge, pieces, min(workers, sum(len(t.pieces) for t in tasks)))
    for task in tasks:
        _write(task, results, bar)


def _on_ray(tasks: Sequence[_ShardTask], bar: Bar) -> None:
    for task, outcome in map_on_ray(_alone, tasks):
        if isinstance(outcome, Exception):
            raise outcome
        bar.advance(sum(p.documents for p in task.pieces), "documents")


def _alone(task: _ShardTask) -> None:
    _write(task, map(task.judge, task.pieces), None)


def _write(task: _ShardTask, results: Iterator[Tables], bar: Bar | None) -> None:
    unfinished = {table: task.path(table).with_name(task.path(table).name + WRITING) for table in task.schemas}
    writers = {t: pq.ParquetWriter(p, task.schemas[t], compression="zstd") for t, p in unfinished.items()}
    try:
        for piece in task.pieces:
            tables = next(results)
            for table, writer in writers.items():
                writer.write_table(tables[table])
            if bar is not None:
                bar.advance(piece.documents, "documents")
    finally:
        for writer in writers.values():
            writer.close()
    for table, path in unfinished.items():
        with path.open("rb") as file:
            os.fsync(file.fileno())
        os.rename(path, task.path(table))


def rows_of(schema: pa.Schema, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as a table; none is a table as well."""
    return table_of_rows(rows, schema)


def read_sidecar(folder: Path, table: str, corpus: int, shard: int) -> pa.Table | None:
    """What a finished side-car artifact says of one shard, or None where it has no such table."""
    path = sidecar_path(folder, table, corpus, shard)
    return pq.read_table(path, partitioning=None) if path.exists() else None


def said_of(folder: Path, table: str, document_id: str) -> list[dict[str, object]]:
    """All rows of a table about one document, in corpus order."""
    wanted = [("document_id", "=", document_id)]
    found = []
    for path in sorted((folder / table).glob("*.parquet"), key=_place):
        found += pq.read_table(path, filters=wanted, partitioning=None).to_pylist()
    return found


def _place(path: Path) -> tuple[int, int]:
    corpus, _, shard = path.stem.partition("-")
    return int(corpus), int(shard)


def require_sidecar(path: Path) -> Manifest:
    """The manifest of a side-car artifact.

    Raises:
        UsageError: it is something else.
    """
    manifest = read_manifest(path)
    if manifest.kind not in SIDECAR_KINDS:
        raise UsageError(
            f"{path} is {named(manifest.kind)}; expected what `libertas curate`, `dedup`, `decontaminate` or `redact` "
            "says of the corpora"
        )
    return manifest


def places_in(sidecar: Path, draft: Draft) -> list[int]:
    """For each of a draft's corpora, which number it has in a side-car artifact.

    Raises:
        UsageError: `sidecar` is something else, or does not speak of one of the corpora.
    """
    manifest = require_sidecar(sidecar)
    known = {i.content: place for place, i in enumerate(j for j in manifest.inputs if j.role == "corpus")}
    places = []
    for given in (i for i in draft.inputs if i.role == "corpus"):
        if given.content not in known:
            of = ", ".join(Path(i.path).name for i in manifest.inputs if i.role == "corpus")
            raise UsageError(
                f"{sidecar} speaks of other corpora ({of}), not of {Path(given.path).name} as it is now; "
                f"run `libertas {COMMANDS[manifest.kind]}` on it again"
            )
        places.append(known[given.content])
    return places


COMMANDS = dict(zip(SIDECAR_KINDS, ("curate", "dedup", "decontaminate", "redact"), strict=True))
"""Kind of side-car -> the command that makes it."""


def require_distinct(corpora: Sequence[Corpus]) -> None:
    """Refuse corpora that share a document: side-cars and mixtures name documents by id. Memory stays bounded.

    Raises:
        UsageError: naming the document and both corpora.
    """
    if len(corpora) < 2:
        return
    ranges = -(-max(map(len, corpora)) // SORTED_AT_ONCE)
    for parts in zip(*(corpus.ids_in_order(max(ranges, 1)) for corpus in corpora), strict=True):
        found: NDArray[np.bytes_] = np.sort(np.concatenate(parts))
        again = found[1:][found[1:] == found[:-1]]
        if len(again):
            where = [c.path for c, part in zip(corpora, parts, strict=True) if again[0] in part]
            raise UsageError(
                f"document {again[0].decode()} is in {where[0]} and in {where[-1]}; "
                "expected corpora without common records: gather each archive once"
            )
