"""One shard: a row of zstd frames with checksums, each with some whole lines, so that a document is found fast.

The tables at its end say how many documents each frame holds (`frames`), so that a shard needs no index to be sought.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from libertas.corpus.frames import (
    Frame,
    FrameWriter,
    SeekTable,
    frame_by_frame,
    frames_at_once,
    quick_turns,
    read_seek_table,
    zstd_threads,
)
from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError

FRAME_BYTES = 256 * 1024
"""Uncompressed bytes after which a frame ends."""
PIECE_BYTES = 4 << 20
"""Uncompressed bytes that a worker reads at a time: enough to make vectorized work pay, few enough to share out."""
READ_AHEAD = 2
"""Pieces that are expanded before they are asked for."""

ROW = np.dtype([("id", "S32"), ("shard", "<u4"), ("frame", "<u8"), ("line", "<u4"), ("bytes", "<u4")])
"""One document: its id, shard number, offset of its frame in the shard, offset and length of its line in the frame."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive frames of one shard: what a worker reads at a time. It travels well: it holds no text."""

    path: Path
    """Of the shard."""
    bounds: tuple[int, ...]
    """Where each frame begins, in bytes of the file, and where the last one ends, or later."""
    first: int
    """Number of its first document, in corpus order."""
    documents: int

    @property
    def start(self) -> int:
        """Where it begins, in bytes of the file."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.bounds[-1]

    def __iter__(self) -> Iterator[Document]:
        """Its documents, in order; one frame after the other is expanded.

        Raises:
            BrokenLineage: the shard is damaged.
        """
        for found in self._documents(self._expanded(frame_by_frame)):
            yield from found

    def read(self) -> list[Document]:
        """Its documents, in order.

        Raises:
            BrokenLineage: the shard is damaged.
        """
        return list(self)

    def frames(self) -> list[Frame]:
        """What its frames expand to, each some lines, while other threads go on.

        Raises:
            BrokenLineage: the shard is damaged.
        """
        return list(self._expanded(frames_at_once))

    def _expanded(self, expand: Callable[[bytes, Sequence[int]], Iterator[Frame]]) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(self.end - self.start)
        try:
            yield from expand(data, [bound - self.start for bound in self.bounds])
        except (zstandard.ZstdError, ValueError, MemoryError) as error:  # a header may claim any size
            raise BrokenLineage(
                f"{self.path} is damaged between bytes {self.start} and {self.end} ({error}); run `libertas verify`"
            ) from error

    def _documents(self, frames: Iterable[Frame]) -> Iterator[list[Document]]:
        """The documents of its frames, in order, frame by frame; they must be as many as there should be."""
        read = 0
        for frame in frames:
            found = _parsed(frame)
            read += len(found)
            yield found
        if read != self.documents:
            raise BrokenLineage(
                f"{self.path} gave {read:,} documents, expected {self.documents:,}; run `libertas verify`"
            )

    @staticmethod
    def read_all(pieces: "Iterable[Piece]") -> Iterator[Document]:
        """All documents of some pieces; while those of one are parsed, a thread expands the next.

        Raises:
            BrokenLineage: a shard is damaged.
        """
        waiting: deque[tuple[Piece, Future[list[Frame]]]] = deque()
        more = iter(pieces)
        with quick_turns():
            while True:
                while len(waiting) <= READ_AHEAD and (piece := next(more, None)) is not None:
                    waiting.append((piece, zstd_threads().submit(piece.frames)))
                if not waiting:
                    return
                first, frames = waiting.popleft()
                for found in first._documents(frames.result()):
                    yield from found


class ShardWriter:
    """Writes documents into one shard file, in the order they are added; `close` it."""

    def __init__(self, path: Path, number: int) -> None:
        """Start an empty shard at `path`; `number` is what the index will call it."""
        self.number = number
        self.documents, self.text_bytes = 0, 0
        self.bytes_read = 0
        """Uncompressed bytes of the finished frames."""
        self._writer = FrameWriter(path)
        self._frame: list[bytes] = []
        self._frame_bytes = 0
        self._ids: list[str] = []
        self._finished: list[NDArray[np.void]] = []

    @property
    def between_frames(self) -> bool:
        """Whether everything that was added is in a finished frame."""
        return not self._frame

    def add(self, document: Document) -> None:
        """Append one document."""
        meta = {"id": document.id, **document.meta}
        line = orjson.dumps({"text": document.text, "meta": meta}, option=orjson.OPT_APPEND_NEWLINE)
        self._ids.append(document.id)
        self._frame.append(line)
        self._frame_bytes += len(line)
        self.documents += 1
        text = document.text
        self.text_bytes += len(text) if text.isascii() else len(text.encode())
        if self._frame_bytes >= FRAME_BYTES:
            self._end_frame()

    def _end_frame(self) -> None:
        if self._frame:
            rows = np.zeros(len(self._frame), dtype=ROW)
            rows["id"], rows["shard"] = self._ids, self.number
            rows["frame"] = len(self._finished)  # its place, until it is known where it begins
            rows["bytes"] = [len(line) for line in self._frame]
            rows["line"][1:] = np.cumsum(rows["bytes"][:-1])
            self._finished.append(rows)
            self._writer.add(b"".join(self._frame), len(self._frame))
            self.bytes_read += self._frame_bytes
        self._frame, self._frame_bytes, self._ids = [], 0, []

    def rows(self) -> NDArray[np.void]:
        """Where each document lies, shape (documents,) of `ROW`; call it after `close`."""
        return np.concatenate([np.empty(0, dtype=ROW), *self._finished])

    def close(self) -> None:
        """Finish the last frame, and see that the bytes are on the disk."""
        self._end_frame()
        for rows, start in zip(self._finished, self._writer.finish(), strict=True):
            rows["frame"] = start

    def abandon(self) -> None:
        """Close the file as it is, because what was to be written failed."""
        self._writer.abandon()


def shard_name(number: int, name: str) -> str:
    """File name in lm_dataformat's pattern; the time is always 0, so that equal corpora have equal bytes."""
    return f"data_{number}_time0_{name}.jsonl.zst"


