"""Corpora -> decisions: what every rule said of every document, and which documents are duplicates of which.

Nothing is deleted here. `decisions.parquet` has a row per document and applied rule, in corpus order, for documents
that stay as well; `duplicates.parquet` has a row per document that is in a cluster of duplicates, the kept one
included (its kind is `kept`). `mix` acts on the rows; another threshold needs no new reading of HTML.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from libertas.corpus import Corpus
from libertas.curate import exact, minhash
from libertas.curate.config import CurateConfig
from libertas.curate.rules import Verdict, applicable, is_code, language_verdict
from libertas.document import Decision, Document
from libertas.engine import map_ordered
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.terminal import progress

DECISIONS, DUPLICATES = "decisions.parquet", "duplicates.parquet"
DECISIONS_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("component", pa.string()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""`value` is what the rule measured; `reason` is null where the rule lets the document stay."""
DUPLICATES_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("kept_id", pa.string()),
        ("kind", pa.string()),
        ("similarity", pa.float64()),
        ("cluster", pa.int64()),
    ]
)
"""`kind` is exact, near or kept; `similarity` is with the kept document; clusters count from 0 in corpus order."""

BATCH_CHARACTERS = 1 << 18
"""Text that a worker reads at a time: enough to make vectorized hashing pay, little enough to share out evenly."""
UNNAMED = "documents"
"""Component of documents that name none."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass over a document's text found."""

    id: str
    component: str
    verdicts: dict[str, Verdict]
    key: bytes
    """Of the text, for exact duplicates."""
    signature: minhash.Signatures
    """Shape (112,)."""

    @property
    def stays(self) -> bool:
        """Whether no rule speaks against the document."""
        return all(v.reason is None for v in self.verdicts.values())


