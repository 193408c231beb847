"""WARC files: read every record with the address of its bytes, read one record again, write new ones.

`framing.py` says where a record begins and ends; what lies inside (headers, HTTP, transfer and content coding) is read
by fastwarc, which no other module imports. Format: WARC/1.1, IIPC 2017 (ISO 28500:2017).
"""

import base64
import gzip
import hashlib
import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecord

from libertas.document import Drop, WarcRef
from libertas.errors import BrokenLineage, UsageError
from libertas.gather.framing import HEADER_BYTES, LENGTH, Frame, frames, frames_of
from libertas.lineage.fingerprint import digest

READ_BYTES = 1 << 20
PAYLOAD_BYTES = 1 << 26
"""A payload may have this many bytes once its coding is off: 64 MiB."""

RECORD_ID = re.compile(rb"\nwarc-record-id:[ \t]*<?([^>\r\n]*)", re.IGNORECASE)
TARGET_URI = re.compile(rb"\nwarc-target-uri:[ \t]*<?([^>\r\n]*)", re.IGNORECASE)
NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
HTTP_BLOCK = re.compile(rb"\ncontent-type:[ \t]*application/http", re.IGNORECASE)
INTERIM = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+1(?!01)\d\d\b[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
"""An answer that announces another (RFC 9110, 15.2), such as `100 Continue`; 101 leaves HTTP and is the last one."""


@dataclass(frozen=True, slots=True)
class Record:
    """One readable record; `body` is the payload with HTTP headers, transfer and content coding taken off."""

    ref: WarcRef
    type: str
    uri: str
    date: str
    """WARC-Date as it stands in the record, or empty."""
    status: int | None
    """HTTP status, or None for a record that is no HTTP response."""
    content_type: str
    """Media type in lower case without parameters, or empty."""
    charset: str | None
    truncated: str | None
    """WARC-Truncated: why the payload is not whole, or None."""
    body: bytes


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


def records(path: Path, *, complain: bool = True) -> Iterator[Record | Lost]:
    """Every record of an archive in file order; what cannot be read comes as `Lost`, so nothing is passed over.

    Raises:
        UsageError: the file is missing, empty, not a WARC, or (with `complain`) nothing in it can be read.
    """
    readable = False
    first: Lost | None = None
    for frame in frames(path):
        item = _read(path.name, frame)
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
        parsed = None
        if frame.drop is None:
            parsed = next(ArchiveIterator(io.BytesIO(frame.data), strict_mode=False, parse_http=False), None)
        if parsed is None:
            return
        yield Stored(
            type=str(parsed.record_type).rpartition(".")[2].lower(),
            uri=(parsed.headers.get("WARC-Target-URI") or "").strip("<>"),
            truncated=parsed.headers.get("WARC-Truncated"),
            block=parsed.reader.read(),
            end=frame.offset + frame.length,
        )


def read_record(path: Path, ref: WarcRef) -> bytes:
    """The payload of one record, read again from its place and checked.

    Raises:
        BrokenLineage: the bytes are not the ones that were gathered.
    """
    found = "no such record"
    try:
        with path.open("rb") as file:
            file.seek(ref.offset)
            data = file.read(ref.length)
    except OSError as error:
        raise BrokenLineage(f"{path} cannot be read ({error.strerror}); expected record {ref.record_id}") from error
    for frame in frames_of(io.BytesIO(data), data):
        item = _read(ref.file, frame)
        if isinstance(item, Record) and item.ref.record_id == ref.record_id:
            if item.ref.payload_digest == ref.payload_digest:
                return item.body
            found = item.ref.payload_digest
        elif isinstance(item, Lost) and found == "no such record":
            found = item.drop.reason
    raise BrokenLineage(
        f"{path} at offset {ref.offset}: record {ref.record_id} should have payload {ref.payload_digest}, "
        f"found {found}; the archive was changed after it was gathered: restore it, then run `libertas verify`"
    )


def _read(file: str, frame: Frame) -> Record | Lost:
    """What one frame holds."""
    if frame.drop is not None:
        return Lost(file, frame.offset, frame.drop, _named(frame.data, RECORD_ID), _named(frame.data, TARGET_URI))
    opened = _opened(frame.data)
    if isinstance(opened, Drop):
        return Lost(file, frame.offset, opened, _named(frame.data, RECORD_ID), _named(frame.data, TARGET_URI))
    parsed, body = opened
    record_id = (parsed.record_id or "").strip("<>")
    uri = (parsed.headers.get("WARC-Target-URI") or "").strip("<>")
    if not record_id:
        return Lost(file, frame.offset, Drop("warc", "no WARC-Record-ID", len(frame.data)), "", uri)
    http, kind = parsed.http_headers, str(parsed.record_type).rpartition(".")[2].lower()
    content_type = parsed.http_content_type if http is not None else parsed.headers.get("Content-Type")
    media, _, parameters = (content_type or "").partition(";")
    charset = parsed.http_charset if http is not None else charset_of(parameters)
    return Record(
        ref=WarcRef(file, frame.offset, frame.length, record_id, digest(body)),
        type=kind,
        uri=uri,
        date=parsed.headers.get("WARC-Date") or "",
        status=http.status_code if http is not None and kind == "response" else None,
        content_type=media.strip().lower(),
        charset=charset,
        truncated=parsed.headers.get("WARC-Truncated"),
        body=body,
    )


def _named(data: bytes, header: re.Pattern[bytes]) -> str:
    """A header of a record that could not be read whole, or empty."""
    found = header.search(data[:HEADER_BYTES])
    return found[1].decode("utf-8", "replace").strip() if found else ""


def charset_of(parameters: str) -> str | None:
    """The charset among the parameters of a media type."""
    found = re.search(r"charset=[\"']?([\w.:-]+)", parameters)
    return found[1].lower() if found else None


def _opened(data: bytes) -> tuple[WarcRecord, bytes] | Drop:
    """Headers and payload of a record, or why it has none.

    Archives are full of bodies that are not coded as their headers say, because the crawler undid the coding: they
    are taken as they lie, if they are text.
    """
    failed = Drop("warc", "malformed record", len(data))
    data = _with_final_response(data)
    for coding in ("all", "content", "none"):
        try:
            parsed = next(ArchiveIterator(io.BytesIO(data), strict_mode=False, auto_decode=coding), None)
            if parsed is None:
                return failed
            body = bytearray()  # grows in place; a large payload comes in many blocks
            while block := parsed.reader.read(READ_BYTES):
                body += block
                if len(body) > PAYLOAD_BYTES:
                    return Drop("warc", "payload too large", len(body))
        except (OSError, ValueError) as error:
            failed = Drop("warc", "content coding cannot be undone", str(error))
            continue
        if coding == "all" or not NOT_TEXT.search(body[:1024]):
            return parsed, bytes(body)
    return failed


def _with_final_response(data: bytes) -> bytes:
    """A record whose HTTP response is such that fastwarc finds the payload; nearly all are, and stay as they are."""
    blank = BLANK_LINE.search(data, 0, HEADER_BYTES)
    if blank is None or not HTTP_BLOCK.search(data, 0, blank.end()) or data[blank.end() : blank.end() + 5] != b"HTTP/":
        return data
    block = data[blank.end() :]
    final = final_response(block)
    length = LENGTH.search(data, 0, blank.end())
    if final == block or length is None:
        return data
    changed = int(length[1]) + len(final) - len(block)
    return data[: length.start(1)] + str(changed).encode() + data[length.end(1) : blank.end()] + final


def final_response(http: bytes) -> bytes:
    """The answer proper of a raw HTTP response: interim answers left out, and CRLF at the end of each line of its head.

    RFC 9112, 2.2: a recipient may take a bare LF for the end of a line, and servers that send it exist.
    """
    start = 0
    while interim := INTERIM.match(http, start):
        start = interim.end()
    blank = BLANK_LINE.search(http, start)
    if blank is None:
        return http[start:]
    head, body = http[start : blank.start()], http[blank.end() :]
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def record_id(kind: str, uri: str, payload_digest: str, attempt: int = 0) -> str:
    """An id that follows from what the record holds: fetching the same bytes again gives the same id."""
    name = f"{kind}\n{uri}\n{payload_digest}" + (f"\n{attempt}" if attempt else "")
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def payload_of(http: bytes) -> bytes:
    """Payload of a raw HTTP response: headers, transfer and content coding taken off.

    Raises:
        ValueError: the coding cannot be undone.
    """
    item = _read(
        "", Frame(0, 0, _plain("response", "", "", "urn:uuid:0", "application/http; msgtype=response", http, ()))
    )
    if isinstance(item, Lost):
        raise ValueError(item.drop.reason)
    return item.body


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


def sha1(data: bytes) -> str:
    """SHA-1 in the spelling that archives use: base32 after `sha1:`."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def warcinfo(date: str, software: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The first record of an archive: what wrote it, as `application/warc-fields`."""
    fields = (("software", software), ("format", "WARC file version 1.1"), *extra)
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    return written("warcinfo", "", date, record_id("warcinfo", "", digest(block)), "application/warc-fields", block)
