"""Web archives: read every record with the address of its bytes, read one record again, write new ones.

`framing.py` says where a record begins and ends, `http_head.py` and `coding.py` what an HTTP message holds. Formats:
WARC/1.1, IIPC 2017 (ISO 28500:2017), its forerunners down to 0.17, and ARC.
"""

import gzip
import mmap
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libertas.document import Drop, WarcRef
from libertas.errors import BrokenLineage, UsageError
from libertas.gather import arc
from libertas.gather.coding import payload
from libertas.gather.compression import dictionary_of, magic_of
from libertas.gather.digests import sha1, verdict_of
from libertas.gather.framing import BLANK_LINE, HEADER_BYTES, LENGTH, Frame, frames, frames_of
from libertas.gather.http_head import Headers, final_response, headers_of, http_head, media_type, value_of
from libertas.lineage.fingerprint import digest

RECORD_ID = re.compile(rb"\nwarc-record-id:[ \t]*<?([^>\r\n]*)", re.IGNORECASE)
TARGET_URI = re.compile(rb"\nwarc-target-uri:[ \t]*<?([^>\r\n]*)", re.IGNORECASE)
TYPES = frozenset({"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"})
"""WARC-Type: WARC/1.1, 5.5."""


@dataclass(frozen=True, slots=True)
class Record:
    """One readable record; `body` is the payload with HTTP headers, transfer and content coding taken off."""

    ref: WarcRef
    type: str
    """WARC-Type in lower case, or `unknown`; a record of an ARC file is a response."""
    uri: str
    date: str
    """WARC-Date as it stands in the record, or empty."""
    status: int | None
    """HTTP status, or None for a record that is no HTTP response."""
    content_type: str
    """Media type in lower case without parameters, or empty."""
    charset: str | None
    truncated: str | None
    """Why the payload is not whole: WARC-Truncated, or `coding` where its coding ends too early; or None."""
    body: bytes
    headers: Headers = ()
    """HTTP headers with names in lower case, in order; empty for a record that is no HTTP message."""
    digest_verdict: str | None = None
    """`sha1 ok` or `sha1 mismatch`, by WARC-Payload-Digest or else WARC-Block-Digest; None where neither can be
    checked."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it lies in the archive; nothing in its block is interpreted."""

    type: str
    uri: str
    truncated: str | None
    block: bytes
    end: int
    """Where the bytes behind it begin in the file on disk."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes of an archive that are no readable record."""

    file: str
    offset: int
    drop: Drop
    record_id: str = ""
    uri: str = ""
    length: int = 0
    """Bytes on disk; 0 where there are none to point at."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the block of a record, in WARC's words."""

    type: str
    record_id: str
    uri: str
    date: str
    content_type: str
    truncated: str | None
    payload_digest: str | None
    block_digest: str | None
    start: int
    """Where the block begins and ends in the frame's data."""
    end: int


def records(path: Path, *, complain: bool = True) -> Iterator[Record | Lost]:
    """Every record of an archive in file order; what cannot be read comes as `Lost`, so nothing is passed over.

    Raises:
        UsageError: the file is missing, empty, no archive, or (with `complain`) nothing in it can be read.
    """
    readable = False
    first: Lost | None = None
    for frame in frames(path):
        item = record_of(path.name, frame)
        readable = readable or isinstance(item, Record)
        first = first or (item if isinstance(item, Lost) else None)
        yield item
    if complain and not readable:
        reason = f"{first.drop.reason} at offset {first.offset}" if first else "no record in it"
        raise UsageError(f"{path} has no readable record: {reason}; expected a whole WARC file; fetch it again")


def unbroken(path: Path) -> Iterator[Stored]:
    """Records as they lie in an archive, up to the first place where the file itself is torn or damaged.

    What a block holds plays no part: an HTTP response in a coding that nobody can undo is a whole record.
    """
    for frame in frames(path):
        if frame.drop is not None or frame.doubt is not None:
            return
        header = _header(frame.data)
        yield Stored(
            type=header.type,
            uri=header.uri,
            truncated=header.truncated,
            block=frame.data[header.start : header.end],
            end=frame.offset + frame.length,
        )


def read_record(path: Path, ref: WarcRef) -> bytes:
    """The payload of one record, read again from its place and checked.

    Raises:
        BrokenLineage: the bytes are not the ones that were gathered.
    """
    return reread(path, ref).body


