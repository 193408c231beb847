"""Zstandard files that can be sought, read in parts, and saved when they are damaged.

A file is a row of frames with checksums (RFC 8878), each compressed on its own. Two skippable frames end it, which
other readers pass over: how many documents each frame holds, and a seek table (Zstandard Seekable Format 0.1.0). The
checksum of a frame, in the table as in the frame, is the lower half of the XXH64 hash of what it expands to.
"""

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import local
from typing import BinaryIO

import numpy as np
import zstandard
from numpy.typing import NDArray

COMPRESSION_LEVEL = 3
THREADS = min(4, len(os.sched_getaffinity(0)))
"""Threads that compress; the bytes do not depend on it."""
AHEAD = 2 * THREADS
"""Frames of a file that are compressed or wait for it, in memory."""

MAGIC = (0xFD2FB528).to_bytes(4, "little")
DOCUMENTS_MAGIC = (0x184D2A5D).to_bytes(4, "little")
SEEK_TABLE_MAGIC = (0x184D2A5E).to_bytes(4, "little")
SEEKABLE = (0x8F92EAB1).to_bytes(4, "little")
"""The last bytes of a file with a seek table."""
COUNTS = b"documents in each frame\0"
"""How our own skippable frame begins; a little-endian 32-bit number for each frame follows."""
CHECKSUMS = 0x80
"""Descriptor of a seek table whose entries have checksums; all its other bits mean nothing, or a later version."""
EMPTY_CHECKSUM = 0x51D8E999
"""Of a frame that expands to nothing: lower half of XXH64 of no bytes."""
ENTRY = np.dtype([("compressed", "<u4"), ("bytes", "<u4"), ("checksum", "<u4")])
FOOTER_BYTES = 9
HELD_BYTES = 4 << 20
"""What a frame expands to is held back until its checksum was found right, up to this size: 4 MiB."""
BLOCK_BYTES = 1 << 17
"""Most in a block of a frame (RFC 8878, 3.1.1.2.4): 128 KiB."""
SEARCH_BYTES = 1 << 20
WASTED_BYTES = 1 << 27
"""Damage may make us read this much of a file a second time: 128 MiB; after that, once is enough."""

Frame = bytes | memoryview
"""What a frame expands to."""
TURN_SECONDS = 0.0005
"""After which a thread that waits for the interpreter is let in, while a corpus is read."""

_of_thread = local()
_usual_turn, _quick = sys.getswitchinterval(), 0


@cache
def zstd_threads() -> ThreadPoolExecutor:
    """Threads that compress and expand while Python does something else."""
    return ThreadPoolExecutor(THREADS, "zstd")


os.register_at_fork(after_in_child=zstd_threads.cache_clear)  # threads do not live on in a child


def _compressed(data: bytes) -> bytes:
    if not hasattr(_of_thread, "compressor"):
        _of_thread.compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    compressed: bytes = _of_thread.compressor.compress(data)
    return compressed


@contextmanager
def quick_turns() -> Iterator[None]:
    """Let threads hand the interpreter over after half a millisecond instead of five.

    A thread that has expanded a piece needs the interpreter for a moment, and waits for whoever parses the one before;
    at the usual interval expanding and parsing hardly overlap (750 MB/s instead of 1,000 on two cores).
    """
    global _quick
    _quick += 1
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        _quick -= 1
        if not _quick:
            sys.setswitchinterval(_usual_turn)


LARGEST_FRAME = 1 << 31
"""More than a frame of a corpus expands to."""


def frame_by_frame(data: bytes, bounds: Sequence[int]) -> Iterator[Frame]:
    """What each of some neighbouring frames expands to, one in memory at a time.

    Args:
        data: the frames.
        bounds: where each begins in `data`, and where the last one ends, or later.

    Raises:
        ZstdError: a frame is damaged, or not whole.
    """
    view, expander = memoryview(data), zstandard.ZstdDecompressor()
    for start, end in pairwise(bounds):
        _require_believable(view[start:end])
        yield expander.decompress(view[start:end])


def _require_believable(frame: memoryview) -> None:
    """Refuse a frame whose damaged head would have all memory taken for what it says it holds."""
    size = zstandard.frame_content_size(frame)
    if size > LARGEST_FRAME:
        raise zstandard.ZstdError(f"its head claims {size:,} bytes")


