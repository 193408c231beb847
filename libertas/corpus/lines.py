"""Streams of bytes with places that cannot be read, and what they hold: lines, JSON values, counted strings.

Nothing here keeps more than one line in memory, or one text, and none of either is longer than `LONGEST`.
"""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from libertas.corpus.frames import CUT_OFF, DAMAGED, MAGIC, Gap, zstd_blocks
from libertas.document import Drop

READ_BYTES = 1 << 20
LONGEST = 1 << 27
"""Bytes of a line or a text; what is longer is refused: 128 MiB."""
RULE = "read"
TOO_LONG = "longer than 128 MiB"
MALFORMED = "malformed line"
BROKEN_STREAM = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading raises where gzip, bzip2 or xz are damaged or cut off."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

OPENERS: dict[str, tuple[bytes, Callable[[io.BufferedReader], io.BufferedIOBase]]] = {
    ".gz": (b"\x1f\x8b\x08", lambda file: gzip.GzipFile(fileobj=file)),
    ".bz2": (b"BZh", bz2.BZ2File),
    ".xz": (b"\xfd7zXZ\0", lzma.LZMAFile),
    ".zst": (MAGIC, lambda file: file),
}
"""First bytes of compressed files: RFC 1952, 2.3.1; bzip2; XZ 1.2.1, 2.1.1.1; RFC 8878, 3.1.1."""

Block = bytes | Gap
Numbered = tuple[int, bytes | Drop]
"""A line or a text with its number, from 1, or why it cannot be had."""


def decompressed_blocks(file: io.BufferedReader, name: str) -> Iterator[Block]:
    """A file with its compression taken off: gzip, bzip2, xz or Zstandard, by its first bytes, or else by its name."""
    head = file.peek(8)[:8]
    coding = next((name for name, (magic, _) in OPENERS.items() if head.startswith(magic)), Path(name).suffix)
    if coding == ".zst":
        yield from zstd_blocks(file)
        return
    stream = OPENERS[coding][1](file) if coding in OPENERS else file
    try:
        while block := stream.read1(READ_BYTES):
            yield block
    except EOFError:
        yield Gap(file.tell(), CUT_OFF)
    except BROKEN_STREAM:
        yield Gap(file.tell(), DAMAGED)


def lines_of(blocks: Iterable[Block]) -> Iterator[Numbered]:
    """Lines without their ends. A line that a gap tears, and whatever the gap holds, is one drop."""
    number, parts, size = 0, [b""], 0
    for block in blocks:
        if isinstance(block, Gap):
            for _ in range(block.documents):
                number += 1
                yield number, Drop(RULE, block.reason, f"at byte {block.offset}")
            parts, size = [b""], 0
            continue
        *whole, rest = block.split(b"\n")
        for line in whole:
            number += 1
            size += len(line)
            if size > LONGEST:
                yield number, Drop(RULE, TOO_LONG, size)
            else:
                yield number, b"".join([*parts, line]) if parts[0] or len(parts) > 1 else line
            parts, size = [b""], 0
        size += len(rest)
        if size <= LONGEST:
            parts.append(rest)
        else:
            parts = [b""]
    if size:
        yield number + 1, Drop(RULE, TOO_LONG, size) if size > LONGEST else b"".join(parts)


class _Source:
    """Blocks as one stream that ends at the first gap."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""
        self.gap: Gap | None = None

    def take(self, length: int) -> bytes:
        """So many bytes, or as many as there are."""
        parts = [self._rest[:length]]
        self._rest = self._rest[length:]
        missing = length - len(parts[0])
        while missing and self.gap is None and (block := next(self._blocks, None)) is not None:
            if isinstance(block, Gap):
                self.gap = block
            else:
                parts.append(block[:missing])
                self._rest = block[missing:]
                missing -= len(parts[-1])
        return b"".join(parts)

    def loss(self, otherwise: str) -> Drop:
        """Why no more can be had."""
        return Drop(RULE, self.gap.reason, f"at byte {self.gap.offset}") if self.gap else Drop(RULE, otherwise)


def counted_texts(blocks: Iterable[Block]) -> Iterator[Numbered]:
    """The texts of a `.dat` file: each after its length in bytes, as 16 decimal digits."""
    source, number = _Source(blocks), 0
    while head := source.take(16):
        number += 1
        if len(head) < 16 or not head.isdigit():
            yield number, source.loss("malformed length" if len(head) == 16 else CUT_OFF)
            return
        left = int(head)
        if left > LONGEST:
            while left and (passed := len(source.take(min(left, READ_BYTES)))):
                left -= passed
            yield number, Drop(RULE, TOO_LONG, int(head))
            continue
        text = source.take(left)
        if len(text) < left:
            yield number, source.loss(CUT_OFF)
            return
        yield number, text
    if source.gap:
        yield number + 1, source.loss(CUT_OFF)


def array_values(blocks: Iterable[Block]) -> Iterator[tuple[int, Any | Drop]]:
    """The values of a JSON array that may be larger than memory; a byte that is not UTF-8 becomes a surrogate."""
    source, number = _Source(blocks), 0
    decode = json.JSONDecoder(strict=False, parse_constant=lambda _: None).raw_decode
    pending, more = b"", True
    text, place = "[", 0
    while True:
        while place < len(text) and text[place] in " \t\r\n,[":
            place += 1
        try:
            if text[place : place + 1] == "]":
                return
            value, end = decode(text, place)
            if end == len(text) and more:
                raise ValueError("a number may go on")
        except (ValueError, RecursionError):
            if not more or len(text) - place > LONGEST:
                if place < len(text) or source.gap or number == 0:
                    yield number + 1, source.loss(MALFORMED if len(text) - place <= LONGEST else TOO_LONG)
                return
            wanted = max(READ_BYTES, len(text) - place)
            data = pending + source.take(wanted)
            more = len(data) - len(pending) == wanted
            pending = _unfinished_character(data) if more else b""
            text = text[place:] + data[: len(data) - len(pending)].decode("utf-8", "surrogateescape")
            place = 0
        else:
            number += 1
            yield number, value
            place = end


def _unfinished_character(data: bytes) -> bytes:
    """The last bytes, up to three, if a character of UTF-8 begins in them and does not end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[-back:] if length > back else b""
        if byte & 0x80 == 0:
            return b""
    return b""


def json_value(line: bytes) -> tuple[Any, bool]:
    """A line of JSON, and whether that took `mend`.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(line), False
    except orjson.JSONDecodeError:
        text = line.decode("utf-8", "surrogateescape")
    try:
        return mend(json.loads(text, strict=False, parse_constant=lambda _: None))[0], True
    except RecursionError:
        raise ValueError("nested too deeply") from None


def mend(value: Any) -> tuple[Any, bool]:
    """A value as JSON can hold it, and whether it had to change.

    Pairs of surrogates are joined, each lone one is replaced by U+FFFD, and integers of more than 64 bits are rounded.

    Raises:
        ValueError: it is nested too deeply.
    """
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False)
        return orjson.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")), True
    return value, False
