"""A corpus part to tokens, in tasks of some megabytes that may be killed at any moment and never do their work twice.

Tasks follow from the corpus alone, so that one process, many, or a cluster write the same bytes. Each leaves its tokens
and what they belong to in files of its own, and last a note that it is done; in the end all are put together in order.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from libertas.corpus import Corpus, Piece
from libertas.engine import map_on_ray, map_ordered
from libertas.lineage.artifact import WRITING, write_json
from libertas.terminal import progress
from libertas.tokenize import bpe
from libertas.tokenize.encoder import Encoder

TASKS = ".tasks"
"""Folder within a token store that is being made: what is only needed until it is whole."""
TASK_PIECES = 4
"""Pieces of a shard that are a task: about 16 MB of corpus."""
TOKENS, ROWS = "tokens", "rows"
ROW = np.dtype([("id", "S32"), ("tokens", "<u4"), ("component", "<u1")])
"""One document: its id, how many tokens it has, the number of its component."""


@dataclass(frozen=True, kw_only=True)
class EncodeTask:
    """All that a machine needs to know to encode some pieces of a corpus."""

    name: str
    pieces: tuple[Piece, ...]
    folder: Path
    """Of the token store that is being made."""
    tokenizer_written: int
    """When its tokenizer was, in nanoseconds: a process that goes on reads another one anew."""
    dtype: str
    components: tuple[str, ...]

    def file(self, what: str) -> Path:
        """Where it leaves its tokens, its rows, or its note (`json`)."""
        return self.folder / TASKS / f"{self.name}.{what}"


def encode_part(
    corpus: Corpus, folder: Path, dtype: str, components: Sequence[str], workers: int, engine: str
) -> tuple[int, int]:
    """Write a part of a token store, or what is left to do of it; returns tokens and documents.

    Args:
        corpus: the part of the corpus.
        folder: of the token store, where `tokenizer.json` lies already.
        dtype: of the tokens.
        components: names by their numbers.
        workers: processes.
        engine: `local` or `ray`.
    """
    tasks = _tasks(corpus, folder.absolute(), dtype, tuple(components))
    (folder / TASKS).mkdir(exist_ok=True)
    done = {task.name: found for task in tasks if (found := _finished(task)) is not None}
    todo = [task for task in tasks if task.name not in done]
    with progress(f"tokenizing {corpus.part}, documents", len(corpus)) as bar:
        bar.advance(sum(documents for _, documents in done.values()))
        for task, result in _results(todo, workers, engine):
            if isinstance(result, Exception):
                raise result
            done[task.name] = result
            bar.advance(result[1], f"{sum(tokens for tokens, _ in done.values()):,} tokens")
    tokens, documents = (sum(counted) for counted in zip((0, 0), *done.values(), strict=True))
    assert documents == len(corpus), f"{documents} documents tokenized of {len(corpus)}"
    _put_together(tasks, folder / corpus.part, documents)
    return tokens, documents


def _tasks(corpus: Corpus, folder: Path, dtype: str, components: tuple[str, ...]) -> list[EncodeTask]:
    written = (folder / bpe.TOKENIZER).stat().st_mtime_ns
    tasks: list[EncodeTask] = []
    for shard in range(len(corpus.shards)):
        pieces = corpus.pieces(shard)
        for first in range(0, len(pieces), TASK_PIECES):
            tasks.append(
                EncodeTask(
                    name=f"{corpus.part}-{len(tasks)}",
                    pieces=tuple(pieces[first : first + TASK_PIECES]),
                    folder=folder,
                    tokenizer_written=written,
                    dtype=dtype,
                    components=components,
                )
            )
    return tasks


def _finished(task: EncodeTask) -> tuple[int, int] | None:
    try:
        note = orjson.loads(task.file("json").read_bytes())
    except OSError:
        return None
    return note["tokens"], note["documents"]


def _results(
    tasks: Sequence[EncodeTask], workers: int, engine: str
) -> Iterator[tuple[EncodeTask, tuple[int, int] | Exception]]:
    if engine == "ray":
        yield from map_on_ray(encode_task, tasks)
    else:
        yield from zip(tasks, map_ordered(encode_task, tasks, min(workers, len(tasks))), strict=True)


def encode_task(task: EncodeTask) -> tuple[int, int]:
    """Do a task; returns tokens and documents. Its files appear whole, its note last."""
    encoder = _encoder(task.folder / bpe.TOKENIZER, task.tokenizer_written)
    number_of = {name: number for number, name in enumerate(task.components)}
    tokens, rows = 0, [np.empty(0, dtype=ROW)]
    with _unfinished(task.file(TOKENS)).open("wb") as file:
        for piece in task.pieces:
            documents = piece.read()
            ids, counts = encoder.encode([document.text for document in documents])
            file.write(ids.astype(task.dtype).data)
            tokens += len(ids)
            found = np.empty(len(documents), dtype=ROW)
            found["id"] = [document.id for document in documents]
            found["tokens"] = counts
            found["component"] = [number_of[document.meta["component"]] for document in documents]
            rows.append(found)
    whole = np.concatenate(rows)
    _unfinished(task.file(ROWS)).write_bytes(whole.tobytes())
    for what in (TOKENS, ROWS):
        with _unfinished(task.file(what)).open("rb") as file:
            os.fsync(file.fileno())
        os.rename(_unfinished(task.file(what)), task.file(what))
    write_json(task.file("json"), {"tokens": tokens, "documents": len(whole)})
    return tokens, len(whole)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + WRITING)


@lru_cache(maxsize=1)
def _encoder(path: Path, _written: int) -> Encoder:
    """The encoder, made once in each process."""
    tokenizer = bpe.load_tokenizer(path)
    return Encoder(tokenizer, bpe.closing_token(tokenizer))


def _put_together(tasks: Sequence[EncodeTask], folder: Path, documents: int) -> None:
    """All tasks in one `tokens.bin`, and the arrays that say which document a token belongs to."""
    folder.mkdir(exist_ok=True)
    with (folder / "tokens.bin").open("wb") as whole:
        for task in tasks:
            with task.file(TOKENS).open("rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
    for what, name in (("id", "document_ids.npy"), ("component", "components.npy")):
        with begun_array(folder / name, ROW[what], documents) as file:
            for task in tasks:
                file.write(_rows(task)[what].tobytes())
    with begun_array(folder / "offsets.npy", np.dtype("<u8"), documents + 1) as file:
        last = np.zeros(1, dtype=np.uint64)
        file.write(last.data)
        for task in tasks:
            ends = last + np.cumsum(_rows(task)["tokens"], dtype=np.uint64)
            file.write(ends.data)
            last = ends[-1:] if len(ends) else last


def _rows(task: EncodeTask) -> NDArray[np.void]:
    return np.fromfile(task.file(ROWS), dtype=ROW)


@contextmanager
def begun_array(path: Path, dtype: np.dtype[Any], length: int) -> Iterator[BinaryIO]:
    """A `.npy` file of one dimension with its head written; what is written to it must be `length` numbers."""
    with path.open("wb") as file:
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(file, head)
        start = file.tell()
        yield file
        written = (file.tell() - start) / dtype.itemsize
        assert written == length, f"{path.name} has {written} numbers, expected {length}"