def reread(path: Path, ref: WarcRef) -> Record:
    """One record, read again from its place and checked: all that is needed to extract its document once more.

    Raises:
        BrokenLineage: the bytes are not the ones that were gathered.
    """
    found = "no such record"
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start, end = ref.offset, min(ref.offset + ref.length, len(data))
            for frame in frames_of(data, start, end, magic_of(data, start), dictionary_of(data)):
                item = record_of(ref.file, frame)
                if isinstance(item, Record) and item.ref.record_id == ref.record_id:
                    if item.ref.payload_digest == ref.payload_digest:
                        return item
                    found = item.ref.payload_digest
                elif isinstance(item, Lost) and found == "no such record":
                    found = item.drop.reason
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise BrokenLineage(f"{path} cannot be read ({error}); expected record {ref.record_id}") from error
    raise BrokenLineage(
        f"{path} at offset {ref.offset}: record {ref.record_id} should have payload {ref.payload_digest}, "
        f"found {found}; the archive was changed after it was gathered: restore it, then run `libertas verify`"
    )


def record_of(file: str, frame: Frame) -> Record | Lost:
    """What one frame of an archive holds; `file` is the name that its address gets."""
    data, drop = frame.data, frame.drop
    if drop is not None:
        name = arc.header_of(data)
        uri = name.uri if name else _named(data, TARGET_URI)
        return Lost(file, frame.offset, drop, _named(data, RECORD_ID), uri, frame.length)
    header = _header(data)
    block = memoryview(data)[header.start : header.end]
    is_http = header.content_type.lower().startswith("application/http") and (
        header.type != "response" or bytes(block[:5]) == b"HTTP/"
    )
    head = http_head(data, header.start) if is_http else None
    sent = block[head.body - header.start :] if head else block
    headers = head.headers if head else ()
    undone = payload(sent, headers) if head or not is_http else Drop("warc", "HTTP headers without end", len(block))
    if not header.record_id:
        undone = Drop("warc", "no WARC-Record-ID", len(data))
    verdict = None
    if not isinstance(undone, Drop):
        verdict = _verdict(header, sent, undone[0], block)
        if frame.doubt is not None and (verdict is None or not verdict.endswith(" ok")):
            undone = frame.doubt
    if isinstance(undone, Drop):
        return Lost(file, frame.offset, undone, header.record_id, header.uri, frame.length)
    body, cut = undone
    media, charset = media_type(value_of(headers, "content-type") if head else header.content_type)
    return Record(
        ref=WarcRef(file, frame.offset, frame.length, header.record_id, digest(body)),
        type=header.type,
        uri=header.uri,
        date=header.date,
        status=head.status if head and header.type == "response" else None,
        content_type=media,
        charset=charset,
        truncated=header.truncated or cut,
        body=body,
        headers=headers,
        digest_verdict=verdict,
    )


def _verdict(header: _Header, sent: memoryview, body: bytes, block: memoryview) -> str | None:
    """What the digests of a record say; the payload of a revisit is elsewhere, and cannot be checked."""
    checked = None
    if header.payload_digest and header.type != "revisit":
        checked = verdict_of(header.payload_digest, (sent, body, block))
    return checked or verdict_of(header.block_digest, (block,))


def _header(data: bytes) -> _Header:
    """The header of a whole record."""
    if not data.startswith(b"WARC/"):
        return _arc_header(data)
    blank, length = BLANK_LINE.search(data), LENGTH.search(data)
    assert blank is not None, "framing lets no record without end of its headers pass"
    assert length is not None, "framing lets no record without Content-Length pass"
    headers = headers_of(data[: blank.start()].partition(b"\n")[2])
    kind = (value_of(headers, "warc-type") or "").lower()
    return _Header(
        type=kind if kind in TYPES else "unknown",
        record_id=(value_of(headers, "warc-record-id") or "").strip("<>"),
        uri=(value_of(headers, "warc-target-uri") or "").strip("<>"),
        date=value_of(headers, "warc-date") or "",
        content_type=value_of(headers, "content-type") or "",
        truncated=value_of(headers, "warc-truncated"),
        payload_digest=value_of(headers, "warc-payload-digest"),
        block_digest=value_of(headers, "warc-block-digest"),
        start=blank.end(),
        end=blank.end() + int(length[1]),
    )


