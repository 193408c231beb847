"""Which items of some tasks stand in what a model was trained on, and what that says of them.

The corpus that the tokens were made from is read once, for all tasks, with the detector of `libertas decontaminate`.
An item is

- `question and answer`, where a document holds the question, and the text of the right answer near it;
- `question only`, where one holds the question, and no answer near it;
- `public text`, where documents hold a row of 13 words of its question or passage but not the question, or where more
  than `MANY_DOCUMENTS` hold a question without its answer, or a text that it does not ask about but only takes up;
- `templated`, where all that training has of it are rows of words that many items share;
- `clean` otherwise.

What is found stands word for word in the document: translations and paraphrases are not found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from libertas.corpus import Corpus, Piece
from libertas.curate.contamination.config import KINDS
from libertas.curate.contamination.match import Found, find_items
from libertas.curate.contamination.probe import Probe, make_probe, open_probe
from libertas.curate.contamination.words import words_of
from libertas.document import Document
from libertas.evaluate.contamination.items import Sought, sought_item
from libertas.evaluate.contamination.rules import PublishedRules, Ruled
from libertas.evaluate.task import Task
from libertas.terminal import progress

BOTH, ALONE, PUBLIC, TEMPLATED, CLEAN = "question and answer", "question only", "public text", "templated", "clean"
CLASSES = (BOTH, ALONE, PUBLIC, TEMPLATED, CLEAN)
"""The worst first."""
MANY_DOCUMENTS = 10
"""A text that more documents hold is publicly known (GPT-3 left out n-grams of more: Brown et al. 2020, appendix C)."""
ENOUGH_DOCUMENTS = 1000
"""Documents that hold an item of which no more are looked at: a licence stands in all of them."""
SAMPLE_PIECES = 4
"""Pieces of the corpus in which frequent words are counted: up to 16 MB of text."""
EXCERPT = 400
"""Characters of the matching text that are kept."""


@dataclass(frozen=True, slots=True)
class LeakHit:
    """The document that holds most of an item."""

    document: str
    url: str
    number: int
    """Of the document in the corpus, and in the token store."""
    start: int
    """First character of what matches."""
    end: int
    text: str
    """What matches, as the document has it; the first `EXCERPT` characters."""
    words: int
    """In the longest common row."""
    coverage: float
    """Share of the question's words in common rows."""
    bits: float
    """What the common words say."""
    step: int | None = None
    """The first training step that predicted any of it; None where no step did, or the order is not known."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What training has of one item."""

    kind: str
    """One of `CLASSES`."""
    documents: int
    """How many hold the question, or the part of it that was found; at most `ENOUGH_DOCUMENTS`."""
    told: bool
    """Whether the item says enough to be told from chance; otherwise it is `clean` whatever was read."""
    rules: tuple[str, ...]
    """Published rules that call it contaminated."""
    longest: int
    """Words of the longest contaminated span, which may stand in several documents."""
    coverage: float
    """Share of its rows of 8 words that stand anywhere in training."""
    hit: LeakHit | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {"class": self.kind, **asdict(self)}
        del found["kind"]
        return found


@dataclass(slots=True)
class _Seen:
    """What was found of one item so far."""

    documents: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    """Ids, by kind."""
    best: tuple[tuple[int, float, int], LeakHit] | None = None
    kind: str = ""

    @property
    def enough(self) -> bool:
        return sum(map(len, self.documents.values())) >= ENOUGH_DOCUMENTS

    def take(self, found: Found, hit: LeakHit) -> None:
        self.documents[found.kind].add(hit.document)
        rank = (KINDS.index(found.kind), -found.coverage, -found.words)
        if self.best is None or rank < self.best[0]:
            self.best, self.kind = (rank, hit), found.kind


Leaks = Mapping[str, Mapping[str, Leak]]
"""By task, then by the item's id."""


