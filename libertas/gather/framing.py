"""Where each record of an archive begins and ends on disk, and what is wrong with the bytes that are none.

A reader has to account for every byte: each belongs to a frame with a record, to a frame with the reason why there is
none, or is padding. Plain archives and compressed ones (`compression.py`) are read, WARC and ARC; members may hold one
record, as they should, or many. After damage, reading goes on at the next place where a record begins.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libertas.document import Drop
from libertas.errors import UsageError
from libertas.gather import arc
from libertas.gather.arc import LINE_BYTES
from libertas.gather.compression import (
    GZIP,
    LZ4,
    PADDING,
    ZSTD,
    Archive,
    Member,
    dictionary_of,
    magic_of,
    members,
    next_member,
)

RECORD_BYTES = 1 << 27
"""A record may have this many bytes as it lies, its payload still coded: 128 MiB."""
HEADER_BYTES = 1 << 16
"""The headers of a WARC record fit in this: 64 KiB."""
FOREIGN_BYTES = 1 << 24
"""So far we look for a record in a file that does not begin with one: 16 MiB."""
FORGET_BYTES = 1 << 26
"""After this many bytes of a plain archive, the pages behind us are given back: 64 MiB."""

NEXT_RECORD = re.compile(rb"(WARC/[01]\.\d{1,3}\r?\n)(?=[A-Za-z][A-Za-z-]{1,40}:)")
"""A version line with a header behind it, wherever it stands: what is torn off before it may lack its line end."""
LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r?\n", re.IGNORECASE)
BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of one record: where they lie on disk, and the bytes themselves."""

    offset: int
    length: int
    data: bytes
    """Header and block; with a drop, the beginning at least."""
    drop: Drop | None = None
    """Why this is no record."""
    doubt: Drop | None = None
    """What is wrong with the member around it: the record may be whole, if it can show it by a digest of its own."""


def frames(path: Path) -> Iterator[Frame]:
    """Every frame of an archive in file order.

    Raises:
        UsageError: the file is missing, empty, or not an archive.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected a WARC file; check the path")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty (0 bytes); expected a WARC file; fetch it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start, magic = _first_record(data)
        if start < 0:
            raise UsageError(
                f"{path} begins with {data[:20]!r}; expected 'WARC/1.0', 'WARC/1.1' or an ARC header, compressed with "
                "gzip, zstd, LZ4 or not; name an archive"
            )
        if start > 0:
            yield Frame(0, start, data[: min(start, HEADER_BYTES)], Drop("warc", "not a WARC record", start))
        yield from frames_of(data, start, len(data), magic, dictionary_of(data))


def _first_record(data: mmap.mmap) -> tuple[int, bytes]:
    """Where the first record begins, and how the archive is compressed; (-1, b"") for a file that is no archive."""
    magic = magic_of(data)
    if magic or begins_record(data[:HEADER_BYTES].lstrip(PADDING)):
        return 0, magic
    end = min(len(data), FOREIGN_BYTES)
    found = [(next_member(data, 0, end, magic, begins_record), magic) for magic in (GZIP, ZSTD, LZ4)]
    for pattern in (NEXT_RECORD, arc.NEXT_RECORD):
        at = _next_record(data, 0, end, pattern)
        while at < end and isinstance(_sizes(data[at : at + HEADER_BYTES]), str):  # the scraps of a compressed record
            at = _next_record(data, at + 1, end, pattern)
        found.append((at, b""))
    return min((place for place in found if place[0] < end), default=(-1, b""))


def frames_of(data: Archive, start: int, end: int, magic: bytes, dictionary: bytes = b"") -> Iterator[Frame]:
    """Frames between two places of an archive, where `magic` says how it is compressed (empty: not at all)."""
    if magic:
        for member in members(data, start, end, magic, dictionary, begins_record):
            yield from _in_member(member)
        return
    kept = 0
    for at, after, drop in _split(data, start, end):
        yield Frame(at, after - at, data[at : after if drop is None else min(after, at + HEADER_BYTES)], drop)
        if after - kept > FORGET_BYTES and isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            kept = after - after % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, 0, kept)


def _in_member(member: Member) -> Iterator[Frame]:
    """What a member holds: its records, or the reason why there are none. Each frame has the member's address."""
    offset, length, data, wrong = member.offset, member.length, member.data, member.drop
    doubt = wrong if wrong is not None and wrong.reason == "damaged compression" else None
    last = None
    for start, end, drop in _split(data, 0, len(data)):
        if last is not None:
            yield last
        last = Frame(offset, length, data[start : end if drop is None else min(end, start + HEADER_BYTES)], drop, doubt)
    if wrong is not None:  # the last record is the one that it cuts short
        last = Frame(offset, length, last.data[:HEADER_BYTES] if last else b"", wrong)
    yield last or Frame(offset, length, b"", Drop("warc", "empty member", length))


