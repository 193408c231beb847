"""Corpora and decisions -> one corpus with the parts `train` and `validation`, mixed by weights.

Documents that stay are held out by whole clusters of near-duplicates, then the split is proven unseen, then each
component is repeated or thinned to its weight, and the components are interleaved. Whatever is not in the mixture is in
`drops.parquet`, with rule, reason and value.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from libertas.corpus import Corpus, CorpusWriter
from libertas.curate import exact, minhash
from libertas.curate.config import NEAR_DUPLICATE_SIMILARITY, MixConfig
from libertas.curate.decide import DECISIONS, component_of, document_batches, require_decisions, require_distinct
from libertas.curate.split import Entry, SharedNgrams, Split, hold_out, keyed, prove_unseen, weight_of
from libertas.document import Document, Drop
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.spelling import nearest
from libertas.terminal import progress

DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("component", pa.string()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
    ]
)


def mix(config: MixConfig) -> Corpus:
    """Make the mixed corpus that the config describes, or find it made; returns its training part.

    Raises:
        UsageError: the decisions are about other corpora, a weight names no component, nothing is left, or too much
            would be held out.
    """
    inputs = {"corpus": config.corpora, "decisions": (config.decisions,) if config.decisions else ()}
    draft = Draft(kind="corpus", out=config.out, config=config, inputs=inputs, code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    similarity = NEAR_DUPLICATE_SIMILARITY
    if config.decisions is not None:
        similarity = _similarity_decided(config.decisions, draft)
    if draft.finished():
        return Corpus.open(config.out, "train")
    require_distinct(corpora)
    with draft.build() as folder:
        entries = list(_read(corpora))
        _require_components(config, entries)
        split = _apply(entries, config.decisions)
        split = hold_out(split, config, similarity)
        split = thin(split, config)
        order = interleave(repeat(split.train, config))
        proof = prove_unseen(split, similarity)
        proof["ngram_share"] = _write(folder, corpora, order, split)
        _count(draft, config, entries, split, order)
        draft.counts["unseen"] = proof
    return Corpus.open(config.out, "train")


def _similarity_decided(decisions: Path, draft: Draft) -> float:
    """The similarity that the decisions call near, once they are known to be about the same corpora."""
    require_decisions(decisions)
    manifest = read_manifest(decisions)
    decided = sorted(i.content for i in manifest.inputs if i.role == "corpus")
    given = sorted(i.content for i in draft.inputs if i.role == "corpus")
    if decided != given:
        of = ", ".join(Path(i.path).name for i in manifest.inputs if i.role == "corpus")
        raise UsageError(
            f"{decisions} was decided for {len(decided)} corpora with other content ({of}); "
            f"expected the {len(given)} given: run `libertas curate` on them again"
        )
    return float(manifest.config["near_duplicate_similarity"])


def _read(corpora: Sequence[Corpus]) -> Iterator[Entry]:
    with progress("Reading", sum(map(len, corpora))) as bar:
        for place, corpus in enumerate(corpora):
            number = 0
            for batch in document_batches(corpus):
                signs = minhash.signatures([d.text for d in batch])
                for document, signature in zip(batch, signs, strict=True):
                    size, key = len(document.text.encode()), exact.text_key(document.text)
                    yield Entry(document.id, component_of(document), place, number, size, key, signature)
                    number += 1
                bar.advance(len(batch), "documents")


def _require_components(config: MixConfig, entries: Sequence[Entry]) -> None:
    known = {e.component for e in entries}
    for name in config.weights:
        if name not in known:
            raise UsageError(f"weights: there is no component {name!r}; {nearest(name, known)}")


def _apply(entries: Sequence[Entry], decisions: Path | None) -> Split:
    """Everything that no decision speaks against, as training data; the first reason that speaks counts."""
    against: dict[str, Drop] = {}
    if decisions is not None:
        spoken = pq.read_table(decisions / DECISIONS, filters=[("reason", "!=", "")])
        for row in spoken.to_pylist():
            against.setdefault(row["document_id"], Drop(row["rule"], row["reason"], row["value"]))
    staying = [e for e in entries if e.id not in against]
    if not staying:
        raise UsageError(
            f"{decisions or 'the corpora'} leaves none of {len(entries)} documents to mix; "
            "expected at least two: curate with fewer `rules` or more `languages`"
        )
    return Split(staying, [], [(e, against[e.id]) for e in entries if e.id in against])


def thin(split: Split, config: MixConfig) -> Split:
    """Drop what a weight below 1 leaves out of the single, partial pass over a component."""
    drops = []
    for component, members in _by_component(split.train).items():
        weight = weight_of(config, component)
        if weight < 1.0:
            seen = {e.id for e in part_of_pass(members, weight, config.seed)}
            drop = Drop("weight", "beyond the weight of its component", weight)
            drops += [(e, drop) for e in members if e.id not in seen]
    return split.without(drops)


def part_of_pass(members: Sequence[Entry], share: float, seed: int) -> list[Entry]:
    """The documents of smallest keyed hash whose bytes come nearest to a share of all bytes, in corpus order.

    At least one document for a share above 0, so that no component vanishes by rounding.
    """
    ordered = sorted(members, key=lambda e: (keyed(seed, "weight", e.id), e.id))
    sums = np.cumsum([0] + [e.size for e in ordered])
    count = int(np.argmin(np.abs(sums - share * sums[-1])))
    chosen = {e.id for e in ordered[: max(count, 1 if share > 0 else 0)]}
    return [e for e in members if e.id in chosen]


def _by_component(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    result: dict[str, list[Entry]] = {name: [] for name in sorted({e.component for e in entries})}
    for entry in entries:
        result[entry.component].append(entry)
    return result


def repeat(train: Sequence[Entry], config: MixConfig) -> dict[str, list[Entry]]:
    """Per component its documents as often as its weight says: whole passes, then part of one.

    `train` has been thinned already, so a weight below 1 means one pass over what is there.
    """
    streams = {}
    for component, members in _by_component(train).items():
        passes, part = divmod(max(weight_of(config, component), 1.0), 1.0)
        rest = part_of_pass(members, part, config.seed) if part else []
        streams[component] = members * math.floor(passes) + rest
    return streams


def interleave(streams: dict[str, list[Entry]]) -> list[Entry]:
    """One stream in which every prefix holds each component's share of bytes, to within a document of each.

    Each document stands where its middle byte lies in its component, as a fraction; the smallest fraction comes first.
    """

    def placed(component: str, stream: list[Entry]) -> Iterator[tuple[float, str, int, Entry]]:
        total, before = sum(e.size for e in stream) + len(stream), 0
        for k, entry in enumerate(stream):
            size = entry.size + 1  # so that empty texts have a place, too
            yield (before + size / 2) / total, component, k, entry
            before += size

    return [entry for *_, entry in heapq.merge(*(placed(c, s) for c, s in sorted(streams.items())))]


def _write(folder: Path, corpora: Sequence[Corpus], order: Sequence[Entry], split: Split) -> dict[str, float]:
    """Write both parts and the drops; returns the share of validation n-grams that training has, by component."""
    overlap = SharedNgrams()
    with CorpusWriter(folder / "validation", "validation") as writer:
        for entry in split.validation:
            document = _document(corpora, entry)
            overlap.expect(entry.component, document.text)
            writer.add(document)
    overlap.ready()
    written: set[str] = set()
    with CorpusWriter(folder / "train", "train") as writer, progress("Mixing", len(order)) as bar:
        for entry in order:
            document = _document(corpora, entry)
            writer.add(document)
            if entry.id not in written:
                overlap.meet(document.text)
                written.add(entry.id)
            bar.advance(1, "documents")
    rows = [
        {
            "document_id": e.id,
            "component": e.component,
            "rule": d.rule,
            "reason": d.reason,
            "value": d.value,
        }
        for e, d in sorted(split.drops, key=lambda drop: (drop[0].corpus, drop[0].number))
    ]
    pq.write_table(pa.Table.from_pylist(rows, DROPS_SCHEMA), folder / DROPS, compression="zstd")
    return overlap.shares()


def _document(corpora: Sequence[Corpus], entry: Entry) -> Document:
    document = corpora[entry.corpus].document(entry.number)
    assert document.id == entry.id, f"{corpora[entry.corpus].path} changed while it was read"
    return replace(document, meta={**document.meta, "component": entry.component})


def _count(draft: Draft, config: MixConfig, entries: Sequence[Entry], split: Split, order: Sequence[Entry]) -> None:
    out, dropped = len(split.train) + len(split.validation), len(split.drops)
    assert len(entries) == out + dropped, "a document vanished"
    assert {e.id for e in order} == {e.id for e in split.train}, "the training stream lacks a document"
    all_bytes = sum(e.size for e in order)
    components = {}
    for name in sorted({e.component for e in entries}):
        seen = [e.size for e in order if e.component == name]
        distinct = sum(e.component == name for e in split.train)
        held = [e.size for e in split.validation if e.component == name]
        components[name] = {
            "documents": distinct,
            "copies": len(seen) - distinct,
            "bytes": sum(seen),
            "share": round(sum(seen) / all_bytes, 6) if all_bytes else 0.0,
            "weight": weight_of(config, name),
            "validation_documents": len(held),
            "validation_bytes": sum(held),
            "dropped": sum(e.component == name for e, _ in split.drops),
        }
    draft.counts.update(
        documents={"in": len(entries), "out": out, "dropped": dropped},
        train_documents=len(split.train),
        validation_documents=len(split.validation),
        copies=len(order) - len(split.train),
        train_bytes=all_bytes,
        dropped=dict(sorted(Counter(d.reason for _, d in split.drops).items())),
        components=components,
    )
