"""Where each record of an archive begins and ends on disk, and what is wrong with the bytes that are none.

Done here and not by fastwarc, because a reader has to account for every byte: fastwarc passes over torn tails in
silence and ends at the first damaged gzip member. Plain, gzip and zstd archives are read; members may hold one record,
as they should, or many.
"""

import mmap
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from libertas.document import Drop
from libertas.errors import UsageError

READ_BYTES = 1 << 20
MEMBER_BYTES = 1 << 28
"""A compressed member may expand to this much: 256 MiB; archives have one record in each."""
HEADER_BYTES = 1 << 16
"""The headers of a WARC record fit in this: 64 KiB."""

GZIP, ZSTD, LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
NEXT_RECORD = re.compile(rb"\nWARC/[01]\.\d+\r?\n")
LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d+)[ \t]*\r?\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of one record: where they lie on disk, and the bytes themselves unless the drop says why not."""

    offset: int
    length: int
    data: bytes
    drop: Drop | None = None


def frames(path: Path) -> Iterator[Frame]:
    """Every frame of an archive in file order.

    Raises:
        UsageError: the file is missing, empty, or not a WARC.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected a WARC file; check the path")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty (0 bytes); expected a WARC file; fetch it again")
    with path.open("rb") as file:
        head = file.read(1 << 10)
        file.seek(0)
        _refuse_other_formats(path, head)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from frames_of(file, data)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    if head.startswith(LZ4):
        raise UsageError(
            f"{path} is compressed with LZ4; expected gzip, zstd or no compression; "
            f"run `fastwarc recompress {path.name} OUT.warc.gz`"
        )
    plain = head
    if head.startswith(GZIP):
        try:
            plain = zlib.decompressobj(31).decompress(head, 1 << 10)
        except zlib.error as error:
            raise UsageError(
                f"{path} has no readable record: damaged gzip data at offset 0 ({error}); fetch it again"
            ) from None
    elif head.startswith(ZSTD):
        return
    if plain.startswith(b"filedesc://"):
        raise UsageError(
            f"{path} is an ARC file, which is not supported yet; expected WARC; "
            f"convert it with `warcio recompress {path.name} OUT.warc.gz`"
        )
    if plain and not plain.lstrip(b"\r\n").startswith(b"WARC/"):
        raise UsageError(f"{path} begins with {plain[:20]!r}; expected 'WARC/1.0' or 'WARC/1.1'; name a WARC file")


def frames_of(file: BinaryIO, data: "mmap.mmap | bytes") -> Iterator[Frame]:
    """Frames of an archive that is open at its start, by the compression its first bytes show."""
    magic = GZIP if data[: len(GZIP)] == GZIP else data[: len(ZSTD)]
    if magic not in (GZIP, ZSTD):
        for start, end, drop in _split(data):
            yield Frame(start, end - start, data[start : min(end, start + HEADER_BYTES) if drop else end], drop)
        return
    for offset, length, member, problem in _members(file, data, magic):
        if problem is not None:
            yield Frame(offset, length, member, problem)
            continue
        for start, end, drop in _split(member):
            yield Frame(offset, length, member[start:end], drop)


def _members(file: BinaryIO, data: "mmap.mmap | bytes", magic: bytes) -> Iterator[tuple[int, int, bytes, Drop | None]]:
    """Compressed members: offset, length on disk, decompressed bytes, and why a member is damaged."""
    offset, size = 0, len(data)
    while offset < size:
        if data[offset : offset + len(magic)] != magic:
            after = _next_member(data, offset + 1, magic)
            rest = data[offset:after]
            if magic.startswith(rest) and after == size:
                yield offset, len(rest), b"", Drop("warc", "truncated record", 0)
            elif rest.strip(b"\0\r\n"):  # padding between members is harmless
                yield offset, after - offset, b"", Drop("warc", "not a WARC record", after - offset)
            offset = after
            continue
        length, member, drop = _member(file, offset, magic)
        if drop is not None and drop.reason == "damaged compression":
            length = _next_member(data, offset + 1, magic) - offset
        yield offset, length, member, drop
        offset += length


def _next_member(data: "mmap.mmap | bytes", start: int, magic: bytes) -> int:
    """Where the next member that holds a WARC record begins, or the end of the file."""
    while (start := data.find(magic, start)) >= 0:
        try:
            head = _decompressor(magic).decompress(data[start : start + 512])
        except (zlib.error, zstandard.ZstdError):
            head = b""
        if head.startswith(b"WARC/"):
            return start
        start += 1
    return len(data)


def _decompressor(magic: bytes) -> "zlib._Decompress | zstandard.ZstdDecompressionObj":
    return zlib.decompressobj(31) if magic == GZIP else zstandard.ZstdDecompressor().decompressobj()


def _member(file: BinaryIO, offset: int, magic: bytes) -> tuple[int, bytes, Drop | None]:
    """One member: its length on disk, its bytes, and what is wrong with it."""
    file.seek(offset)
    decompressor, read, expanded = _decompressor(magic), 0, 0
    parts: list[bytes] = []
    step = 1 << 14
    while not decompressor.eof:
        block = file.read(step)
        step = READ_BYTES
        if not block:
            return read, b"".join(parts), Drop("warc", "truncated record", expanded)
        read += len(block)
        try:
            parts.append(decompressor.decompress(block))
        except (zlib.error, zstandard.ZstdError) as error:
            return read, b"", Drop("warc", "damaged compression", str(error))
        expanded += len(parts[-1])
        if expanded > MEMBER_BYTES:
            raise UsageError(
                f"a compressed member at offset {offset} expands to more than {MEMBER_BYTES >> 20} MiB; expected one "
                "record per member; rewrite the archive with `fastwarc recompress IN OUT`"
            )
    return read - len(decompressor.unused_data), b"".join(parts), None


def _split(data: "mmap.mmap | bytes") -> Iterator[tuple[int, int, Drop | None]]:
    """Records in plain bytes: start, end, and what is wrong with one."""
    start, size = 0, len(data)
    while start < size:
        if data[start : start + 1] in b"\r\n":
            start += 1
            continue
        end, drop = _end_of(data, start)
        if drop is None and end < size and data[end : end + 64].strip(b"\r\n")[:5] not in (b"WARC/", b""):
            # A Content-Length that is too small: the record goes on until the next one begins.
            end = _next_record(data, end)
        yield start, end, drop
        start = end


def _end_of(data: "mmap.mmap | bytes", start: int) -> tuple[int, Drop | None]:
    """Where the record at `start` ends, or what is wrong with it and where to go on."""
    if data[start : start + 5] != b"WARC/":
        end = _next_record(data, start)
        return end, Drop("warc", "not a WARC record", end - start)
    head = data[start : start + HEADER_BYTES]
    blank = re.search(rb"\r?\n\r?\n", head)
    if blank is None:
        end = _next_record(data, start + 5)
        return end, Drop("warc", "truncated record" if end == len(data) else "headers without end", end - start)
    length = LENGTH.search(head[: blank.end()])
    if length is None:
        end = _next_record(data, start + 5)
        return end, Drop("warc", "no Content-Length", None)
    end = start + blank.end() + int(length[1])
    if end > len(data):
        return len(data), Drop("warc", "truncated record", len(data) - start - blank.end())
    return end, None


def _next_record(data: "mmap.mmap | bytes", start: int) -> int:
    found = NEXT_RECORD.search(data, start)
    return found.start() + 1 if found else len(data)