def begins_record(head: bytes) -> bool:
    """Whether the header of a WARC or ARC record stands at the beginning of these bytes."""
    return head.startswith(b"WARC/") or arc.header_of(head) is not None


def _split(data: Archive, start: int, end: int) -> Iterator[tuple[int, int, Drop | None]]:
    """Records in plain bytes: start, end, and what is wrong with one."""
    pattern = None
    while start < end:
        block = data[start : min(end, start + LINE_BYTES)]
        padding = len(block) - len(block.lstrip(PADDING))
        if padding:
            start += padding
            continue
        pattern = pattern or (arc.NEXT_RECORD if arc.header_of(block) else NEXT_RECORD)
        after, drop = _end_of(data, start, end, pattern)
        if drop is None and after - start > RECORD_BYTES:
            drop = Drop("warc", "record too large", after - start)
        yield start, after, drop
        start = after


def _end_of(data: Archive, start: int, end: int, pattern: re.Pattern[bytes]) -> tuple[int, Drop | None]:
    """Where the record at `start` ends, or what is wrong with it and where to go on.

    A length is believed if a record begins behind it, or nothing comes. Otherwise it is too large if a record begins
    within; and where it is too small, what lies behind is no record, and comes next as such.
    """
    sizes = _sizes(data[start : min(end, start + HEADER_BYTES)])
    if isinstance(sizes, str):
        after = _next_record(data, start + 1, end, pattern)
        torn = sizes == "headers without end" and after == end < start + HEADER_BYTES
        return after, Drop("warc", "truncated record" if torn else sizes, after - start)
    block, after = start + sizes[0], start + sum(sizes)
    if after <= end:
        behind = data[after : min(end, after + LINE_BYTES)].lstrip(PADDING)
        if not behind or begins_record(behind):
            return after, None
    within = _next_record(data, block - 1, min(after, end), pattern)
    if within < min(after, end):
        return within, Drop("warc", "wrong Content-Length", sizes[1])
    return (after, None) if after <= end else (end, Drop("warc", "truncated record", end - block))


def _sizes(head: bytes) -> tuple[int, int] | str:
    """Bytes of a record's header and of its block, or why they cannot be told."""
    if not head.startswith(b"WARC/"):
        line = arc.header_of(head)
        return (line.size, line.length) if line else "not a WARC record"
    blank = BLANK_LINE.search(head)
    if blank is None or NEXT_RECORD.search(head, 5, blank.end()):
        return "headers without end"
    length = LENGTH.search(head, 0, blank.end())
    return (blank.end(), int(length[1])) if length else "no Content-Length"


def _next_record(data: Archive, start: int, end: int, pattern: re.Pattern[bytes]) -> int:
    """Where the next record begins, or `end`."""
    reach = min(len(data), end + LINE_BYTES)
    while (found := pattern.search(data, start, reach)) and found.start(1) < end:
        start = found.start(1)
        if begins_record(data[start : start + LINE_BYTES]):
            return start
        start += 1
    return end