def curate(config: CurateConfig) -> Path:
    """Make the decisions that the config describes, or find them made; returns their directory.

    Raises:
        UsageError: an input is no corpus, or two of them hold the same document.
    """
    draft = Draft(kind="decisions", out=config.out, config=config, inputs={"corpus": config.corpora}, code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    if draft.finished():
        return config.out
    require_distinct(corpora)
    with draft.build() as folder:
        readings = list(_read(corpora, config))
        parent, kept = cluster(readings, config.near_duplicate_similarity)
        rows = [row for i, r in enumerate(readings) for row in _rows(r, _duplicate_verdicts(i, readings, kept))]
        pq.write_table(pa.Table.from_pylist(rows, DECISIONS_SCHEMA), folder / DECISIONS, compression="zstd")
        duplicates = pa.Table.from_pylist(list(_cluster_rows(readings, parent, kept)), DUPLICATES_SCHEMA)
        pq.write_table(duplicates, folder / DUPLICATES, compression="zstd")
        _count(draft, readings, rows)
    return config.out


def require_distinct(corpora: Sequence[Corpus]) -> None:
    """Refuse corpora that share a document: decisions name documents by id.

    Raises:
        UsageError: naming the document and both corpora.
    """
    where: dict[str, Path] = {}
    for corpus in corpora:
        for identifier in corpus.ids():
            if identifier in where:
                raise UsageError(
                    f"document {identifier} is in {where[identifier]} and in {corpus.path}; "
                    "expected corpora without common records: gather each archive once"
                )
            where[identifier] = corpus.path


def document_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Consecutive documents of about `BATCH_CHARACTERS` together, at least one each."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def component_of(document: Document) -> str:
    """The part of the mixture that a document belongs to."""
    return str(document.meta.get("component", UNNAMED))


def _read(corpora: Sequence[Corpus], config: CurateConfig) -> Iterator[Reading]:
    documents = (document for corpus in corpora for document in corpus)
    work = ((config.rules, config.languages, batch) for batch in document_batches(documents))
    with progress("Curating", sum(map(len, corpora))) as bar:
        for readings in map_ordered(_examine, work, config.workers):
            yield from readings
            bar.advance(len(readings), "documents")


def _examine(work: tuple[tuple[str, ...], tuple[str, ...], list[Document]]) -> list[Reading]:
    """Apply the rules, wanted languages first, and hash the texts; runs in a worker process."""
    rules, languages, documents = work
    signs = minhash.signatures([d.text for d in documents])
    return [
        Reading(d.id, component_of(d), _verdicts(d, rules, languages), exact.text_key(d.text), signature)
        for d, signature in zip(documents, signs, strict=True)
    ]


def _verdicts(document: Document, rules: tuple[str, ...], languages: tuple[str, ...]) -> dict[str, Verdict]:
    by_language = {"language": language_verdict(document, languages)} if languages and not is_code(document) else {}
    return by_language | {name: rule(document) for name, rule in applicable(document, rules).items()}


def cluster(readings: Sequence[Reading], similarity: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clusters of duplicates, exact and near, over documents in corpus order.

    Returns:
        For every document the first position in its cluster, and the position of the one to keep: the first that
        every rule lets stay, or the first where none does. Both of shape (documents,).
    """
    parent = clusters([r.key for r in readings], np.array([r.signature for r in readings]), similarity)
    best: dict[int, tuple[bool, int]] = {}
    for position, reading in enumerate(readings):
        candidate = (not reading.stays, position)
        best[int(parent[position])] = min(candidate, best.get(int(parent[position]), candidate))
    return parent, np.array([best[int(p)][1] for p in parent], dtype=np.int64)


def clusters(keys: Sequence[bytes], signs: minhash.Signatures, similarity: float) -> NDArray[np.int64]:
    """For every document the first position in its cluster of exact and near duplicates, shape (documents,)."""
    parent = exact.first_with_same_key(keys)
    distinct = np.flatnonzero(parent == np.arange(len(parent)))
    near = distinct[minhash.components(signs[distinct], similarity)]
    parent[distinct] = near
    return parent[parent]


def _duplicate_verdicts(position: int, readings: Sequence[Reading], kept: NDArray[np.int64]) -> dict[str, Verdict]:
    """Both rules speak of every document; at most one of them speaks against it."""
    this, other = readings[position], readings[kept[position]]
    same = Verdict(0.0)
    near = Verdict(0.0)
    if this is not other:
        if this.key == other.key:
            same = Verdict(1.0, "same text as a kept document")
        else:
            near = Verdict(_alike(this, other), "near-duplicate of a kept document")
    return {"exact_duplicate": same, "near_duplicate": near}


def _alike(left: Reading, right: Reading) -> float:
    return 1.0 if left.key == right.key else float(minhash.similarity(left.signature, right.signature))


def _rows(reading: Reading, duplicate: dict[str, Verdict]) -> Iterator[dict[str, str | float | None]]:
    for rule, verdict in (reading.verdicts | duplicate).items():
        yield {
            "document_id": reading.id,
            "component": reading.component,
            "rule": rule,
            "value": float(verdict.value),
            "reason": verdict.reason,
        }


def _cluster_rows(
    readings: Sequence[Reading], parent: NDArray[np.int64], kept: NDArray[np.int64]
) -> Iterator[dict[str, str | float | int]]:
    sizes = Counter(parent.tolist())
    numbers: dict[int, int] = {}
    for position, reading in enumerate(readings):
        first = int(parent[position])
        if sizes[first] < 2:
            continue
        other = readings[kept[position]]
        kind = "kept" if reading is other else "exact" if reading.key == other.key else "near"
        yield {
            "document_id": reading.id,
            "kept_id": other.id,
            "kind": kind,
            "similarity": _alike(reading, other),
            "cluster": numbers.setdefault(first, len(numbers)),
        }


def _count(draft: Draft, readings: Sequence[Reading], rows: Iterable[dict[str, str | float | None]]) -> None:
    """Write documents in, out and dropped into the manifest: in all, by component, by rule and by reason."""
    first_against: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row["reason"] is not None:
            first_against.setdefault(str(row["document_id"]), (str(row["rule"]), str(row["reason"])))
    read = Counter(r.component for r in readings)
    dropped = Counter(r.component for r in readings if r.id in first_against)
    staying = sum(r.id not in first_against for r in readings)
    assert len(readings) == staying + len(first_against), "a document vanished"
    draft.counts.update(
        documents={"in": len(readings), "out": staying, "dropped": len(first_against)},
        dropped=dict(sorted(Counter(reason for _, reason in first_against.values()).items())),
        dropped_by_rule=dict(sorted(Counter(rule for rule, _ in first_against.values()).items())),
        components={
            name: {"in": n, "out": n - dropped[name], "dropped": dropped[name]} for name, n in sorted(read.items())
        },
    )


def decisions_of(path: Path, document_id: str) -> list[Decision]:
    """Everything that was decided about one document, in the order of the rules.

    Raises:
        UsageError: `path` holds no decisions, or none about this document.
    """
    require_decisions(path)
    wanted = [("document_id", "=", document_id)]
    rows = pq.read_table(path / DECISIONS, filters=wanted).to_pylist()
    if not rows:
        raise UsageError(f"{path} has no decisions about document {document_id}; ids have 32 hexadecimal digits")
    kept = {row["kind"]: row["kept_id"] for row in pq.read_table(path / DUPLICATES, filters=wanted).to_pylist()}
    names = {"exact_duplicate": kept.get("exact"), "near_duplicate": kept.get("near")}
    return [
        Decision(
            document_id,
            row["rule"],
            f"{row['reason']}, {names[row['rule']]}" if names.get(row["rule"]) else row["reason"],
            row["value"],
        )
        for row in rows
    ]


def require_decisions(path: Path) -> None:
    """Refuse what is not an artifact of `curate`.

    Raises:
        UsageError: it is something else.
    """
    kind = read_manifest(path).kind
    if kind != "decisions":
        raise UsageError(f"{path} is an artifact of kind {kind}; expected decisions made by `libertas curate`")
