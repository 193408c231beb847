"""A corpus on disk: lm_dataformat shards, and an index to fetch one document by its id.

Shards are `data_{i}_time0_{name}.jsonl.zst` with one `{"text": …, "meta": {…}}` per line, readable by `lm_dataformat`
and `zstdcat | jq`. A shard is a row of zstd frames with checksums, about `FRAME_BYTES` of text each, so one document
is fetched by decompressing one frame. `documents.npy` tells where each document lies; `by_id.npy` is its order by id.
"""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.manifest import Manifest, read_manifest_of

FRAME_BYTES = 256 * 1024
SHARD_BYTES = 1 << 30
"""Uncompressed bytes after which a new shard begins."""
COMPRESSION_LEVEL = 3
SORTED_AT_ONCE = 1 << 21
"""Ids that are sorted in memory at a time: two million, in about 200 MB."""

ROW = np.dtype([("id", "S32"), ("shard", "<u4"), ("frame", "<u8"), ("line", "<u4"), ("bytes", "<u4")])
"""One document: its id, shard number, offset of its frame in the shard, offset and length of its line in the frame."""


PIECE_BYTES = 4 << 20
"""Uncompressed bytes that a worker reads at a time: enough to make vectorized work pay, few enough to share out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive frames of one shard: what a worker reads at a time. It travels well: it holds no text."""

    path: Path
    """Of the shard."""
    start: int
    end: int
    """Bytes of the file [start, end): whole frames."""
    first: int
    """Number of its first document, in corpus order."""
    documents: int

    def read(self) -> list[Document]:
        """Its documents, in order.

        Raises:
            BrokenLineage: the shard is damaged.
        """
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(self.end - self.start)
        try:
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
                *lines, rest = stream.read().split(b"\n")
        except zstandard.ZstdError as error:
            raise BrokenLineage(f"{self.path} is damaged ({error}); run `libertas verify`") from error
        if rest or len(lines) != self.documents:
            raise BrokenLineage(
                f"{self.path} gave {len(lines)} documents, expected {self.documents}; `libertas verify`"
            )
        return [_parse(line) for line in lines]


