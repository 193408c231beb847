"""Compressed members of an archive: where each lies on disk, what it expands to, and what is wrong with it.

gzip (RFC 1952), Zstandard (RFC 8878; archives of it: IIPC, "Zstandard Compression for WARC Files 1.0") and LZ4 frames
(LZ4 frame format 1.6.4). The last two say how long each of their blocks is; the end of a gzip member shows only when it
is expanded. After damage, reading goes on where the next member begins that holds a record. Nothing expands to more
than it is asked for.
"""

import io
import mmap
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard
from fastwarc.stream_io import Lz4Reader

from libertas.document import Drop

READ_BYTES = 1 << 20
FIRST_BYTES = 1 << 14
"""A member is first read this far; most end there."""
MEMBER_BYTES = 1 << 28
"""A compressed member may expand to this much: 256 MiB; archives have one record in each."""
WASTED_BYTES = 1 << 27
"""Damage may make us expand this much of a file a second time: 128 MiB; after that, once is enough."""
HEAD_BYTES = 1 << 9
"""So much of a member tells whether a record begins there."""
BLOCK_BYTES = 1 << 17
"""Most in a block of a Zstandard frame (RFC 8878, 3.1.1.2.4): 128 KiB; LZ4 frames of archives have half of it."""

GZIP, ZSTD, LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
DICTIONARY = b"\x5d\x2a\x4d\x18"
"""Magic number of the skippable frame that holds the dictionary of a `.warc.zst` file."""
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""Frames that hold no data, in both formats (RFC 8878, 3.1.2): their length follows in 4 bytes, little-endian."""
PADDING = b"\0\r\n"
"""Bytes that may stand between records and mean nothing."""
DICTIONARY_BYTES = 1 << 26
"""A dictionary expands to no more than this: 64 MiB."""

Archive = bytes | mmap.mmap
"""An archive: a mapped file, or a piece of one."""


@dataclass(frozen=True, slots=True)
class Member:
    """One compressed member, or bytes that are none."""

    offset: int
    length: int
    """Bytes on disk; with a drop, as far as it is sound."""
    data: bytes
    """What it expands to; with a drop, what can be had of it."""
    drop: Drop | None = None


def magic_of(data: Archive, start: int = 0) -> bytes:
    """Magic number of the compression that begins at a place, or empty bytes."""
    head = data[start : start + 4]
    if head == DICTIONARY:
        return ZSTD
    return next((magic for magic in (GZIP, ZSTD, LZ4) if head.startswith(magic)), b"")


def dictionary_of(data: Archive) -> bytes:
    """The dictionary at the start of a Zstandard archive, or empty bytes; it may be compressed itself."""
    if data[:4] != DICTIONARY:
        return b""
    content = data[8 : 8 + min(int.from_bytes(data[4:8], "little"), DICTIONARY_BYTES)]
    if content[:4] != ZSTD:
        return content
    try:
        return zstandard.ZstdDecompressor().stream_reader(content).read(DICTIONARY_BYTES)
    except zstandard.ZstdError:
        return b""


def members(
    data: Archive, start: int, end: int, magic: bytes, dictionary: bytes, begins: Callable[[bytes], bool]
) -> Iterator[Member]:
    """Compressed members between two places; bytes that belong to none come with a drop.

    Args:
        data: the archive.
        start: where the first member begins.
        end: where the last one ends.
        magic: `GZIP`, `ZSTD` or `LZ4`.
        dictionary: for Zstandard, or empty.
        begins: whether a record begins with these bytes; after damage, reading goes on where one does.
    """
    expand = _Expander(magic, dictionary)
    offset, wasted = start, 0
    while offset < end:
        skip = _padding(data, offset, end, magic)
        if skip:
            offset += skip
            continue
        if data[offset : min(end, offset + len(magic))] != magic:
            after = expand.next_member(data, offset + 1, end, begins)
            torn = after == end and magic.startswith(data[offset:end])
            reason, value = ("truncated record", 0) if torn else ("not a WARC record", after - offset)
            yield Member(offset, after - offset, b"", Drop("warc", reason, value))
            offset = after
            continue
        member = expand.member(data, offset, end)
        if member.drop is not None:
            wasted += member.length + len(member.data)
            again = offset + (1 if wasted < WASTED_BYTES else max(1, member.length))
            del member  # it may be large, and is read anew
            member = _torn(expand, data, offset, expand.next_member(data, again, end, begins))
        yield member
        offset += member.length


def _torn(expand: "_Expander", data: Archive, offset: int, after: int) -> Member:
    """A damaged member up to where the next one begins: what a reader finds in it who is given no more than that."""
    member = expand.member(data, offset, after)
    drop = member.drop or Drop("warc", "damaged compression", member.length)
    if drop.reason == "truncated record" and after < len(data):
        drop = Drop("warc", "damaged compression", drop.value)  # it did not end: its bytes are not to be trusted
    return Member(offset, after - offset, member.data, drop)


def _padding(data: Archive, offset: int, end: int, magic: bytes) -> int:
    """Length of what means nothing at a place: zeros, line ends, and whole frames without data."""
    if data[offset : offset + 1] in (b"\0", b"\r", b"\n"):
        block = data[offset : min(end, offset + READ_BYTES)]
        return len(block) - len(block.lstrip(PADDING))
    if magic != GZIP and SKIPPABLE.match(data[offset : offset + 4]):
        after = offset + 8 + int.from_bytes(data[offset + 4 : offset + 8], "little")
        follows = data[after : after + 4]
        if after == end or (after < end and (follows == magic or SKIPPABLE.match(follows))):
            return after - offset
    return 0


def next_member(data: Archive, start: int, end: int, magic: bytes, begins: Callable[[bytes], bool]) -> int:
    """Where the next compressed member that holds a record begins, or `end`."""
    return _Expander(magic, b"").next_member(data, start, end, begins)


class _Expander:
    """What it takes to expand the members of one archive."""

    def __init__(self, magic: bytes, dictionary: bytes) -> None:
        self.magic = magic
        self.zstd = zstandard.ZstdDecompressor(
            dict_data=zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        )

    def member(self, data: Archive, offset: int, end: int) -> Member:
        """The member at a place."""
        if self.magic == GZIP:
            return _gzip_member(data, offset, end, MEMBER_BYTES)
        length, problem = (zstd_length if self.magic == ZSTD else _lz4_length)(data, offset, end)
        whole = problem == ""
        parts, size = [], 0
        try:
            for block in self._blocks(data[offset : offset + min(length, MEMBER_BYTES)]):
                parts.append(block)
                size += len(block)
                if size > MEMBER_BYTES:
                    problem = "member too large"
                    break
        except (OSError, zstandard.ZstdError) as error:
            value: str | int = str(error) if whole else size
            return Member(offset, length, b"".join(parts), Drop("warc", problem or "damaged compression", value))
        return Member(offset, length, b"".join(parts), Drop("warc", problem, size) if problem else None)

    def _blocks(self, frame: bytes) -> Iterator[bytes]:
        reader = self.zstd.stream_reader(frame) if self.magic == ZSTD else Lz4Reader(io.BytesIO(frame))
        while block := reader.read(READ_BYTES):
            yield block

    def next_member(self, data: Archive, start: int, end: int, begins: Callable[[bytes], bool]) -> int:
        """Where the next member that holds a record begins, or the end."""
        while (start := data.find(self.magic, start, end)) >= 0:
            if begins(self._head(data, start, end)):
                return start
            start += 1
        return end

    def _head(self, data: Archive, start: int, end: int) -> bytes:
        """The first bytes of the member at a place, or empty bytes where there is none."""
        if self.magic == GZIP:
            return _gzip_member(data, start, min(end, start + HEAD_BYTES), HEAD_BYTES).data
        frame = data[start : min(end, start + BLOCK_BYTES + 64)]
        reader = self.zstd.stream_reader(frame) if self.magic == ZSTD else Lz4Reader(io.BytesIO(frame))
        head = b""
        try:
            while len(head) < HEAD_BYTES and (part := reader.read(HEAD_BYTES // 8)):
                head += part
        except (OSError, zstandard.ZstdError):
            pass  # what it gave before is enough, or not
        return head


def _gzip_member(data: Archive, offset: int, end: int, most_bytes: int) -> Member:
    """The gzip member at a place; with `most_bytes` or more in it, it is too large."""
    expander, at, size = zlib.decompressobj(31), offset, 0
    parts: list[bytes] = []
    while not expander.eof:
        block = data[at : min(end, at + (READ_BYTES if parts else FIRST_BYTES))]
        if not block:
            return Member(offset, at - offset, b"".join(parts), Drop("warc", "truncated record", size))
        at += len(block)
        while block and not expander.eof:
            try:
                parts.append(expander.decompress(block, most_bytes + 1 - size))
            except zlib.error as error:
                if not parts and at - offset > HEAD_BYTES:  # what it was can often still be told
                    parts = [_gzip_member(data, offset, offset + HEAD_BYTES, HEAD_BYTES).data]
                sound = at - offset - len(block)
                return Member(offset, sound, b"".join(parts), Drop("warc", "damaged compression", str(error)))
            size += len(parts[-1])
            if size > most_bytes:
                sound = at - offset - len(expander.unconsumed_tail)
                return Member(offset, sound, b"".join(parts), Drop("warc", "member too large", size))
            block = expander.unconsumed_tail
    return Member(offset, at - offset - len(expander.unused_data), b"".join(parts))


def zstd_length(data: Archive, offset: int, end: int) -> tuple[int, str]:
    """Length on disk of the Zstandard frame at a place (RFC 8878, 3.1.1), and why it is not whole."""
    descriptor = data[offset + 4] if offset + 4 < end else 0
    if descriptor & 8:
        return min(4, end - offset), "damaged compression"  # a bit that must be 0
    single = descriptor >> 5 & 1
    content_size = (single, 2, 4, 8)[descriptor >> 6]
    at = offset + 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content_size
    expanded = 0
    while at + 3 <= end:
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            return at - offset, "damaged compression"
        at += 3 + (1 if kind == 1 else size)
        expanded += 0 if kind == 2 else size
        if last:
            at += 4 if descriptor & 4 else 0
            return (at - offset, "") if at <= end else (end - offset, "truncated record")
        if expanded > MEMBER_BYTES:
            return min(at, end) - offset, "member too large"
    return end - offset, "truncated record"


def _lz4_length(data: Archive, offset: int, end: int) -> tuple[int, str]:
    """Length on disk of the LZ4 frame at a place, and why it is not whole."""
    flags = data[offset + 4] if offset + 4 < end else 0x40
    if flags >> 6 != 1:
        return min(4, end - offset), "damaged compression"  # the only version there is
    at = offset + 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    while at + 4 <= end:
        size = int.from_bytes(data[at : at + 4], "little") & 0x7FFFFFFF
        at += 4
        if size == 0:
            at += 4 if flags & 4 else 0
            return (at - offset, "") if at <= end else (end - offset, "truncated record")
        if size > 1 << 22:
            return at - offset, "damaged compression"  # blocks have 4 MiB at most
        at += size + (4 if flags & 16 else 0)
    return end - offset, "truncated record"
