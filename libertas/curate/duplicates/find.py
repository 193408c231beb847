"""Corpora -> side-cars that say which documents, lines and spans are duplicates of which. Nothing is deleted here.

Every step is a row of tasks that write arrays; what must be joined is written as sorted runs and read by ranges of
keys. So memory does not grow with the corpora, an interruption costs the tasks under way, and the result is the same
for any number of processes and on a cluster.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from libertas.corpus import Corpus, Piece
from libertas.curate.duplicates.clusters import (
    CLUSTERS,
    CLUSTERS_SCHEMA,
    KINDS,
    choose_representatives,
    cluster_rows,
)
from libertas.curate.duplicates.components import label_components
from libertas.curate.duplicates.config import FIRST, LINE_CHARACTERS, SIMILARITY, WINDOW_WORDS, DedupConfig
from libertas.curate.duplicates.copies import find_copies
from libertas.curate.duplicates.cuts import CUT_METHODS, cut_rows
from libertas.curate.duplicates.layout import TableLayout, lay_out
from libertas.curate.duplicates.lines import cut_lines
from libertas.curate.duplicates.near import find_pairs
from libertas.curate.duplicates.sign import sign_tasks
from libertas.curate.duplicates.substring import cut_spans
from libertas.curate.duplicates.tasks import complete
from libertas.curate.sidecar import CUTS, CUTS_SCHEMA, require_distinct, sidecar_path, write_sidecars
from libertas.lineage.artifact import Draft

WORK = "work"
"""Folder of all that is only needed on the way."""


def dedup(config: DedupConfig) -> Path:
    """Find the duplicates that the config describes, or find them found; returns their directory.

    Raises:
        UsageError: an input is no corpus, or two of them hold the same document.
    """
    draft = Draft(kind="duplicates", out=config.out, config=config, inputs={"corpus": config.corpora}, code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    if draft.finished():
        return config.out
    require_distinct(corpora)
    with draft.build(resume=True) as folder:
        draft.counts.update(
            find_duplicates(
                corpora,
                folder,
                methods=config.methods,
                similarity=config.similarity,
                priority=config.priority,
                spans=CutSettings(config.line_characters, config.line_documents, config.window_words),
                workers=config.workers,
                engine=config.engine,
            )
        )
    return config.out


@dataclass(frozen=True, slots=True)
class CutSettings:
    """What `lines` and `substring` look for, as in `DedupConfig`."""

    line_characters: int = LINE_CHARACTERS
    line_documents: int = 1
    window_words: int = WINDOW_WORDS


def find_duplicates(
    corpora: Sequence[Corpus],
    folder: Path,
    *,
    methods: Sequence[str] = ("exact", "near"),
    similarity: float = SIMILARITY,
    priority: tuple[str, ...] = (FIRST,),
    spans: CutSettings = CutSettings(),
    workers: int = 1,
    engine: str = "local",
) -> dict[str, dict[str, int]]:
    """Write side-cars `clusters/{corpus}-{shard}.parquet`, and `cuts` if asked for, below a folder, and count them.

    Args:
        corpora: corpora, or parts of them, without common documents; clusters go across all of them.
        folder: what an interrupted call left in it is used again; it must be for the same corpora and settings.
        methods: some of `METHODS`; exact copies are always found.
        similarity: Jaccard similarity from which two documents are near-duplicates.
        priority: which document represents a cluster, as in `DedupConfig`.
        spans: for the methods that cut.
        workers: processes on this machine.
        engine: `local`, or `ray` for tasks on a cluster that shares the folder.
    """
    schemas = {CLUSTERS: CLUSTERS_SCHEMA} | ({CUTS: CUTS_SCHEMA} if set(methods) & set(CUT_METHODS) else {})
    layout, chunks = lay_out(corpora, folder / WORK)
    if not all(path.exists() for table in schemas for path in _sidecars(corpora, folder, table)):
        layout.folder.mkdir(parents=True, exist_ok=True)
        near = "near" in methods
        complete(sign_tasks(layout, chunks, priority, near), "Reading", workers, engine)
        if chunks:
            find_copies(layout, chunks, workers, engine)
        if chunks and near:
            find_pairs(layout, similarity, workers, engine)
            label_components(layout, workers, engine)
        if chunks:
            choose_representatives(layout, near, workers, engine)
        if chunks and "lines" in methods:
            cut_lines(layout, chunks, spans.line_characters, spans.line_documents, workers, engine)
        if chunks and "substring" in methods:
            cut_spans(layout, chunks, spans.window_words, workers, engine)
        rows = partial(_tables, layout, tuple(methods))
        write_sidecars(corpora, folder, rows, schemas, title="Writing", workers=workers, engine=engine)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    return _counts(corpora, folder, layout, CUTS in schemas)


def _tables(layout: TableLayout, methods: tuple[str, ...], piece: Piece) -> dict[str, pa.Table]:
    cuts = {CUTS: cut_rows(layout, methods, piece)} if set(methods) & set(CUT_METHODS) else {}
    return {CLUSTERS: cluster_rows(layout, piece), **cuts}


def _sidecars(corpora: Sequence[Corpus], folder: Path, table: str) -> list[Path]:
    return [
        sidecar_path(folder, table, number, shard)
        for number, corpus in enumerate(corpora)
        for shard in range(len(corpus.shards))
    ]


def _counts(corpora: Sequence[Corpus], folder: Path, layout: TableLayout, cut: bool) -> dict[str, dict[str, int]]:
    """Documents in and out (all of them: nothing is dropped), and how many are of which kind."""
    kinds = _tally(_sidecars(corpora, folder, CLUSTERS), "kind")
    assert sum(kinds.values()) <= len(layout), "a document is in two clusters"
    counts = {
        "documents": {"in": len(layout), "out": len(layout), "dropped": 0},
        "clusters": {"clusters": kinds[KINDS[0]], "exact": kinds["exact"], "near": kinds["near"]},
    }
    if cut:
        counts["cuts"] = dict(sorted(_tally(_sidecars(corpora, folder, CUTS), "rule").items()))
    return counts


def _tally(paths: Sequence[Path], column: str) -> Counter[str]:
    """How often each value stands in a column."""
    found: Counter[str] = Counter()
    for path in paths:
        values = pq.read_table(path, columns=[column], partitioning=None)[column]
        found.update({each["values"]: each["counts"] for each in values.value_counts().to_pylist()})
    return found