class ShardWriter:
    """Writes documents into one shard file, in the order they are added; `close` it."""

    def __init__(self, path: Path, number: int) -> None:
        """Start an empty shard at `path`; `number` is what the index will call it."""
        self.number = number
        self.documents, self.text_bytes = 0, 0
        self.bytes_read = 0
        """Uncompressed bytes of the finished frames."""
        self._file = path.open("wb")
        self._offset = 0
        self._frame: list[bytes] = []
        self._frame_bytes = 0
        self._rows: list[tuple[bytes, int, int, int, int]] = []
        self._finished: list[NDArray[np.void]] = []
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)

    @property
    def between_frames(self) -> bool:
        """Whether everything that was added is in a finished frame."""
        return not self._frame

    def add(self, document: Document) -> None:
        """Append one document."""
        meta = {"id": document.id, **document.meta}
        line = orjson.dumps({"text": document.text, "meta": meta}, option=orjson.OPT_APPEND_NEWLINE)
        self._rows.append((document.id.encode(), self.number, self._offset, self._frame_bytes, len(line)))
        self._frame.append(line)
        self._frame_bytes += len(line)
        self.documents += 1
        self.text_bytes += len(document.text.encode())
        if self._frame_bytes >= FRAME_BYTES:
            self._end_frame()

    def _end_frame(self) -> None:
        if self._frame:
            self._offset += self._file.write(self._compressor.compress(b"".join(self._frame)))
            self.bytes_read += self._frame_bytes
            self._finished.append(np.array(self._rows, dtype=ROW))
        self._frame, self._frame_bytes, self._rows = [], 0, []

    def rows(self) -> NDArray[np.void]:
        """Where each document lies, shape (documents,) of `ROW`; call it after `close`."""
        return np.concatenate([np.empty(0, dtype=ROW), *self._finished])

    def close(self) -> None:
        """Finish the last frame, and see that the bytes are on the disk."""
        self._end_frame()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, because what was to be written failed."""
        self._file.close()


class CorpusWriter:
    """Writes documents into a folder of shards, in the order they are added; use it in a `with` block."""

    def __init__(self, folder: Path, name: str, shard_bytes: int = SHARD_BYTES) -> None:
        """Start an empty corpus part in `folder`; `name` becomes part of the file names."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.shard_bytes = folder, name, shard_bytes
        self.documents, self.text_bytes = 0, 0
        self._rows: list[NDArray[np.void]] = []
        self._shard = self._new_shard(0)

    def _new_shard(self, number: int) -> ShardWriter:
        return ShardWriter(self.folder / shard_name(number, self.name), number)

    def add(self, document: Document) -> None:
        """Append one document."""
        if self._shard.bytes_read >= self.shard_bytes and self._shard.between_frames:
            self._end_shard()
            self._shard = self._new_shard(self._shard.number + 1)
        before = self._shard.text_bytes
        self._shard.add(document)
        self.documents += 1
        self.text_bytes += self._shard.text_bytes - before

    def _end_shard(self) -> None:
        self._shard.close()
        self._rows.append(self._shard.rows())

    def __enter__(self) -> "CorpusWriter":
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the last frame and write the index, unless the block failed."""
        if kind is not None:
            self._shard.abandon()
            return
        self._end_shard()
        write_index(self.folder, self._rows)


def write_index(folder: Path, shards: Iterable[NDArray[np.void]]) -> NDArray[np.uint32]:
    """Write `documents.npy` and `by_id.npy` from the rows of each shard, in order; memory does not grow with them.

    Returns:
        Numbers of the documents whose id an earlier document has, increasing; shape (repeats,).
    """
    part = folder / ".documents"
    with part.open("wb") as file:
        for rows in shards:
            file.write(rows.data)
    rows = np.memmap(part, dtype=ROW, mode="r") if part.stat().st_size else np.empty(0, dtype=ROW)
    save_array(folder / "documents.npy", rows)
    part.unlink()
    repeats = [np.empty(0, dtype=np.uint32)]
    with (folder / "by_id.npy").open("wb") as file:
        _write_header(file, np.empty(0, dtype=np.uint32), (len(rows),))
        for numbers in _in_order_of_id(rows):
            file.write(numbers.data)
            ids = rows["id"][numbers]
            repeats.append(numbers[1:][ids[1:] == ids[:-1]])
    return np.sort(np.concatenate(repeats))


def _in_order_of_id(rows: NDArray[np.void]) -> Iterator[NDArray[np.uint32]]:
    """Numbers of the documents by id, equal ids by number; in pieces that hold about `SORTED_AT_ONCE` each.

    Ids are hashes, so those that begin with the same digits are about as many as any others.
    """
    pieces = -(-len(rows) // SORTED_AT_ONCE)
    bounds = [f"{256 * piece // pieces:02x}".encode() for piece in range(1, min(pieces, 256))]
    for low, high in zip([b"", *bounds], [*bounds, b"g"], strict=True):
        found = [np.empty(0, dtype=np.uint32)]
        for start in range(0, len(rows), SORTED_AT_ONCE):
            ids = rows["id"][start : start + SORTED_AT_ONCE]
            found.append((np.flatnonzero((ids >= low) & (ids < high)) + start).astype(np.uint32))
        numbers = np.concatenate(found)
        yield numbers[np.argsort(rows["id"][numbers], kind="stable")]


def shard_name(number: int, name: str) -> str:
    """File name in lm_dataformat's pattern; the time is always 0, so that equal corpora have equal bytes."""
    return f"data_{number}_time0_{name}.jsonl.zst"


