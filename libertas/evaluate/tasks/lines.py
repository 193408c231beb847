"""Multiple choice from JSON lines: our own form, and MMLU's."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from libertas.errors import UsageError
from libertas.evaluate.item import Item


def json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line of a file of JSON objects, which may be gzipped, with `FILE:LINE` for errors about it.

    Raises:
        UsageError: a line is no JSON object, or the file cannot be read.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(data.splitlines(), 1):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{place} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise UsageError(f"{place} is {type(row).__name__}; expected a JSON object")
        yield place, row


def asked_for(row: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """A value of a row, of the kind it must be.

    Raises:
        UsageError: it is missing or of another kind.
    """
    if key not in row:
        raise UsageError(f"{place} has no {key!r}; it has {', '.join(map(repr, row)) or 'nothing'}")
    if not isinstance(row[key], kind) or isinstance(row[key], bool):
        raise UsageError(f"{place}: {key!r} is {row[key]!r:.60}; expected {kind.__name__}")
    return row[key]


def chosen(choices: list[Any], gold: int, place: str) -> tuple[tuple[str, ...], int]:
    """Choices and the number of the right one, after looking at both.

    Raises:
        UsageError: they are no texts, two are equal, or there is no such choice.
    """
    if len(choices) < 2 or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise UsageError(f"{place}: the choices are {choices!r:.80}; expected two texts or more, none of them empty")
    if not 0 <= gold < len(choices):
        raise UsageError(f"{place}: the answer is choice {gold} of {len(choices)}; expected 0 to {len(choices) - 1}")
    return tuple(choices), gold


def read_items(path: Path) -> list[Item]:
    """Items in our own form: `question`, `choices`, `gold`; where there are some, `id`, `passage`, `group`, `meta`."""
    items = []
    for place, row in json_rows(path):
        choices, gold = chosen(asked_for(row, "choices", list, place), asked_for(row, "gold", int, place), place)
        name = str(row.get("id", place.rpartition(":")[2]))
        items.append(
            Item(
                id=name,
                question=str(row.get("question", "")),
                choices=choices,
                gold=gold,
                answer=choices[gold],
                passage=str(row.get("passage", "")),
                group=str(row.get("group", name)),
                meta=row.get("meta", {}),
            )
        )
    return items


def read_mmlu(path: Path) -> list[Item]:
    """MMLU (Hendrycks et al. 2021): `question`, four `choices`, the number of the right one as `answer`, `subject`."""
    items = []
    for place, row in json_rows(path):
        choices, gold = chosen(asked_for(row, "choices", list, place), asked_for(row, "answer", int, place), place)
        name = f"mmlu-{place.rpartition(':')[2]}"
        items.append(
            Item(
                id=name,
                question=asked_for(row, "question", str, place),
                choices=choices,
                gold=gold,
                answer=choices[gold],
                passage="",
                group=name,
                meta={"subject": asked_for(row, "subject", str, place)},
            )
        )
    return items
