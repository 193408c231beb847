"""Records and archives that tests make, and the account of every byte that a reader owes."""

import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from libertas.gather import warc
from libertas.gather.warc import Lost, Record

DATE = "2026-01-31T12:00:00Z"
HTTP = "application/http; msgtype=response"
PAGE = b"<html><body><p>ten green bottles</p></body></html>"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


def response(body: bytes, uri: str = "http://a.example/", headers: str = "Content-Type: text/html") -> bytes:
    http = f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body
    return warc.written("response", uri, DATE, warc.record_id("response", uri, str(body)), HTTP, http)


def resource(body: bytes, uri: str = "urn:file:a.txt", kind: str = "text/plain") -> bytes:
    return warc.written("resource", uri, DATE, warc.record_id("resource", uri, str(body)), kind, body)


def saved(folder: Path, *members: bytes, name: str = "a.warc.gz") -> Path:
    path = folder / name
    path.write_bytes(b"".join(members))
    return path


def lz4(data: bytes) -> bytes:
    """One LZ4 frame."""
    return bytes(pa.compress(data, codec="lz4", asbytes=True))


def bodies(items: Iterable[Record | Lost]) -> list[bytes]:
    return [item.body for item in items if isinstance(item, Record)]


def lost(items: Iterable[Record | Lost]) -> list[tuple[str, int, int]]:
    """Reason, offset and length of each loss."""
    return [(item.drop.reason, item.offset, item.length) for item in items if isinstance(item, Lost)]


def place_of(item: Record | Lost) -> tuple[int, int]:
    """Where the bytes of an item begin and end."""
    if isinstance(item, Record):
        return item.ref.offset, item.ref.offset + item.ref.length
    return item.offset, item.offset + item.length


def unaccounted(data: bytes, items: Iterable[Record | Lost]) -> bytes:
    """The bytes of an archive that no item covers, without what may stand between records and means nothing."""
    left, at = bytearray(), 0
    for start, end in [*sorted(place_of(item) for item in items), (len(data), len(data))]:
        while at < start and SKIPPABLE.match(data, at):  # a frame without data (RFC 8878, 3.1.2)
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        left += data[at:start].strip(b"\0\r\n")
        at = max(at, end)
    assert at == len(data), "an item reaches behind the end of the file"
    return bytes(left)
