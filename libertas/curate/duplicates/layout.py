"""Documents of some corpora under one number each, and what is known of them in arrays on disk.

A document's number here is its place in all corpora, one after another. Shards are cut into chunks of about 64 MB of
text; a *table* has an array for each chunk, with an element for each of its documents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.corpus import Corpus, Piece
from libertas.curate.duplicates.tasks import opened
from libertas.curate.sidecar import sidecar_name
from libertas.document import Document

CHUNK_PIECES = 16
"""Pieces that a task reads: about 64 MB of text."""
FEW = 12
"""Documents up to which it is faster to fetch each from its frame than to parse a whole piece."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive pieces of one shard."""

    name: str
    pieces: tuple[Piece, ...]
    corpus: int
    first: int
    """Number of its first document."""
    documents: int


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where everything lies; it travels well."""

    folder: Path
    """Of the tables."""
    corpora: tuple[tuple[Path, str], ...]
    """Path and part of each corpus."""
    starts: tuple[int, ...]
    """Number of each corpus's first document, and of documents in all."""
    names: tuple[str, ...]
    """Of the chunks."""
    bounds: tuple[int, ...]
    """Number of each chunk's first document, and of documents in all."""

    def __len__(self) -> int:
        """Number of documents."""
        return self.bounds[-1]

    def span(self, table: str, first: int, last: int) -> NDArray[Any]:
        """What a table says of documents [first, last), at least one."""
        parts = []
        for chunk in range(*np.searchsorted(self.bounds, [first + 1, last]) - [1, 0]):
            rows = opened(self.folder / table / f"{self.names[chunk]}.npy")
            parts.append(np.array(rows[max(first - self.bounds[chunk], 0) : last - self.bounds[chunk]]))
        return np.concatenate(parts)

    def take(self, table: str, documents: NDArray[np.int64], field: str | None = None) -> NDArray[Any]:
        """What a table says of some documents, in their order."""
        homes = np.searchsorted(self.bounds, documents, side="right") - 1
        order = np.argsort(homes, kind="stable")
        parts = []
        for places in np.split(order, np.flatnonzero(np.diff(homes[order])) + 1):
            home = int(homes[places[0]]) if len(places) else 0
            rows = opened(self.folder / table / f"{self.names[home]}.npy")
            parts.append((rows if field is None else rows[field])[documents[places] - self.bounds[home]])
        taken = np.concatenate(parts)
        result = np.empty_like(taken)
        result[order] = taken
        return result

    def documents(self, wanted: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], list[Document]]]:
        """Some documents, given by increasing numbers, a few at a time, in order."""
        for place, (path, part) in enumerate(self.corpora):
            low, high = np.searchsorted(wanted, self.starts[place : place + 2])
            if low == high:
                continue
            corpus, pieces, firsts = _opened_corpus(path, part)
            numbers = wanted[low:high] - self.starts[place]
            homes = np.searchsorted(firsts, numbers, side="right") - 1
            for some in np.split(numbers, np.flatnonzero(np.diff(homes)) + 1):
                piece = pieces[int(np.searchsorted(firsts, some[0], side="right")) - 1]
                if len(some) > min(FEW, piece.documents - 1):
                    inside = piece.read()
                    found = [inside[number - piece.first] for number in some.tolist()]
                else:
                    found = [corpus.document(number) for number in some.tolist()]
                yield some + self.starts[place], found

    def place_of(self, piece: Piece) -> tuple[int, int]:
        """Numbers of the first document of a piece's corpus, and of its own."""
        folder = piece.path.absolute().parent
        start = next(s for s, (path, part) in zip(self.starts, self.corpora, strict=False) if folder == path / part)
        return start, start + piece.first


@lru_cache(maxsize=16)
def _opened_corpus(path: Path, part: str) -> tuple[Corpus, list[Piece], NDArray[np.int64]]:
    corpus = Corpus.open(path, part)
    pieces = [piece for shard in range(len(corpus.shards)) for piece in corpus.pieces(shard)]
    return corpus, pieces, np.array([piece.first for piece in pieces])


def lay_out(corpora: Sequence[Corpus], folder: Path) -> tuple[TableLayout, list[Chunk]]:
    """Give every document its number, and cut the corpora into chunks."""
    chunks: list[Chunk] = []
    starts = [0]
    for number, corpus in enumerate(corpora):
        for shard in range(len(corpus.shards)):
            pieces = [replace(piece, path=piece.path.absolute()) for piece in corpus.pieces(shard)]
            for k in range(0, len(pieces), CHUNK_PIECES):
                some = tuple(pieces[k : k + CHUNK_PIECES])
                name = f"{sidecar_name(number, shard)}-{k // CHUNK_PIECES:05}"
                documents = sum(piece.documents for piece in some)
                chunks.append(Chunk(name, some, number, starts[-1] + some[0].first, documents))
        starts.append(starts[-1] + len(corpus))
    layout = TableLayout(
        folder=folder.absolute(),
        corpora=tuple((corpus.path.absolute(), corpus.part) for corpus in corpora),
        starts=tuple(starts),
        names=tuple(chunk.name for chunk in chunks),
        bounds=(*(chunk.first for chunk in chunks), starts[-1]),
    )
    return layout, chunks
