"""Rows of files -> items: what every reader of a task's files shares.

A bad row is refused with `FILE:LINE`, and the others are read; a file that cannot be read, or has no good row, is an
error.
"""

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
from libertas.evaluate.protocol import LETTERS

Row = dict[str, Any]
Rows = Iterable[tuple[str, Row | UsageError]]
"""Rows, or why there is none, each behind its `FILE:LINE`."""
Entries = list[Item | UsageError]
"""Items, and where a row is none, why."""
MOST_CHOICES = len(LETTERS)
"""Each needs a letter of its own."""


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


def json_rows(path: Path) -> Iterator[tuple[str, Row | UsageError]]:
    """Every line of a file of JSON objects, or every entry of a JSON array, whose numbers then stand for lines.

    Raises:
        UsageError: the file cannot be read, or begins like an array and is none.
    """
    data = file_bytes(path).removeprefix(b"\xef\xbb\xbf")
    numbered: Iterable[tuple[int, Any]]
    if data.lstrip()[:1] == b"[":
        found = _parsed(data, str(path))
        if isinstance(found, UsageError):
            raise found
        numbered = enumerate(found, 1)
    else:
        lines = enumerate(data.split(b"\n"), 1)
        numbered = ((n, _parsed(line, f"{path.name}:{n}")) for n, line in lines if line.strip())
    for number, row in numbered:
        place = f"{path.name}:{number}"
        if isinstance(row, dict | UsageError):
            yield place, row
        else:
            yield place, UsageError(f"{place} is {type(row).__name__}; expected a JSON object")


def _parsed(data: bytes, place: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return UsageError(f"{place} is not JSON: {error}")


def csv_rows(path: Path) -> Iterator[tuple[str, Row | UsageError]]:
    """Every row of a CSV file, by the names in its first line; one with more or fewer fields is refused.

    Raises:
        UsageError: the file cannot be read, or a quote in it is never closed.
    """
    try:
        text = file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(reader, [])
        for fields in reader:
            place = f"{path.name}:{reader.line_num}"
            if fields and len(fields) != len(names):
                yield place, UsageError(f"{place} has {len(fields)} fields; expected {len(names)}: {', '.join(names)}")
            elif fields:
                yield place, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num} is not CSV: {error}") from error


def items_from(path: Path, rows: Rows, make: Callable[[Row, str, str], Item | Sequence[Item]]) -> Entries:
    """Items of rows, and refusals; `make` is given a row, its `FILE:LINE`, and the number of its line for an id.

    A row whose id another has already is refused.

    Raises:
        UsageError: there are no rows, or none of them is good.
    """
    entries: Entries = []
    places: dict[str, str] = {}
    count = good = 0
    for place, row in rows:
        count += 1
        made = _made(row, place, make, places)
        if isinstance(made, UsageError):
            entries.append(made)
            continue
        good += 1
        places.update((item.id, place) for item in made)
        entries += made
    refused = [entry for entry in entries if isinstance(entry, UsageError)]
    assert count == good + len(refused), f"{path}: {count} rows, {good} good, {len(refused)} refused"
    if not count:
        raise UsageError(f"{path} has no rows; expected at least one item")
    if not good:
        others = f" (and {count - 1:,} more rows, all refused)" if count > 1 else ""
        raise UsageError(f"{refused[0]}{others}")
    return entries


def _made(
    row: Row | UsageError, place: str, make: Callable[[Row, str, str], Item | Sequence[Item]], places: dict[str, str]
) -> list[Item] | UsageError:
    """The items of one row, or why it is refused."""
    if isinstance(row, UsageError):
        return row
    try:
        made = make(row, place, place.rpartition(":")[2])
    except UsageError as error:
        return error
    items = [made] if isinstance(made, Item) else list(made)
    for item in items:
        if item.id in places:
            return UsageError(f"{place}: the id {item.id!r} stands in {places[item.id]} already; ids must differ")
    return items


def asked_for(row: Row, key: str, kind: type, place: str) -> Any:
    """A value of a row, of the kind it must be.

    Raises:
        UsageError: it is missing or of another kind, or it is an empty text.
    """
    if key not in row:
        raise UsageError(f"{place} has no {key!r}; it has {', '.join(map(repr, row)) or 'nothing':.200}")
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
    if len(choices) > MOST_CHOICES:
        raise UsageError(f"{place} has {len(choices)} choices; expected at most {MOST_CHOICES}, a letter for each")
    if not 0 <= gold < len(choices):
        raise UsageError(f"{place}: the answer is choice {gold} of {len(choices)}; expected 0 to {len(choices) - 1}")
    return tuple(choices), gold
