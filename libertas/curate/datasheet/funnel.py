"""What was left out, from the archives to the corpus: every rule with its counts and some documents it spoke against.

Reads the tables that stages left: `drops.parquet` of `pack`, `gather` and `mix`, `against` of the side-cars. Examples
are the documents of smallest id; ids are hashes, so nobody chose them. A stage whose directory is gone is named so.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from libertas.corpus import Corpus
from libertas.curate.datasheet.tally import rounded
from libertas.curate.datasheet.words import without_contacts
from libertas.curate.sidecar import AGAINST, SIDECAR_KINDS
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.manifest import Manifest, is_artifact, read_manifest
from libertas.lineage.walk import parent_path

EXAMPLES = 3
EXCERPT_CHARACTERS = 240
RULES = 200
"""Rules of a stage that are listed; rarer ones are added up."""
NAMES_OF_ID = ("document_id", "record_id", "uri")
"""Columns that may name what was dropped, the best first."""
LIMIT = re.compile(r"(?:above|below|over|under|than|at least|at most) (-?[\d,.]*\d)")
"""How rules write the limit into their reason."""


@dataclass
class Ancestor:
    """One artifact on the way to a corpus."""

    path: Path
    manifest: Manifest | None
    """None where it is gone."""
    name: str


@dataclass
class RuleCount:
    """What one rule did."""

    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    """Rows of smallest id, at most `EXAMPLES`."""


def history(corpus: Path, decisions: Sequence[Path]) -> list[Ancestor]:
    """Every artifact that made a corpus what it is, archives first, the corpus itself last.

    Raises:
        BrokenLineage: one of them was made again with other content.
    """
    found: dict[Path, Ancestor] = {}

    def visit(path: Path, content: str | None, name: str) -> None:
        if path in found:
            return
        manifest = read_manifest(path) if is_artifact(path) else None
        if manifest and content not in (None, manifest.content):
            raise BrokenLineage(f"{path} was rebuilt with other content since {corpus} was made; rebuild {corpus}")
        for source in manifest.inputs if manifest else ():
            if source.kind != "file":
                visit(parent_path(path, source), source.content, source.kind)
        found[path] = Ancestor(path, manifest, name)

    for path in decisions:
        visit(path.resolve(), None, "decisions")
    visit(corpus.resolve(), None, "corpus")
    order = ("archive", "gathered", *SIDECAR_KINDS, "mixed", "corpus")
    stages = [Ancestor(s.path, s.manifest, _kind(s)) for s in found.values()]
    return sorted(stages, key=lambda s: order.index(s.name) if s.name in order else len(order))


def _kind(stage: Ancestor) -> str:
    if stage.manifest is None or stage.manifest.kind != "corpus":
        return stage.manifest.kind if stage.manifest else stage.name
    return "mixed" if any(i.kind == "corpus" for i in stage.manifest.inputs) else "gathered"


TITLES = {
    "archive": ("Packing", "parts"),
    "gathered": ("Gathering", "records"),
    "decisions": ("Quality rules", "documents"),
    "duplicates": ("Duplicates", "documents"),
    "overlaps": ("Contamination", "documents"),
    "redactions": ("Personal data", "documents"),
    "mixed": ("Mixing", "documents"),
}
"""What a stage is called, and what comes into it."""


def funnel_facts(stages: Sequence[Ancestor]) -> list[dict[str, Any]]:
    """A row for each kind of stage, archives and corpora taken together, every side-car for itself."""
    rows = []
    for kind in ("archive", "gathered"):
        if members := [s for s in stages if s.name == kind]:
            rows.append(_passage(kind, members))
    rows += [_passage(s.name, [s]) for s in stages if s.name in (*SIDECAR_KINDS, "mixed")]
    return [row for row in rows if row["missing"] or row["in"] is not None or row["rules"]]


def _passage(kind: str, members: Sequence[Ancestor]) -> dict[str, Any]:
    title, unit = TITLES[kind]
    present = [(s.path, s.manifest) for s in members if s.manifest]
    counts = [m.counts["documents"] for _, m in present if isinstance(m.counts.get("documents"), dict)]
    rules: dict[tuple[str, str], RuleCount] = {}
    tables = [table for path, _ in present for table in _tables(path, kind)]
    dropped = _read(tables, rules)
    corpora = _corpora([parent_path(p, i) for p, m in present for i in m.inputs if i.kind == "corpus"])
    if not rules:  # written by a version that kept no such table
        for _, manifest in present:
            for reason, count in dict(manifest.counts.get("dropped", {})).items():
                rules.setdefault(("", str(reason)), RuleCount()).count += int(count)
        dropped = sum(rule.count for rule in rules.values())
    ordered = sorted(rules.items(), key=lambda pair: (-pair[1].count, pair[0]))
    return {
        "stage": kind,
        "title": title,
        "unit": unit,
        "artifacts": len(members),
        "missing": len(members) - len(present),
        "in": sum(int(c["in"]) for c in counts) if counts else None,
        "dropped": dropped,
        "rules": [_rule_facts(key, rule, corpora) for key, rule in ordered[:RULES]],
        "further_rules": len(ordered[RULES:]),
    }


def _tables(path: Path, kind: str) -> list[Path]:
    if kind in SIDECAR_KINDS:
        return sorted((path / AGAINST).glob("*.parquet"))
    return (
        [path / "drops.parquet"] if (path / "drops.parquet").is_file() else sorted((path / "drops").glob("*.parquet"))
    )


def _read(tables: Iterable[Path], rules: dict[tuple[str, str], RuleCount]) -> int:
    """Count rows by rule and reason; returns of how many documents they speak, whose rows stand together."""
    different = 0
    for path in tables:
        last = None
        for batch in parquet_batches(path):
            name = next((n for n in NAMES_OF_ID if n in batch.column_names), None)
            if name is None or not len(batch):
                continue
            ids = batch.column(name)
            different += int(pc.sum(pc.not_equal(ids[1:], ids[:-1])).as_py() or 0) + (ids[0].as_py() != last)
            last = ids[-1].as_py()
            for key in _keys(batch):
                _add(rules.setdefault(key, RuleCount()), _rows_of(batch, key), name)
    return different


def parquet_batches(path: Path) -> Iterator[pa.Table]:
    """The rows of a Parquet file, some at a time, nulls in texts as empty texts."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1 << 16):
            table = pa.Table.from_batches([batch])
            for place, each in enumerate(table.schema):
                if pa.types.is_string(each.type):
                    table = table.set_column(place, each.name, pc.fill_null(table.column(place), ""))
            yield table.combine_chunks()


