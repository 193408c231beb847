"""Reading every text once: its key for exact copies, its signature for near ones, its size and its priority."""

from collections.abc import Sequence
from functools import partial
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from libertas.curate.duplicates.config import FIRST, LONGEST, META
from libertas.curate.duplicates.layout import Chunk, TableLayout
from libertas.curate.duplicates.tasks import TableTask
from libertas.curate.exact import text_key
from libertas.curate.minhash import Signatures, signatures
from libertas.document import Document

FACTS, SIGNATURES = "facts", "signatures"
FACTS_TYPE = np.dtype([("id", "S32"), ("key", "<u8", (2,)), ("size", "<i8"), ("priority", "<f8")])
"""Of a document: its id, the key of its text, characters of the text, and how much it should not be the one to stay."""


def sign_tasks(layout: TableLayout, chunks: Sequence[Chunk], priority: tuple[str, ...], near: bool) -> list[TableTask]:
    """A task for each chunk."""
    tables = (FACTS, SIGNATURES) if near else (FACTS,)
    return [TableTask(layout.folder, c.name, tables, partial(sign_chunk, c, priority, near)) for c in chunks]


def sign_chunk(chunk: Chunk, priority: tuple[str, ...], near: bool) -> dict[str, NDArray[np.generic]]:
    """Facts and, if wanted, signatures of a chunk's documents."""
    facts = np.empty(chunk.documents, dtype=FACTS_TYPE)
    signs: list[Signatures] = []
    place = 0
    for piece in chunk.pieces:
        documents = piece.read()
        texts = [document.text for document in documents]
        part = facts[place : place + len(documents)]
        part["id"] = [document.id for document in documents]
        part["key"] = np.frombuffer(b"".join(map(text_key, texts)), dtype="<u8").reshape(-1, 2)
        part["size"] = list(map(len, texts))
        part["priority"] = [priority_of(document, priority) for document in documents]
        place += len(documents)
        if near:
            signs.append(signatures(texts))
    return {FACTS: facts, SIGNATURES: np.concatenate(signs)} if near else {FACTS: facts}


def priority_of(document: Document, priority: tuple[str, ...]) -> float:
    """Of a cluster the document with the smallest number represents it, the first where numbers are equal.

    `first` gives all the same; `longest` the negative length in characters; `meta.FIELD` the negative value, so that
    the largest wins, and infinity where it is no finite number; names of components their place in the list.
    """
    if priority[0] == FIRST:
        return 0.0
    if priority[0] == LONGEST:
        return -float(len(document.text))
    if priority[0].startswith(META):
        value = document.meta.get(priority[0].removeprefix(META))
        number = isinstance(value, int | float) and isfinite(value)
        return -float(value) if number and value is not None else inf
    component = document.meta.get("component")
    return float(priority.index(component) if component in priority else len(priority))
