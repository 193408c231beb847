"""One pass over the texts: what a worker counts in a piece, and how the counts of pieces come together, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from libertas.corpus import Corpus, Piece
from libertas.curate.datasheet.associations import Neighbours
from libertas.curate.datasheet.sample import KeyedSample, Sampled, key_of, sampled
from libertas.curate.datasheet.tally import Lengths, Tally
from libertas.curate.datasheet.words import domain_of, words_in, year_of
from libertas.document import Document
from libertas.engine import map_ordered
from libertas.errors import UsageError
from libertas.terminal import progress

NO_COMPONENT = "documents"
"""ComponentFacts of documents that name none."""
OTHERS = "(other components)"
"""Where documents go whose component came after `MOST_COMPONENTS` others."""
MOST_COMPONENTS = 256
MEASURES = ("characters", "bytes", "words", "tokens")
UNKNOWN = "(unknown)"
TALLIES = (
    "language",
    "script",
    "domain",
    "license",
    "opt_out",
    "published",
    "fetched",
    "content_type",
    "inferred",
    "archived",
)


@dataclass
class ComponentFacts:
    """What was counted in one component."""

    lengths: dict[str, Lengths] = field(default_factory=lambda: {name: Lengths() for name in MEASURES})
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in TALLIES})

    @property
    def documents(self) -> int:
        """How many there are."""
        return self.lengths["bytes"].count

    def merge(self, other: "ComponentFacts") -> None:
        """Count what another one has counted."""
        for name in MEASURES:
            self.lengths[name].merge(other.lengths[name])
        for name in TALLIES:
            self.tallies[name].merge(other.tallies[name])


@dataclass
class Measurements:
    """What was counted in some documents."""

    components: dict[str, ComponentFacts] = field(default_factory=dict)
    samples: dict[str, list[Sampled]] = field(default_factory=dict)
    neighbours: Neighbours = field(default_factory=Neighbours)


@dataclass(frozen=True, slots=True)
class Work:
    """A piece, and up to which key a document may still enter the sample of its component."""

    piece: Piece
    bounds: Mapping[str, int]


def measure_corpus(
    parts: Mapping[str, Corpus], tokenizer: Path | None, sample: int, seed: int, workers: int
) -> tuple[Measurements, dict[str, KeyedSample]]:
    """Read every document once; memory depends on the number of components, not of documents.

    Args:
        parts: name -> part of the corpus.
        tokenizer: a `tokenizer.json`, or None to count no tokens.
        sample: documents of each component to sample.
        seed: of the sample.
        workers: processes.

    Returns:
        The counts, and the sample of each component.
    """
    whole = Measurements()
    samples: dict[str, KeyedSample] = {}

    def work() -> Iterable[Work]:
        for corpus in parts.values():
            for shard in range(len(corpus.shards)):
                for piece in corpus.pieces(shard):
                    yield Work(piece, {name: each.bound for name, each in samples.items()})

    read = partial(measure, tokenizer=tokenizer, sample=sample, seed=seed)
    with progress("Reading", sum(map(len, parts.values()))) as bar:
        for found in map_ordered(read, work(), workers):
            documents = sum(c.documents for c in found.components.values())
            _merge(whole, samples, found, sample)
            bar.advance(documents, "documents")
    return whole, samples


def _merge(whole: Measurements, samples: dict[str, KeyedSample], found: Measurements, most: int) -> None:
    for name, component in found.components.items():
        home = name if name in whole.components or len(whole.components) < MOST_COMPONENTS else OTHERS
        whole.components.setdefault(home, ComponentFacts()).merge(component)
        samples.setdefault(home, KeyedSample(most)).merge(found.samples[name])
    whole.neighbours.merge(found.neighbours)


def measure(work: Work, tokenizer: Path | None, sample: int, seed: int) -> Measurements:
    """Count one piece; runs in a worker process."""
    found = Measurements()
    lengths: dict[str, dict[str, list[int]]] = {}
    chosen: dict[str, KeyedSample] = {}
    for document in work.piece.read():
        name = str(document.meta.get("component", NO_COMPONENT))
        if name not in found.components:
            found.components[name] = ComponentFacts()
            lengths[name] = {measure: [] for measure in MEASURES}
            chosen[name] = KeyedSample(sample)
        counted = _counted(document, tokenizer, found.neighbours)
        for measure, length in counted.items():
            lengths[name][measure].append(length)
        _describe(found.components[name].tallies, document, counted["bytes"])
        key = key_of(seed, document.id)
        if key <= min(chosen[name].bound, work.bounds.get(name, 1 << 64)):
            chosen[name].add(sampled(document, key))
    for name, component in found.components.items():
        for measure, values in lengths[name].items():
            component.lengths[measure].extend(values)
    found.samples = {name: each.documents for name, each in chosen.items()}
    return found


def _counted(document: Document, tokenizer: Path | None, neighbours: Neighbours) -> dict[str, int]:
    """Lengths of a text; what stands near which word is counted on the way, where the text may be English."""
    text, language = document.text, document.meta.get("language")
    words = words_in(text)
    if language is None or language == "en":
        neighbours.read([w.lower() for w in words])
    counted = {"characters": len(text), "bytes": len(text.encode()), "words": len(words)}
    if tokenizer is not None:
        counted["tokens"] = len(_tokenizer(tokenizer).encode(text, add_special_tokens=False).ids)
    return counted


def _describe(tallies: dict[str, Tally], document: Document, size: int) -> None:
    """Count what `meta` says."""
    meta = document.meta
    for name in ("language", "script", "license", "content_type"):
        value = meta.get(name)
        tallies[name].add(value if isinstance(value, str) and value else UNKNOWN, 1, size)
    tallies["domain"].add(domain_of(meta.get("url")), 1, size)
    tallies["published"].add(year_of(meta.get("published")) or UNKNOWN, 1, size)
    tallies["fetched"].add(year_of(meta.get("date")) or UNKNOWN, 1, size)
    for name in ("opt_out", "inferred"):
        for value in _list(meta.get(name)):
            tallies[name].add(value, 1, size)
    if isinstance(meta.get("warc"), dict):
        tallies["archived"].add(ANY, 1, size)
    if "opt_out" in meta:
        tallies["opt_out"].add(ANY, 1, size)


ANY = "(any)"
"""Name under which documents are counted that carry any opt-out at all."""


def _list(value: Any) -> list[str]:
    """The different texts of a list."""
    return sorted({v for v in value if isinstance(v, str)}) if isinstance(value, list) else []


@lru_cache(maxsize=1)
def _tokenizer(path: Path) -> Tokenizer:
    """The tokenizer, read once in each process."""
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for malformed JSON
        raise UsageError(f"{path} is not a tokenizer.json ({error}); expected one, or tokens that have one") from error
    found.no_truncation()
    found.no_padding()
    found.encode_special_tokens = True
    return found
