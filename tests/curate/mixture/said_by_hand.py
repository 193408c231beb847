"""Side-car artifacts by hand, as the stages that judge documents leave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from libertas.corpus import Corpus, Piece
from libertas.curate.duplicates.clusters import CLUSTERS, CLUSTERS_SCHEMA
from libertas.curate.sidecar import AGAINST, AGAINST_SCHEMA, CUTS, CUTS_SCHEMA, rows_of, write_sidecars
from libertas.lineage.artifact import Draft

SCHEMAS = {AGAINST: AGAINST_SCHEMA, CUTS: CUTS_SCHEMA, CLUSTERS: CLUSTERS_SCHEMA}
Said = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class SaidConfig:
    """Settings of a side-car made by hand."""

    out: Path
    note: str


def say(piece: Piece, said: Said) -> dict[str, pa.Table]:
    """The rows about the documents of a piece, which `said` names by their ids."""
    numbers = {d.id: n for n, d in enumerate(piece.read(), piece.first)}
    return {
        table: rows_of(
            SCHEMAS[table],
            sorted(
                ({"number": numbers[r["document_id"]], **r} for r in rows if r["document_id"] in numbers),
                key=lambda row: row["number"],
            ),
        )
        for table, rows in said.items()
    }


def made_sidecar(
    corpora: Sequence[Path], out: Path, kind: str = "decisions", **said: Sequence[Mapping[str, Any]]
) -> Path:
    """An artifact that says this of some corpora."""
    config = SaidConfig(out=out, note=str(said))
    draft = Draft(kind=kind, out=out, config=config, inputs={"corpus": corpora}, code="libertas.curate.sidecar")
    with draft.build() as folder:
        schemas = {table: SCHEMAS[table] for table in said}
        write_sidecars([Corpus.open(c) for c in corpora], folder, partial(say, said=said), schemas, title="Saying")
    return out


def against(document_id: str, rule: str, reason: str, value: float = 1.0) -> dict[str, Any]:
    return {"document_id": document_id, "rule": rule, "reason": reason, "value": value}


def cut(document_id: str, start: int, end: int, replacement: str = "", rule: str = "pii") -> dict[str, Any]:
    return {"document_id": document_id, "start": start, "end": end, "replacement": replacement, "rule": rule}


def member(
    document_id: str, cluster: int, kind: str, similarity: float = 1.0, priority: float = 0.0, of: str = ""
) -> dict[str, Any]:
    return {
        "document_id": document_id,
        "cluster": cluster,
        "kind": kind,
        "similarity": similarity,
        "representative": of or document_id,
        "priority": priority,
    }
