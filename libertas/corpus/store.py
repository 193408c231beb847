"""A corpus on disk: lm_dataformat shards, and an index to fetch one document by its id.

Shards are `data_{i}_time0_{name}.jsonl.zst` with one `{"text": …, "meta": {…}}` per line, readable by `lm_dataformat`
and `zstdcat | jq`. A shard is a row of zstd frames with checksums, about `FRAME_BYTES` of text each, so one document
is fetched by decompressing one frame. `documents.npy` tells where each document lies; `by_id.npy` is its order by id.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
import zstandard
from numpy.typing import NDArray

from libertas.corpus.index import write_index
from libertas.corpus.shard import PIECE_BYTES, Piece, ShardWriter, parse_line, shard_name
from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.manifest import Manifest, read_manifest_of

SHARD_BYTES = 1 << 30
"""Uncompressed bytes after which a new shard begins."""


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
        return Piece.read_all(piece for shard in range(len(self.shards)) for piece in self.pieces(shard))

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
        return parse_line(frame[row["line"] :])

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
        bounds = [*rows["frame"][starts].tolist(), path.stat().st_size]
        frames = [*np.searchsorted(starts, cuts).tolist(), len(starts)]
        numbers = [*cuts.tolist(), len(rows)]
        return [
            Piece(path, tuple(bounds[frames[i] : frames[i + 1] + 1]), int(first) + number, numbers[i + 1] - number)
            for i, number in enumerate(numbers[:-1])
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
