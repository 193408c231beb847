"""The body of an HTTP message with its transfer and content coding taken off, as far as there is any.

Archives are full of bodies that are not coded as their headers say, because a proxy or the crawler undid the coding, or
coded twice (RFC 9110, 8.4; RFC 9112, 7.1). What the bytes are decides: a body that does not begin as its coding begins
was never coded. What is whole up to a place where it ends too early is kept, and said to be cut.
"""

import io
import re
import zlib
from collections.abc import Iterator

import zstandard
from fastwarc.stream_io import BrotliReader

from libertas.document import Drop
from libertas.gather.compression import GZIP, ZSTD, zstd_length
from libertas.gather.http_head import Headers, media_type, value_of

PAYLOAD_BYTES = 1 << 26
"""A payload may have this many bytes once its coding is off: 64 MiB."""
READ_BYTES = 1 << 16
Bytes = bytes | bytearray | memoryview
MOST_MEMBERS = 1 << 12
"""A gzip body may consist of this many members; more are an attack on the reader."""
MOST_CODINGS = 4
"""A body may be coded this many times."""

CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
"""The line before a chunk: its size, and perhaps extensions."""
NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
TEXT_TYPES = re.compile(r"text/|application/([\w.+-]*\+)?(xml|json)|application/(x-)?javascript")
AS_IT_LIES = frozenset({"", "identity", "none", "utf-8", "binary", "7bit", "8bit"})
"""What stands in Content-Encoding and codes nothing."""
CUT = "coding"
"""`Record.truncated` of a payload whose coding ends too early."""


def payload(body: memoryview, headers: Headers) -> tuple[bytes, str | None] | Drop:
    """A body without its codings, and `CUT` if it ends too early; or why it cannot be had.

    Args:
        body: as it was sent.
        headers: of the message, with names in lower case.
    """
    transfer, content = _codings(headers, "transfer-encoding"), _codings(headers, "content-encoding")
    cut = False
    data: Bytes = body
    if "chunked" in transfer:
        data, cut = _unchunked(body)
    codings = [c for c in (*content, *transfer) if c != "chunked" and c not in AS_IT_LIES]
    if len(codings) > MOST_CODINGS:
        return Drop("warc", "content coding cannot be undone", f"{len(codings)} codings")
    text = TEXT_TYPES.match(media_type(value_of(headers, "content-type"))[0])
    while codings or (text and data[: len(GZIP)] == GZIP):
        unsaid = not codings
        text = None if unsaid else text  # a text that is still packed was packed once more than was said, not forever
        undone = _undone(data, "gzip" if unsaid else codings.pop())
        if unsaid and (isinstance(undone, Drop) or undone[1]):
            break  # it only begins like gzip: it stays as it lies
        if isinstance(undone, Drop):
            return undone
        data, cut = undone[0], cut or undone[1]
    if len(data) > PAYLOAD_BYTES:
        return Drop("warc", "payload too large", len(data))
    return bytes(data), CUT if cut else None


def _codings(headers: Headers, name: str) -> list[str]:
    """The codings that a header names, over all lines of that header, in the order in which they were put on."""
    return [token.strip().lower() for key, value in headers if key == name for token in value.split(",")]


def _unchunked(body: memoryview) -> tuple[Bytes, bool]:
    """A chunked body put together (RFC 9112, 7.1), and whether it ends too early; one without chunks as it lies."""
    out, at, size = bytearray(), 0, len(body)
    while line := CHUNK.match(body, at):
        length = int(line[1], 16)
        end = line.end() + length
        if length == 0:
            return out, False
        if bytes(body[end : end + 1]) not in (b"\r", b"\n", b""):
            break  # no chunk, or a damaged one
        out += body[line.end() : min(end, size)]
        if end >= size:
            return out, end > size
        at = end + (2 if bytes(body[end : end + 2]) == b"\r\n" else 1)
        if at >= size:
            return out, False  # servers that leave out the last, empty chunk are many
    return (out, True) if at else (body, False)


def _undone(data: Bytes, coding: str) -> tuple[Bytes, bool] | Drop:
    """One coding taken off, and whether the data ends too early; `data` itself where it was never on."""
    coding = coding.removeprefix("x-")
    magic = {"gzip": GZIP[:2], "zstd": ZSTD}.get(coding, b"")
    if magic and data[: len(magic)] != magic:
        return data, False
    if coding not in ("gzip", "deflate", "br", "zstd"):
        return _hopeless(f"coding {coding[:40]!r}") if NOT_TEXT.search(data[:1024]) else (data, False)
    parts: list[bytes] = []
    size = 0
    expanded = {"gzip": _gunzipped, "deflate": _inflated, "br": _unbrotlied, "zstd": _unzstandard}[coding](data)
    try:
        for part in expanded:
            if part is None:
                return b"".join(parts), True
            parts.append(part)
            size += len(part)
            if size > PAYLOAD_BYTES:
                return Drop("warc", "payload too large", size)
    except (OSError, ValueError, zlib.error, zstandard.ZstdError) as error:
        plain = not magic and not NOT_TEXT.search(data[:1024])
        return (data, False) if plain else _hopeless(str(error))
    return b"".join(parts), False


def _hopeless(why: str) -> Drop:
    return Drop("warc", "content coding cannot be undone", why)


def _gunzipped(data: Bytes) -> Iterator[bytes | None]:
    """What gzip data expands to, member after member, in pieces; None at the end if it comes too early."""
    at, count = 0, 0
    while data[at : at + 2] == GZIP[:2]:  # what follows the last member is of no use
        expander = zlib.decompressobj(31)
        count += 1
        if count > MOST_MEMBERS:
            raise ValueError(f"more than {MOST_MEMBERS} gzip members")
        while not expander.eof:
            block: Bytes = data[at : at + READ_BYTES]
            if not len(block):
                yield None
                return
            at += len(block)
            while len(block) and not expander.eof:
                yield expander.decompress(block, 1 << 20)
                block = expander.unconsumed_tail
        at -= len(expander.unused_data)


def _inflated(data: Bytes) -> Iterator[bytes | None]:
    """What "deflate" expands to: the zlib format, or bare deflate data, which some servers send (RFC 9110, 8.4.1.2)."""
    zlib_header = len(data) > 1 and data[0] & 15 == 8 and (data[0] * 256 + data[1]) % 31 == 0
    expander = zlib.decompressobj(15 if zlib_header else -15)
    for at in range(0, len(data), READ_BYTES):
        block: Bytes = data[at : at + READ_BYTES]
        while len(block) and not expander.eof:
            yield expander.decompress(block, 1 << 20)
            block = expander.unconsumed_tail
    if not expander.eof:
        yield None


def _unbrotlied(data: Bytes) -> Iterator[bytes | None]:
    reader = BrotliReader(io.BytesIO(data))
    while block := reader.read(1 << 20):
        yield block


def _unzstandard(data: Bytes) -> Iterator[bytes | None]:
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    while block := reader.read(1 << 20):
        yield block
    if zstd_length(bytes(data), 0, len(data))[1]:
        yield None