def frames_at_once(data: bytes, bounds: Sequence[int]) -> Iterator[Frame]:
    """As `frame_by_frame`, all in one go in which other threads may run."""
    if bounds[-2] >= len(data):
        raise zstandard.ZstdError("it was cut off")
    for start, end in pairwise(bounds):
        _require_believable(memoryview(data)[start:end])
    segments = np.array([(start, min(end, len(data)) - start) for start, end in pairwise(bounds)], "<u8")
    buffers = zstandard.BufferWithSegments(data, segments.tobytes())
    found = zstandard.ZstdDecompressor().multi_decompress_to_buffer(buffers, threads=1)
    for place in range(len(found)):
        yield memoryview(found[place])  # type: ignore[arg-type]  # it is a buffer; its stub does not say so


class FrameWriter:
    """Writes frames in order while threads compress those that follow; `finish` it, or `abandon` it."""

    def __init__(self, path: Path) -> None:
        """Start an empty file."""
        self._file = path.open("wb")
        self._turns = ExitStack()
        self._turns.enter_context(quick_turns())
        self._waiting: deque[tuple[Future[bytes], int]] = deque()
        self._entries: list[tuple[int, int, int]] = []
        self._documents: list[int] = []

    def add(self, data: bytes, documents: int) -> None:
        """Append one frame that expands to `data`, not empty, with so many documents."""
        self._waiting.append((zstd_threads().submit(_compressed, data), len(data)))
        self._documents.append(documents)
        if len(self._waiting) >= AHEAD:
            self._write_first()

    def _write_first(self) -> None:
        future, size = self._waiting.popleft()
        frame = future.result()
        self._file.write(frame)
        self._entries.append((len(frame), size, int.from_bytes(frame[-4:], "little")))

    def finish(self) -> NDArray[np.int64]:
        """Write what is left and the tables, and see that the bytes are on the disk.

        Returns:
            Where each frame begins, in bytes of the file.
        """
        while self._waiting:
            self._write_first()
        counts = COUNTS + np.array(self._documents, "<u4").tobytes()
        self._file.write(_skippable(DOCUMENTS_MAGIC, counts))
        entries = np.array([*self._entries, (8 + len(counts), 0, EMPTY_CHECKSUM)], ENTRY)
        footer = len(entries).to_bytes(4, "little") + bytes([CHECKSUMS]) + SEEKABLE
        self._file.write(_skippable(SEEK_TABLE_MAGIC, entries.tobytes() + footer))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.abandon()
        return _starts(entries["compressed"])[:-2]

    def abandon(self) -> None:
        """Close the file as it is."""
        self._turns.close()
        self._file.close()


def _skippable(magic: bytes, content: bytes) -> bytes:
    return magic + len(content).to_bytes(4, "little") + content


