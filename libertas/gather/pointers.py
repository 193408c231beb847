"""Pointers into archives: where single records of a crawl lie, and the records themselves, fetched one by one.

Read are CDXJ files (one line per capture: a sort key, a time, and JSON with `filename`, `offset`, `length`; pywb and
Common Crawl write them) and rows of Common Crawl's columnar index (`warc_filename`, `warc_record_offset`,
`warc_record_length`), as Parquet or CSV. The bytes of a dump are then never read as a whole.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from libertas.document import Drop
from libertas.errors import UsageError
from libertas.gather.compression import DICTIONARY, DICTIONARY_BYTES, ZSTD, dictionary_of, magic_of
from libertas.gather.framing import RECORD_BYTES, frames_of
from libertas.gather.remote import FetchFailed, address_below, fetch_range
from libertas.gather.warc import Lost, Record, record_of

COLUMNS = ("warc_filename", "warc_record_offset", "warc_record_length")
"""As Common Crawl's columnar index calls them."""
CDXJ_NAMES = ("filename", "offset", "length")
MERGED_BYTES = 1 << 23
"""Records that lie side by side are fetched together up to this much: 8 MiB."""
LINE_BYTES = 1 << 20
"""A line of a CDXJ or CSV file has no more than this: 1 MiB."""
ROWS = 4096


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a record lies."""

    file: str
    """Path of the archive, below the folder or URL that the reader is given."""
    offset: int
    length: int


def pointed_records(path: Path, prefix: str) -> Iterator[Record | Lost]:
    """The records that a file of pointers names, in its order; `ref` of each is its place in the whole archive.

    A record that cannot be fetched or read comes as `Lost`; so does a row that is no pointer, with the name of the
    pointer file, and the number of the row as offset.

    Args:
        path: a CDXJ file (plain or gzip), Parquet, or CSV with a header.
        prefix: folder or URL that the names of archives are relative to, such as `https://data.commoncrawl.org/`.

    Raises:
        UsageError: the file cannot be read, has not these columns, or the address needs a package that is missing.
    """
    group: list[Pointer] = []
    for item in pointers(path):
        if isinstance(item, Pointer) and group and _adjacent(group, item):
            group.append(item)
            continue
        yield from _fetched(group, prefix)
        group = []
        if isinstance(item, Pointer):
            group.append(item)
        else:
            yield item
    yield from _fetched(group, prefix)


def _adjacent(group: list[Pointer], item: Pointer) -> bool:
    """Whether a record lies right behind the last one of a group that has room for it."""
    last = group[-1]
    size = item.offset + item.length - group[0].offset
    return item.file == last.file and item.offset == last.offset + last.length and size <= MERGED_BYTES


def _fetched(group: list[Pointer], prefix: str) -> Iterator[Record | Lost]:
    """What lies at neighbouring pointers, fetched at once."""
    if not group:
        return
    first, last = group[0], group[-1]
    place = address_below(prefix, first.file)
    try:
        data = fetch_range(place, first.offset, last.offset + last.length - first.offset)
        packed = data[: len(ZSTD)] == ZSTD
        dictionary = _dictionary(place) if packed else b""
    except FetchFailed as error:
        for pointer in group:
            yield _lost(pointer, "cannot be fetched", error.reason)
        return
    for pointer in group:
        start = pointer.offset - first.offset
        yield from _at(pointer, data[start : start + pointer.length], dictionary)


def _at(pointer: Pointer, data: bytes, dictionary: bytes) -> Iterator[Record | Lost]:
    """The records in the bytes of one pointer; their addresses are those in the whole archive."""
    if not data:
        yield _lost(pointer, "behind the end of the archive", pointer.offset)
        return
    name, found = pointer.file.rpartition("/")[2], False
    for frame in frames_of(data, 0, len(data), magic_of(data), dictionary):
        found = True
        yield record_of(name, replace(frame, offset=pointer.offset + frame.offset))
    if not found:
        yield _lost(pointer, "not a WARC record", len(data))


@lru_cache(maxsize=4)
def _dictionary(place: str) -> bytes:
    """The dictionary of a Zstandard archive, fetched once."""
    head = fetch_range(place, 0, 8)
    if head[:4] != DICTIONARY:
        return b""
    size = min(int.from_bytes(head[4:8], "little"), DICTIONARY_BYTES)
    return dictionary_of(fetch_range(place, 0, 8 + size))


def _lost(pointer: Pointer, reason: str, value: str | float) -> Lost:
    drop = Drop("warc", reason, value)
    return Lost(pointer.file.rpartition("/")[2], pointer.offset, drop, length=pointer.length)


def pointers(path: Path) -> Iterator[Pointer | Lost]:
    """The rows of a file of pointers; one that is no pointer comes as `Lost`.

    Raises:
        UsageError: the file cannot be read, or has not the columns.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
        rows = _parquet_rows(path) if head == b"PAR1" else _text_rows(path)
        for number, row in enumerate(rows):
            yield _pointer(row) or Lost(path.name, number, Drop("warc", "no pointer", str(row)[:200]))
    except (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException) as error:
        raise UsageError(
            f"{path} cannot be read as pointers: {error}; expected CDXJ, Parquet or CSV; fetch it again"
        ) from error


def _pointer(row: Any) -> Pointer | None:
    """A row of file, offset and length, whose numbers may be spelled as text."""
    try:
        file, offset, length = row
        found = Pointer(str(file), int(str(offset)), int(str(length)))
    except (TypeError, ValueError):
        return None
    return found if file and found.offset >= 0 and 0 < found.length <= RECORD_BYTES else None


def _parquet_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    table = pq.ParquetFile(path)
    _require(path, table.schema_arrow.names)
    for batch in table.iter_batches(ROWS, columns=list(COLUMNS)):
        yield from zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)


def _text_rows(path: Path) -> Iterator[Any]:
    with _lines(path) as lines:
        first = next(lines, "")
        if COLUMNS[0] in first and "{" not in first:
            table = csv.reader(lines)
            names = next(csv.reader([first]))
            _require(path, names)
            at = [names.index(name) for name in COLUMNS]
            yield from ([row[i] for i in at] if len(row) > max(at) else row for row in table)
            return
        for line in _with_first(first, lines):
            if line.strip():
                yield _cdxj(line)


def _with_first(first: str, lines: Iterable[str]) -> Iterator[str]:
    yield first
    yield from lines


def _cdxj(line: str) -> Any:
    """File, offset and length of a CDXJ line, or the line itself."""
    _, brace, fields = line.partition("{")
    try:
        found = orjson.loads(brace + fields)
        return [found[name] for name in CDXJ_NAMES]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return line


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    """The lines of a text file, plain or gzip; one without end comes in pieces."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as opened:
        text = io.TextIOWrapper(opened, encoding="utf-8", errors="replace")
        yield iter(lambda: text.readline(LINE_BYTES), "")


def _require(path: Path, names: Iterable[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UsageError(f"{path} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}; name another file")