def _arc_header(data: bytes) -> _Header:
    """The same of an ARC record, which has no id: it follows from address, date and block."""
    line = arc.header_of(data)
    assert line is not None, "framing lets only WARC and ARC records pass"
    end = line.size + line.length
    http = data.startswith(b"HTTP/", line.size)
    return _Header(
        type=line.kind,
        record_id=record_id("arc", line.uri, f"{line.date}\n{digest(data[line.size : end])}"),
        uri=line.uri,
        date=line.date,
        content_type="application/http; msgtype=response" if http else line.content_type,
        truncated=None,
        payload_digest=None,
        block_digest=None,
        start=line.size,
        end=end,
    )


def _named(data: bytes, header: re.Pattern[bytes]) -> str:
    """A header of a record that could not be read whole, or empty."""
    found = header.search(data[:HEADER_BYTES])
    return found[1].decode("utf-8", "replace").strip() if found else ""


def record_id(kind: str, uri: str, payload_digest: str, attempt: int = 0) -> str:
    """An id that follows from what the record holds: fetching the same bytes again gives the same id."""
    name = f"{kind}\n{uri}\n{payload_digest}" + (f"\n{attempt}" if attempt else "")
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def payload_of(http: bytes) -> bytes:
    """Payload of a raw HTTP response: headers, transfer and content coding taken off.

    Raises:
        ValueError: the coding cannot be undone.
    """
    head = http_head(http)
    undone = payload(memoryview(http)[head.body :], head.headers) if head else Drop("warc", "HTTP headers without end")
    if isinstance(undone, Drop):
        raise ValueError(undone.reason)
    return undone[0]


def written(
    kind: str,
    uri: str,
    date: str,
    identifier: str,
    content_type: str,
    block: bytes,
    extra: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A WARC/1.1 record as one gzip member, ready to be appended to an archive.

    WARC-Payload-Digest of an HTTP response is the SHA-1 of everything behind its head as it was sent, framing of chunks
    and compression included: so write warcio and the crawlers built on it, and so check readers without decoding
    anything. It therefore differs from `payload_digest` in a document's `meta.warc`, the BLAKE3 of the payload
    with every coding taken off, which is what the document was made from. It is left out where readers disagree on
    where the payload begins: behind interim answers, and where the lines of the head end in bare LF.

    Args:
        kind: WARC-Type.
        uri: WARC-Target-URI, or empty for none.
        date: WARC-Date, such as `2026-01-31T12:00:00Z`.
        identifier: WARC-Record-ID without angle brackets.
        content_type: of the block; `application/http; msgtype=response` for a whole HTTP response.
        block: the bytes of the record.
        extra: further headers, in order.
    """
    return gzip.compress(_plain(kind, uri, date, identifier, content_type, block, extra), compresslevel=6, mtime=0)


def _plain(
    kind: str,
    uri: str,
    date: str,
    identifier: str,
    content_type: str,
    block: bytes,
    extra: tuple[tuple[str, str], ...],
) -> bytes:
    headers = [("WARC-Type", kind), ("WARC-Record-ID", f"<{identifier}>"), ("WARC-Date", date)]
    if uri:
        headers.append(("WARC-Target-URI", uri))
    headers += extra
    if not content_type.startswith("application/http"):
        payload = None if kind == "warcinfo" else block
    else:
        payload = block.partition(b"\r\n\r\n")[2] if final_response(block) == block else None
    if payload is not None:
        headers.append(("WARC-Payload-Digest", sha1(payload)))
    headers += [
        ("WARC-Block-Digest", sha1(block)),
        ("Content-Type", content_type),
        ("Content-Length", str(len(block))),
    ]
    assert all("\r" not in v and "\n" not in v for _, v in headers), f"a header with a line break: {headers}"
    head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode() + b"\r\n" + block + b"\r\n\r\n"


def warcinfo(date: str, software: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The first record of an archive: what wrote it, as `application/warc-fields`."""
    fields = (("software", software), ("format", "WARC file version 1.1"), *extra)
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    return written("warcinfo", "", date, record_id("warcinfo", "", digest(block)), "application/warc-fields", block)