class Corpus:
    """An immutable corpus: iterate it, count it, fetch one document by id."""

    def __init__(self, path: Path, part: str, manifest: Manifest) -> None:
        """Use `Corpus.open`."""
        self.path, self.part, self.manifest = path, part, manifest
        self.folder = path / part
        self._rows: NDArray[np.void] = np.load(self.folder / "documents.npy", mmap_mode="r")
        self._by_id: NDArray[np.uint32] = np.load(self.folder / "by_id.npy", mmap_mode="r")
        shards = self.folder.glob("data_*.jsonl.zst")
        self.shards = sorted(shards, key=lambda p: int(p.name.split("_")[1]))

    @staticmethod
    def open(path: Path, part: str = ".") -> "Corpus":
        """Open the corpus artifact at `path`; a mixed corpus has the parts `train` and `validation`.

        Raises:
            UsageError: `path` is no corpus or has no such part.
        """
        manifest = read_manifest_of(path, "corpus", "a corpus made by `libertas gather` or `mix`")
        if not (path / part / "documents.npy").exists():
            parts = sorted(p.parent.name for p in path.glob("*/documents.npy")) or ["."]
            raise UsageError(f"{path} has no part {part!r}; it has {', '.join(parts)}")
        return Corpus(path, part, manifest)

    def __len__(self) -> int:
        """Number of documents."""
        return len(self._rows)

    def ids(self) -> list[str]:
        """All document ids in corpus order."""
        return [i.decode() for i in self._rows["id"]]

    def __iter__(self) -> Iterator[Document]:
        """Documents in corpus order, streamed.

        Raises:
            BrokenLineage: a shard is damaged, or holds fewer or more documents than the index says.
        """
        read = 0
        try:
            for document in self._stream():
                read += 1
                yield document
        except zstandard.ZstdError as error:
            raise BrokenLineage(f"{self.folder} is damaged ({error}); run `libertas verify {self.path}`") from error
        if read != len(self):
            raise BrokenLineage(f"{self.folder} gave {read:,} documents, expected {len(self):,}; run `libertas verify`")

    def _stream(self) -> Iterator[Document]:
        for shard in self.shards:
            yield from read_shard(shard)

    def document(self, number: int) -> Document:
        """The document with this number in corpus order; one frame is decompressed."""
        row = self._rows[number]
        with self.shards[row["shard"]].open("rb") as file:
            file.seek(int(row["frame"]))
            try:
                with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as stream:
                    frame = stream.read(int(row["line"]) + int(row["bytes"]))
            except zstandard.ZstdError as error:
                raise BrokenLineage(f"{file.name} is damaged ({error}); run `libertas verify {self.path}`") from error
        return _parse(frame[row["line"] :])

    def ids_in_order(self, ranges: int) -> Iterator[NDArray[np.bytes_]]:
        """All ids in increasing order, in as many arrays; the n-th array of any corpus holds ids of the same range."""
        ids, by_id = self._rows["id"], self._by_id
        bounds = [f"{256 * n // ranges:02x}".encode() for n in range(1, ranges)]
        cuts = [bisect_left(range(len(by_id)), b, key=lambda rank: bytes(ids[by_id[rank]])) for b in bounds]
        for first, last in pairwise([0, *cuts, len(by_id)]):
            yield ids[by_id[first:last]]

    def pieces(self, shard: int) -> list[Piece]:
        """One shard in pieces of about `PIECE_BYTES`, in order; empty for a shard without documents."""
        first, last = np.searchsorted(self._rows["shard"], [shard, shard + 1])
        rows = self._rows[first:last]
        starts = np.flatnonzero(np.diff(rows["frame"].astype(np.int64), prepend=-1))  # first document of each frame
        before = np.cumsum(rows["bytes"], dtype=np.int64) - rows["bytes"]
        cuts = starts[np.flatnonzero(np.diff(before[starts] // PIECE_BYTES, prepend=-1))]
        path = self.shards[shard]
        offsets = [*rows["frame"][cuts].tolist(), path.stat().st_size]
        numbers = [*cuts.tolist(), len(rows)]
        return [
            Piece(path, offsets[i], offsets[i + 1], int(first) + numbers[i], numbers[i + 1] - numbers[i])
            for i in range(len(cuts))
        ]

    def numbers_of(self, document_id: str) -> list[int]:
        """Where a document stands in corpus order: once, more often where a mixture repeats it, or nowhere.

        Two binary searches over the ids.
        """
        ids, by_id, wanted = self._rows["id"], self._by_id, document_id.encode()
        first = bisect_left(range(len(by_id)), wanted, key=lambda rank: bytes(ids[by_id[rank]]))
        last = bisect_right(range(len(by_id)), wanted, lo=first, key=lambda rank: bytes(ids[by_id[rank]]))
        return sorted(int(number) for number in by_id[first:last])

    def fetch(self, document_id: str) -> Document:
        """The document with this id.

        Raises:
            UsageError: no document has it.
        """
        numbers = self.numbers_of(document_id)
        if not numbers:
            raise UsageError(f"{self.folder} has no document {document_id}; ids have 32 hexadecimal digits")
        return self.document(numbers[0])


def read_shard(path: Path) -> Iterator[Document]:
    """The documents of one shard file, streamed.

    Raises:
        ZstdError: the file is damaged.
    """
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream,
    ):
        rest = b""
        while block := stream.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            yield from map(_parse, lines)


def _parse(line: bytes) -> Document:
    try:
        record: dict[str, Any] = orjson.loads(line)
        meta = record["meta"]
        return Document(id=meta.pop("id"), text=record["text"], meta=meta)
    except (orjson.JSONDecodeError, KeyError) as error:
        raise BrokenLineage(f"a corpus line cannot be read ({error}): {line[:80]!r}; run `libertas verify`") from error


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a `.npy` file; unlike `numpy.save`, a full disk is said to be one."""
    with path.open("wb") as file:
        _write_header(file, array, array.shape)
        if array.size:
            file.write(np.ascontiguousarray(array).view(np.uint8).data)


def _write_header(file: BinaryIO, like: NDArray[Any], shape: tuple[int, ...]) -> None:
    header = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
