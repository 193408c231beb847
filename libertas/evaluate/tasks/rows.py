"""Rows of files -> items: what every reader of a task's files shares. A bad row is refused with `FILE:LINE`."""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from libertas.errors import UsageError
from libertas.evaluate.item import Item

Row = dict[str, Any]
Rows = Iterable[tuple[str, Row]]
"""Rows, each behind its `FILE:LINE`."""


def file_bytes(path: Path) -> bytes:
    """Content of a file, which may be gzipped.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Every line of a file of JSON objects, or every entry of a JSON array, whose numbers then stand for lines.

    Raises:
        UsageError: a line is no JSON object, or the file cannot be read.
    """
    data = file_bytes(path).removeprefix(b"\xef\xbb\xbf")
    found: Iterable[tuple[int, Any]]
    if data.lstrip()[:1] == b"[":
        found = enumerate(_parsed(data, str(path)), 1)
    else:
        lines = enumerate(data.split(b"\n"), 1)
        found = ((number, _parsed(line, f"{path}:{number}")) for number, line in lines if line.strip())
    for number, row in found:
        place = f"{path}:{number}"
        if not isinstance(row, dict):
            raise UsageError(f"{place} is {type(row).__name__}; expected a JSON object")
        yield place, row


def _parsed(data: bytes, place: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place} is not JSON: {error}") from error


def csv_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Every row of a CSV file, by the names in its first line.

    Raises:
        UsageError: a row has more or fewer fields than the first one, or the file cannot be read.
    """
    try:
        text = file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(reader, [])
        for fields in reader:
            place = f"{path}:{reader.line_num}"
            if fields and len(fields) != len(names):
                raise UsageError(f"{place} has {len(fields)} fields; expected {len(names)}: {', '.join(names)}")
            if fields:
                yield place, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num} is not CSV: {error}") from error


def items_from(path: Path, rows: Rows, make: Callable[[Row, str, str], Item | Sequence[Item]]) -> list[Item]:
    """Items of rows; `make` is given a row, its `FILE:LINE`, and the number of its line for an id.

    Raises:
        UsageError: an id stands there twice, or there are no rows.
    """
    items: list[Item] = []
    places: dict[str, str] = {}
    for place, row in rows:
        made = make(row, place, place.rpartition(":")[2])
        for item in [made] if isinstance(made, Item) else made:
            if item.id in places:
                raise UsageError(f"{place}: the id {item.id!r} stands in {places[item.id]} already; ids must differ")
            places[item.id] = place
            items.append(item)
    if not items:
        raise UsageError(f"{path} has no rows; expected at least one item")
    return items


def asked_for(row: Row, key: str, kind: type, place: str) -> Any:
    """A value of a row, of the kind it must be.

    Raises:
        UsageError: it is missing or of another kind, or it is an empty text.
    """
    if key not in row:
        raise UsageError(f"{place} has no {key!r}; it has {', '.join(map(repr, row)) or 'nothing'}")
    value = row[key]
    if not isinstance(value, kind) or isinstance(value, bool) or (kind is str and not str(value).strip()):
        raise UsageError(f"{place}: {key!r} is {value!r:.60}; expected {'a text' if kind is str else kind.__name__}")
    return value


def label_of(row: Row, key: str, labels: Sequence[str], place: str) -> int:
    """Number of a row's label among all there may be; a number counts as its digits.

    Raises:
        UsageError: there is none, as in test sets whose answers are kept back, or it is another one.
    """
    value = row.get(key)
    if isinstance(value, bool) or str(value) not in labels:
        raise UsageError(f"{place}: {key!r} is {value!r:.60}; expected one of {', '.join(labels)}: the right answer")
    return labels.index(str(value))


def chosen(choices: Sequence[Any], gold: int, place: str) -> tuple[tuple[str, ...], int]:
    """Choices and the number of the right one, after looking at both.

    Raises:
        UsageError: they are no texts, or there is no such choice.
    """
    if len(choices) < 2 or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise UsageError(f"{place}: the choices are {choices!r:.80}; expected two texts or more, none of them empty")
    if not 0 <= gold < len(choices):
        raise UsageError(f"{place}: the answer is choice {gold} of {len(choices)}; expected 0 to {len(choices) - 1}")
    return tuple(choices), gold
