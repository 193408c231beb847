"""Tables of texts (JSON Lines, Parquet, CSV, TSV): a piece for each row, by the names of the fields that matter.

A piece is a JSON object of the type `application/x-row+json`: `text`, and where the row has them `title`, `url`, `date`
and `id`. Formats: jsonlines.org; RFC 4180 for CSV, with `;`, tab or `|` instead of the comma where the header has more
of them.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.containers import BROKEN_STREAM, PIECE_BYTES, decompressed, numbered_lines
from libertas.gather.formats.part import Part
from libertas.gather.normalize import LINE_ENDS

ROW = "application/x-row+json"
JSON_LINES, PARQUET = "application/jsonl", "application/vnd.apache.parquet"
CSV, TSV = "text/csv", "text/tab-separated-values"
TABLES = frozenset({JSON_LINES, PARQUET, CSV, TSV})
RULE = "rows"
BATCH_ROWS = 64
"""Rows of a Parquet file that are in memory together."""
LONGEST_CELL = 1 << 24
"""Bytes of one cell of a CSV file: 16 MiB; a quote that nothing closes would otherwise take in the rest of the file."""
ISO_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?(?=$|[T ])")
DELIMITERS = ",;\t|"


def row_parts(path: Path, kind: str, names: Mapping[str, str]) -> Iterator[Part | Drop]:
    """The rows of a table, numbered from 1 (in text files by line) unless they have an id.

    Args:
        path: the table; text may be compressed.
        kind: its media type, one of `TABLES`.
        names: the field that is the row's `text`, and those that are its `id`, `url`, `title` and `date`; `a.b` is `b`
            inside `a`.
    """
    readers = {JSON_LINES: _json_rows, PARQUET: _parquet_rows}
    try:
        rows = readers[kind](path, names) if kind in readers else _csv_rows(path, kind, names)
        for number, row in rows:
            yield row if isinstance(row, Drop) else _part(number, row, names)
    except (csv.Error, *BROKEN_STREAM) as error:
        yield Drop(RULE, "damaged table", str(error))


def _part(number: int, row: Mapping[str, Any], names: Mapping[str, str]) -> Part | Drop:
    text = _field(row, names["text"])
    if not isinstance(text, str) or not text.strip():
        return Drop(RULE, "row without text", number)
    found = {key: _field(row, name) for key, name in names.items() if key != "text"}
    facts = {
        key: str(value) for key, value in found.items() if isinstance(value, str | int) or hasattr(value, "isoformat")
    }
    facts = {key: value.strip() for key, value in facts.items() if value.strip()}
    try:
        return Part(facts.get("id") or str(number), ROW, orjson.dumps(facts | {"text": text}), facts.get("url"))
    except orjson.JSONEncodeError:  # surrogates: bytes that are not UTF-8, or half of a pair
        return Drop(RULE, "not UTF-8", number)


def _field(row: Mapping[str, Any], name: str) -> Any:
    """A field by its name, or by the names of those around it and dots."""
    if name in row:
        return row[name]
    value: Any = row
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _json_rows(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any] | Drop]]:
    with decompressed(path) as stream:
        for number, line in numbered_lines(stream):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            if len(line) > PIECE_BYTES:
                yield number, Drop(RULE, "too large for a record", number)
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield number, Drop(RULE, "malformed line", number)
                continue
            yield number, row if isinstance(row, dict) else Drop(RULE, "not an object", number)


def _parquet_rows(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any] | Drop]]:
    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as table:
        there = set(table.schema_arrow.names)
        columns = sorted({n if n in there else n.partition(".")[0] for n in names.values()} & there)
        if missing := _missing(names, sorted(there)):
            yield 0, missing
            return
        number = 0
        for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            try:
                rows = batch.to_pylist()
            except UnicodeDecodeError:  # one text that is none must not take the others along
                rows = [_row_of(batch, index) for index in range(batch.num_rows)]
            for row in rows:
                number += 1
                yield number, row if isinstance(row, dict) else Drop(RULE, "not UTF-8", number)


def _row_of(batch: pa.RecordBatch, index: int) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = batch.slice(index, 1).to_pylist()[0]
    except UnicodeDecodeError:
        return None
    return row


def _csv_rows(path: Path, kind: str, names: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any] | Drop]]:
    csv.field_size_limit(LONGEST_CELL)
    with decompressed(path) as stream:
        # Strange bytes become surrogates, so that they cost one row and not the rest of the table.
        text = io.TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8-sig", errors="surrogateescape", newline="")
        first = text.readline(LONGEST_CELL)
        delimiter = "\t" if kind == TSV else max(DELIMITERS, key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
        if missing := _missing(names, header):
            yield 1, missing
            return
        reader = csv.reader(text, delimiter=delimiter)
        while True:
            number = reader.line_num + 2  # the first line of the next row
            try:
                cells = next(reader, None)
            except csv.Error:
                yield number, Drop(RULE, "malformed line", number)
                continue
            if cells is None:
                return
            if len(cells) > len(header):
                yield number, Drop(RULE, "malformed line", number)
            elif cells:
                yield number, dict(zip(header, cells, strict=False))


def _missing(names: Mapping[str, str], there: list[str]) -> Drop | None:
    """Why a table whose columns are known has no text at all."""
    name = names["text"]
    if name in there or name.partition(".")[0] in there:
        return None
    return Drop(RULE, "no field for the text", f"{name} is not among {', '.join(there)[:300]}")


def read_row(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of a row."""
    row = orjson.loads(body)
    date = ISO_DATE.match(row.get("date", ""))
    meta = {"row_id": row["id"]} if "id" in row else {}
    return Extracted(
        LINE_ENDS.sub("\n", row["text"]), row.get("title", ""), meta | ({"published": date[0]} if date else {})
    )