def _keys(batch: pa.Table) -> list[tuple[str, str]]:
    groups = batch.group_by([n for n in ("rule", "reason") if n in batch.column_names]).aggregate([])
    return [(str(row.get("rule", "")), str(row.get("reason", ""))) for row in groups.to_pylist()]


def _rows_of(batch: pa.Table, key: tuple[str, str]) -> pa.Table:
    for name, value in zip(("rule", "reason"), key, strict=True):
        if name in batch.column_names:
            batch = batch.filter(pc.equal(batch.column(name), value))
    return batch


def _add(rule: RuleCount, rows: pa.Table, name: str) -> None:
    rule.count += len(rows)
    first = rows.take(pc.select_k_unstable(rows, k=EXAMPLES, sort_keys=[(name, "ascending")])).to_pylist()
    found = [{"id": row[name], "url": row.get("uri"), "value": row.get("value")} for row in first]
    distinct = {example["id"]: example for example in [*found, *rule.examples]}
    rule.examples = [distinct[i] for i in sorted(distinct)[:EXAMPLES]]


def _corpora(paths: Iterable[Path]) -> list[Corpus]:
    """Those that are still there."""
    return [Corpus.open(path) for path in paths if is_artifact(path)]


def _rule_facts(key: tuple[str, str], rule: RuleCount, corpora: Sequence[Corpus]) -> dict[str, Any]:
    limit = LIMIT.search(key[1])
    return {
        "rule": key[0],
        "reason": key[1],
        "count": rule.count,
        "limit": limit[1].rstrip(".,") if limit else None,
        "examples": [_example(example, corpora) for example in rule.examples],
    }


def _example(example: dict[str, Any], corpora: Sequence[Corpus]) -> dict[str, Any]:
    """An example with the beginning of its text, where a corpus still has it."""
    value = example["value"]
    shown = rounded(value) if isinstance(value, float) else value
    said = {"id": example["id"], "url": example["url"], "excerpt": None, "value": shown}
    for corpus in corpora:
        try:
            document = corpus.fetch(str(example["id"]))
        except UsageError:  # it is in another one
            continue
        url = document.meta.get("url")
        text = " ".join(document.text[: 4 * EXCERPT_CHARACTERS].split())
        return {
            **said,
            "url": url if isinstance(url, str) else None,
            "excerpt": without_contacts(text)[:EXCERPT_CHARACTERS],
        }
    return said
