"""Containers read from their beginning to their end in constant memory: compression, lines, XML.

What holds many documents may be larger than any memory, so nothing here keeps more than one piece of it.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from xml.parsers import expat

import pyarrow as pa
import zstandard

READ_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
"""So much of a file tells what it is: 64 KiB."""
PIECE_BYTES = 1 << 26
"""Most bytes of one piece: 64 MiB, as many as the payload of a record may have."""
DEEPEST_XML = 100
"""Dumps are a handful of elements deep; what is nested deeper than this is none."""
BROKEN_STREAM = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, pa.ArrowException)
"""What reading raises where the compression of a file is damaged or its end is missing."""
MAGIC = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files: RFC 1952, 2.3.1; bzip2; XZ 1.2.1, 2.1.1.1; RFC 8878, 3.1.1."""
CODING_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})


def decompressed(path: Path) -> io.BufferedIOBase:
    """A file opened for reading with its compression (gzip, bzip2, xz, Zstandard) taken off.

    Reading raises one of `BROKEN_STREAM` where the compression is damaged; a file that is cut off is not passed for a
    whole one.
    """
    with path.open("rb") as file:
        head = file.read(8)
    coding = next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")
    if coding == "gzip":
        return gzip.GzipFile(path, "rb")
    if coding == "bz2":
        return bz2.BZ2File(path, "rb")
    if coding == "xz":
        return lzma.LZMAFile(path, "rb")
    if coding == "zstd":  # pyarrow, because zstandard's reader takes a file that is cut off for a whole one
        return io.BufferedReader(cast(io.RawIOBase, pa.input_stream(str(path), compression="zstd")), READ_BYTES)
    return path.open("rb")


def head_of(path: Path) -> bytes:
    """The first 64 KiB of a file, decompressed; what can be read of it where it is damaged."""
    parts: list[bytes] = []
    try:
        with decompressed(path) as stream:
            while sum(map(len, parts)) < HEAD_BYTES and (part := stream.read1(HEAD_BYTES)):
                parts.append(part)
    except BROKEN_STREAM:
        pass  # whoever reads all of it will say so
    return b"".join(parts)[:HEAD_BYTES]


def numbered_lines(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """Lines with their number, counted from 1 and without their end; one of more than 64 MiB comes cut off there."""
    number, line = 1, stream.readline(PIECE_BYTES + 1)
    while line:
        if len(line) > PIECE_BYTES:  # too long: pass over the rest
            while (rest := stream.readline(READ_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield number, line.rstrip(b"\r\n")
        number, line = number + 1, stream.readline(PIECE_BYTES + 1)


class DamagedXml(Exception):
    """XML that cannot be read on; says where."""


def xml_elements(stream: io.BufferedIOBase, wanted: frozenset[str]) -> Iterator[tuple[str, dict[str, str], str]]:
    """The wanted elements of an XML file as they end: path such as `mediawiki/page/title`, attributes, own text.

    The root comes first of all, when it begins, with its attributes. Text of more than 64 MiB is cut off there. A
    document type is refused, because entities can be made to expand without end, and dumps have none.

    Raises:
        DamagedXml: it is not well-formed, has a document type or is nested too deeply; all before that place was given.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    path: list[str] = []
    opened: list[tuple[dict[str, str], list[str]]] = []
    sizes: list[int] = []
    ready: list[tuple[str, dict[str, str], str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(path) >= DEEPEST_XML:
            raise DamagedXml(f"line {parser.CurrentLineNumber}: nested too deeply")
        if not path:
            ready.append((name, attributes, ""))
        path.append(name)
        opened.append((attributes, []))
        sizes.append(0)

    def end(name: str) -> None:
        where = "/".join(path)
        attributes, text = opened.pop()
        sizes.pop()
        path.pop()
        if where in wanted:
            ready.append((where, attributes, "".join(text)))

    def data(text: str) -> None:
        if sizes and sizes[-1] < PIECE_BYTES:
            opened[-1][1].append(text)
            sizes[-1] += len(text)

    def doctype(*_: Any) -> None:
        raise DamagedXml(f"line {parser.CurrentLineNumber}: it has a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = doctype
    problem: Exception | None = None
    more = True
    while more and problem is None:
        block = b""
        try:
            block = stream.read1(READ_BYTES)  # what comes before the damage comes alone
            parser.Parse(block, not block)
        except expat.ExpatError as error:
            problem = DamagedXml(f"line {error.lineno}: {expat.ErrorString(error.code)}")
        except (DamagedXml, *BROKEN_STREAM) as error:
            problem = error
        yield from ready
        ready.clear()
        more = bool(block)
    if problem is not None:
        raise problem