def read_shard(path: Path) -> Iterator[Document]:
    """The documents of one shard file, streamed.

    Raises:
        BrokenLineage: the file is damaged, or its tables are cut off.
    """
    pieces = shard_pieces(path)
    if pieces is None:
        raise BrokenLineage(f"{path} has no seek table at its end; it was cut off; run `libertas verify`")
    return Piece.read_all(pieces)


def shard_pieces(path: Path) -> list[Piece] | None:
    """A shard in pieces of about `PIECE_BYTES` by its own tables; its documents are numbered from 0.

    Returns:
        None for a file without tables: cut off, or not written by libertas.
    """
    table = read_seek_table(path)
    if table is None or table.documents is None:
        return None
    before = np.cumsum(table.sizes) - table.sizes
    cuts = [*np.flatnonzero(np.diff(before // PIECE_BYTES, prepend=-1)).tolist(), len(table.sizes)]
    return [table_piece(path, table, a, b) for a, b in pairwise(cuts)]


def table_piece(path: Path, table: SeekTable, first: int, last: int) -> Piece:
    """The frames [first, last) of a shard as a piece."""
    assert table.documents is not None, "only tables of ours say where documents are"
    before, within = int(table.documents[:first].sum()), int(table.documents[first:last].sum())
    return Piece(path, tuple(table.starts[first : last + 1].tolist()), before, within)


def document_of_shard(path: Path, number: int) -> Document:
    """The document with this number, from 0, in a shard: by its own tables, and one frame that is expanded.

    Raises:
        UsageError: the file has no tables, or no such document.
        BrokenLineage: the frame is damaged.
    """
    table = read_seek_table(path)
    if table is None or table.documents is None:
        raise UsageError(f"{path} has no seek table; expected a whole shard of libertas; `libertas adopt` makes one")
    total = int(table.documents.sum())
    if not 0 <= number < total:
        raise UsageError(f"{path} has no document {number}; expected a number from 0 to {total - 1}")
    frame = int(np.searchsorted(np.cumsum(table.documents), number, side="right"))
    piece = table_piece(path, table, frame, frame + 1)
    return piece.read()[number - piece.first]


def _parsed(frame: Frame) -> list[Document]:
    """The lines of a frame, parsed at once: no JSON string holds a line end."""
    try:
        array = b"".join((b"[", memoryview(frame)[:-1], b"]")).replace(b"\n", b",")
        records = orjson.loads(array)
        return [Document(meta.pop("id"), record["text"], meta) for record in records for meta in (record["meta"],)]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BrokenLineage(f"a corpus line cannot be read ({error}); run `libertas verify`") from error


def parse_line(line: bytes) -> Document:
    """One line of a shard.

    Raises:
        BrokenLineage: it is none.
    """
    try:
        record: dict[str, Any] = orjson.loads(line)
        meta = record["meta"]
        return Document(id=meta.pop("id"), text=record["text"], meta=meta)
    except (orjson.JSONDecodeError, KeyError) as error:
        raise BrokenLineage(f"a corpus line cannot be read ({error}): {line[:80]!r}; run `libertas verify`") from error
