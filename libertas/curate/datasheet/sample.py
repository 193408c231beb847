"""A sample of each component that nobody chose: the documents whose keyed hash is smallest."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from blake3 import blake3

from libertas.document import Document

EXCERPT = 1 << 14
"""Characters of a long document that are sampled, from a place that the hash chooses."""


@dataclass(frozen=True, slots=True, order=True)
class Sampled:
    """A document of the sample, or a stretch of a long one."""

    key: int
    id: str
    language: str
    text: str


@dataclass
class KeyedSample:
    """The `most` documents of smallest key, each once however often a mixture repeats it."""

    most: int
    documents: list[Sampled] = field(default_factory=list)
    """By key."""

    @property
    def bound(self) -> int:
        """A document with a larger key than this cannot enter."""
        return self.documents[-1].key if len(self.documents) >= self.most else 1 << 64

    def add(self, found: Sampled) -> None:
        """Offer a document."""
        place = bisect_left(self.documents, found)
        if found.key <= self.bound and self.documents[place : place + 1] != [found]:
            self.documents.insert(place, found)
            del self.documents[self.most :]

    def merge(self, found: Iterable[Sampled]) -> None:
        """Offer several."""
        for each in found:
            self.add(each)


def key_of(seed: int, document_id: str) -> int:
    """A number from 0 to 2^64 - 1 that depends on the seed and the document alone."""
    return int.from_bytes(blake3(f"{seed}\ndatasheet\n{document_id}".encode()).digest(length=8), "big")


def sampled(document: Document, key: int) -> Sampled:
    """What the sample keeps of a document."""
    start = key % max(1, len(document.text) - EXCERPT + 1)
    language = document.meta.get("language")
    text = document.text[start : start + EXCERPT]
    return Sampled(key, document.id, language if isinstance(language, str) else "", text)
