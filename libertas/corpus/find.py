"""Documents among texts on disk: by id, by address, by chance, or by a pattern."""

import random
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.text import Text

from libertas.corpus.lmd import LmdDrop
from libertas.corpus.look import Unit, component_of, documents_at, folders_at, processes_for
from libertas.corpus.shard import Piece
from libertas.corpus.store import Corpus
from libertas.document import Document
from libertas.engine import map_ordered
from libertas.errors import UsageError
from libertas.lineage.manifest import is_artifact
from libertas.terminal import printable

CONTEXT = 60
"""Characters that are shown on either side of a match."""


def document_with_id(path: Path, document_id: str, workers: int) -> Document:
    """The document with an id; two binary searches in a corpus, and a search through everything elsewhere.

    Raises:
        UsageError: no document has it.
    """
    if is_artifact(path):
        for folder in folders_at(path):
            corpus = Corpus.open(path, folder.name or ".")
            if numbers := corpus.numbers_of(document_id):
                return corpus.document(numbers[0])
    else:
        for document in _found(path, "id", document_id, workers):
            return document
    raise UsageError(f"{path} has no document with the id {document_id}; ids have 32 hexadecimal digits")


def documents_with_url(path: Path, url: str, workers: int) -> list[Document]:
    """The documents of an address; everything is searched.

    Raises:
        UsageError: there is none.
    """
    found = list(_found(path, "url", url, workers))
    if not found:
        raise UsageError(f"{path} has no document with the url {url}; expected one exactly as in `meta.url`")
    return found


def _found(path: Path, key: str, value: str, workers: int) -> Iterator[Document]:
    look = partial(_with_value, key=key, value=value)
    for folder in folders_at(path):
        for found in map_ordered(look, folder.units, processes_for(folder.units, workers)):
            yield from found


def _with_value(unit: Unit, key: str, value: str) -> list[Document]:
    documents = (item for item in documents_at(unit) if isinstance(item, Document))
    return [d for d in documents if (d.id if key == "id" else d.meta.get(key)) == value]


def random_document(path: Path, seed: int | None) -> tuple[Document, str]:
    """A document by chance, each as likely as any other, and how to have it again.

    Raises:
        UsageError: there is none.
    """
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    units = [unit for folder in folders_at(path) for unit in folder.units]
    pieces = [unit for unit in units if isinstance(unit, Piece)]
    draw = random.Random(seed)
    chosen = None
    if len(pieces) == len(units) and units:
        place = draw.randrange(sum(piece.documents for piece in pieces))
        for piece in pieces:
            if place < piece.documents:
                chosen = piece.read()[place]
                break
            place -= piece.documents
    else:
        documents = (item for unit in units for item in documents_at(unit) if isinstance(item, Document))
        for count, document in enumerate(documents, start=1):  # the n-th is taken with a chance of 1 in n
            chosen = document if draw.randrange(count) == 0 else chosen
    if chosen is None:
        raise UsageError(f"{path} holds no document; expected at least one")
    return chosen, f"--random {seed}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in which a pattern was found."""

    document_id: str
    url: str
    before: str
    found: str
    after: str
    count: int
    """How often it was found in the text."""


def matching(
    path: Path, pattern: str, *, ignore_case: bool = False, component: str | None = None, workers: int = 1
) -> Iterator[Hit]:
    """The documents in which a regular expression is found, in order; the first place stands for all of a document.

    Raises:
        UsageError: the pattern is none, or there is nothing to read.
    """
    try:
        expression = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} is no regular expression ({error}); see Python's `re`") from error
    search = partial(_matches, expression=expression, component=component)
    for folder in folders_at(path):
        processes = processes_for(folder.units, workers)
        if processes == 1:
            for unit in folder.units:
                yield from search(unit)
        else:
            for found in map_ordered(partial(_all_matches, search), folder.units, processes):
                yield from found


def _all_matches(search: "partial[Iterator[Hit]]", unit: Unit) -> list[Hit]:
    return list(search(unit))


def _matches(unit: Unit, expression: re.Pattern[str], component: str | None) -> Iterator[Hit]:
    for item in documents_at(unit):
        if isinstance(item, LmdDrop) or (component is not None and component_of(item) != component):
            continue
        text, first = item.text, expression.search(item.text)
        if first is None:
            continue
        count = sum(1 for _ in expression.finditer(text))
        start, end = first.span()
        url = item.meta.get("url")
        yield Hit(
            item.id,
            url if isinstance(url, str) else "",
            text[max(0, start - CONTEXT) : start],
            text[start : min(end, start + 2 * CONTEXT)],
            text[end : end + CONTEXT],
            count,
        )


def one_line(match: Hit) -> Text:
    """A match as a line: id, address, and the place in the text, in which line ends are spaces."""
    line = Text(f"{printable(match.document_id)}  {printable(match.url)}{'  ' * bool(match.url)}")
    for part, style in ((match.before, ""), (match.found, "bold red"), (match.after, "")):
        line.append(re.sub(r"\s", " ", printable(part)), style)
    if match.count > 1:
        line.append(f"  (+{match.count - 1})", "dim")
    return line