def _starts(sizes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Where each of some neighbours begins, and where the last one ends; shape (n + 1,)."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


@dataclass(frozen=True)
class SeekTable:
    """Where the frames of a file lie; those that expand to nothing are left out."""

    starts: NDArray[np.int64]
    """Offsets of the frames, and where the last one ends; shape (frames + 1,)."""
    sizes: NDArray[np.int64]
    """Bytes each frame expands to."""
    documents: NDArray[np.int64] | None
    """Documents in each frame, or None in a file of other makers, whose frames may end within a line."""


def read_seek_table(path: Path) -> SeekTable | None:
    """The table at the end of a file, or None where there is none that fits the file."""
    with path.open("rb") as file:
        return _seek_table(file)


def _seek_table(file: BinaryIO) -> SeekTable | None:
    end = file.seek(0, os.SEEK_END)
    footer = _bytes_at(file, end - FOOTER_BYTES, FOOTER_BYTES)
    if footer[5:] != SEEKABLE or footer[4] & 0x7C:
        return None
    width = 12 if footer[4] & CHECKSUMS else 8
    count = int.from_bytes(footer[:4], "little")
    length = count * width + FOOTER_BYTES
    begin = end - length - 8
    if _bytes_at(file, begin, 8) != SEEK_TABLE_MAGIC + length.to_bytes(4, "little"):
        return None
    table = np.frombuffer(_bytes_at(file, begin + 8, count * width), "<u4").reshape(count, width // 4)
    starts, sizes = _starts(table[:, 0]), table[:, 1].astype(np.int64)
    full = np.flatnonzero(sizes)
    last = int(full[-1]) + 1 if len(full) else 0
    if starts[-1] != begin or last != len(full):
        return None  # it speaks of another file, or something lies between the frames
    content = _bytes_at(file, int(starts[last]), begin - int(starts[last]))
    return SeekTable(starts[: last + 1], sizes[:last], _counts(content, last))


def _counts(content: bytes, frames: int) -> NDArray[np.int64] | None:
    """Documents in each frame, from what lies between the last of them and the seek table."""
    expected = len(COUNTS) + 4 * frames
    head = DOCUMENTS_MAGIC + expected.to_bytes(4, "little") + COUNTS
    if len(content) != 8 + expected or not content.startswith(head):
        return None
    return np.frombuffer(content, "<u4", offset=len(head)).astype(np.int64)


def _bytes_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes of a file, or as many zeros where it does not have them."""
    if offset < 0:
        return bytes(length)
    file.seek(offset)
    return file.read(length)


@dataclass(frozen=True, slots=True)
class Gap:
    """A place in a file that cannot be read."""

    offset: int
    """Where the frame begins, in bytes of the compressed file."""
    reason: str
    documents: int = 1
    """How many were there, if the file says so; a gap counts for one where nobody knows."""


CUT_OFF, DAMAGED = "compressed data is cut off", "compressed data is damaged"


class _CutOff(Exception):
    """The file ends within a frame."""


def zstd_blocks(file: BinaryIO) -> Iterator[bytes | Gap]:
    """What a file of frames expands to, in order, with a `Gap` for each frame that cannot be read to its end.

    Of a frame that is cut off comes what there is. A damaged frame is passed over, unless more than `HELD_BYTES` of it
    came before the damage; reading goes on where the next frame begins. No more than one frame is in memory.
    """
    wasted = 0
    while head := file.read(4):
        start = file.tell() - len(head)
        held: list[bytes] = []
        size = 0
        try:
            expander = zstandard.ZstdDecompressor().decompressobj()
            for part in _frame_parts(file, head):
                if block := expander.decompress(part):
                    held.append(block)
                    size += len(block)
                if size > HELD_BYTES:
                    yield from held
                    held.clear()
            yield from held
        except _CutOff:
            yield from held
            yield Gap(start, CUT_OFF)
        except zstandard.ZstdError:
            reached = file.tell()
            yield Gap(start, DAMAGED, _documents_at(file, start))
            wasted += reached - start
            if file.seekable():
                file.seek(start + 1 if wasted < WASTED_BYTES else reached)
            _find_frame(file)


def _documents_at(file: BinaryIO, start: int) -> int:
    """Documents in the frame that begins at a place, by the tables at the end; 1 where they do not tell."""
    table = _seek_table(file) if file.seekable() else None
    if table is None or table.documents is None or start not in table.starts[:-1]:
        return 1
    return int(table.documents[np.searchsorted(table.starts, start)])


def _frame_parts(file: BinaryIO, magic: bytes) -> Iterator[bytes]:
    """The frame whose first four bytes were read: its header, each of its blocks, its checksum; nothing if skippable.

    Raises:
        _CutOff: the file ends before the frame does.
        ZstdError: it is no frame.
    """
    if magic[1:] == SEEK_TABLE_MAGIC[1:] and magic[0] >> 4 == 5:
        left = int.from_bytes(file.read(4), "little")
        while left and (passed := len(file.read(min(left, SEARCH_BYTES)))):  # if it is cut off, no text is
            left -= passed
        return
    if magic != MAGIC:
        if MAGIC.startswith(magic):
            raise _CutOff
        raise zstandard.ZstdError("not a frame")
    flags = _exactly(file, 1)[0]
    single_segment = flags >> 5 & 1
    rest = 1 - single_segment + (0, 1, 2, 4)[flags & 3] + (single_segment, 2, 4, 8)[flags >> 6]
    yield magic + bytes([flags]) + _exactly(file, rest)
    last = 0
    while not last:
        header = _exactly(file, 3)
        word = int.from_bytes(header, "little")
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        if kind == 3 or (kind != 1 and size > BLOCK_BYTES):
            raise zstandard.ZstdError("not a block")
        yield header + _exactly(file, 1 if kind == 1 else size)
    if flags & 4:
        yield _exactly(file, 4)


def _exactly(file: BinaryIO, length: int) -> bytes:
    parts = []
    while length:
        part = file.read(min(length, SEARCH_BYTES))
        if not part:
            raise _CutOff
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _find_frame(file: BinaryIO) -> None:
    """Go to where the next frame begins, or to the end."""
    tail = b""
    while block := file.read(SEARCH_BYTES):
        found = (tail + block).find(MAGIC)
        if found >= 0 and file.seekable():
            file.seek(found - len(tail) - len(block), os.SEEK_CUR)
            return
        tail = (tail + block)[-3:]