def find_leaks(tasks: Sequence[Task], corpus: Corpus) -> Leaks:
    """Look all items of some tasks up in a corpus, which is read once; memory does not grow with it.

    Raises:
        BrokenLineage: the corpus is damaged.
    """
    sought = [[sought_item(task.name, item) for item in task.items] for task in tasks]
    pieces = [piece for shard in range(len(corpus.shards)) for piece in corpus.pieces(shard)]
    with TemporaryDirectory() as folder:
        probe = make_probe(Path(folder), ([s.parts for s in own] for own in sought), _sample(pieces))
        seen, rules = _read(pieces, probe, PublishedRules(sought))
        told = probe.told().tolist()
        del probe
        open_probe.cache_clear()  # before its files are gone
    everything = [item for own in sought for item in own]
    judged = [_judged(item, seen.get(n), rules.ruled(n), told[n], corpus) for n, item in enumerate(everything)]
    first = 0
    found: dict[str, dict[str, Leak]] = {}
    for task in tasks:
        own = judged[first : first + len(task.items)]
        found[task.name] = {item.id: leak for item, leak in zip(task.items, own, strict=True)}
        first += len(task.items)
    return found


def _sample(pieces: Sequence[Piece]) -> Iterator[list[str]]:
    for piece in pieces[:: -(-len(pieces) // SAMPLE_PIECES) or 1]:
        yield [document.text for document in piece.read()]


def _read(pieces: Sequence[Piece], probe: Probe, rules: PublishedRules) -> tuple[dict[int, _Seen], PublishedRules]:
    """All pieces, in order; what was found of each item, by its number, and the rules."""
    seen: dict[int, _Seen] = {}
    done = np.zeros(len(probe.scales), np.bool_)
    with progress("items in training documents", sum(piece.documents for piece in pieces)) as bar:
        for piece in pieces:
            documents = piece.read()
            texts = [document.text for document in documents]
            words = words_of(texts)
            rules.read(texts, words, piece.first)
            for found in find_items(texts, probe, words, done):
                own = seen.setdefault(found.item, _Seen())
                own.take(found, _hit(documents[found.document], piece.first + found.document, found))
                done[found.item] = own.enough
            bar.advance(len(documents))
    return seen, rules


def _hit(document: Document, number: int, found: Found) -> LeakHit:
    text, url = document.text[found.start : found.end][:EXCERPT], str(document.meta.get("url", ""))
    return LeakHit(document.id, url, number, found.start, found.end, text, found.words, found.coverage, found.bits)


def _judged(item: Sought, seen: _Seen | None, ruled: Ruled, told: bool, corpus: Corpus) -> Leak:
    """The class of an item."""
    leak = Leak(CLEAN, 0, told, ruled.rules, ruled.longest, ruled.coverage, None)
    if seen is not None and seen.best is not None:
        asked = len(seen.documents["with_answer"] | seen.documents["question"])
        return replace(leak, kind=_kind(item, seen, asked), documents=asked or len(seen.documents["passage"]),
                       hit=seen.best[1])  # fmt: skip
    if not ruled.shared:
        return leak
    passage = len(item.parts.passage) if item.parts.passage else 0
    kind = PUBLIC if ruled.stretch[1] <= passage else TEMPLATED
    return replace(leak, kind=kind, hit=_shared_hit(item, ruled, corpus))


def _kind(item: Sought, seen: _Seen, documents: int) -> str:
    known = documents > MANY_DOCUMENTS
    if seen.kind == "with_answer" or (seen.kind == "question" and item.whole):
        return PUBLIC if known and not item.asked else BOTH
    return ALONE if seen.kind == "question" and not known else PUBLIC


def _shared_hit(item: Sought, ruled: Ruled, corpus: Corpus) -> LeakHit | None:
    """Where words that many items share were read first; the place in that document is not looked up."""
    if ruled.document < 0:
        return None
    document = corpus.document(ruled.document)
    text = item.text[slice(*ruled.stretch)][:EXCERPT]
    return LeakHit(document.id, str(document.meta.get("url", "")), ruled.document, 0, 0, text, ruled.longest,
               ruled.coverage, 0.0)  # fmt: skip
