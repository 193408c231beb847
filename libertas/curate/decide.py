"""Corpora -> decisions: what every rule measured on every document, and which of them speaks against it.

Nothing is deleted here, and duplicates are the business of `dedup`. The side-car `verdicts` has a row per document and
a column per rule, null where the rule does not apply; `against` a row per rule that speaks against a document, in the
order of the rules, and `rules.json` the rules with their limits. With `measured`, values come from earlier decisions,
so that other limits cost no reading of text.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from libertas.corpus import Corpus, Piece
from libertas.corpus.columns import table_of
from libertas.curate.config import CurateConfig
from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.lists import read_domains, read_urls
from libertas.curate.rules.rule import ANY, CODE, FILES, PROSE, Rule, Wanted
from libertas.curate.rules.table import NEEDS
from libertas.curate.sidecar import (
    AGAINST,
    AGAINST_SCHEMA,
    ROW,
    Tables,
    places_in,
    require_distinct,
    rows_of,
    sidecar_path,
    write_sidecars,
)
from libertas.document import Document
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft, write_json
from libertas.lineage.fingerprint import file_digest
from libertas.lineage.manifest import read_manifest, read_manifest_of
from libertas.lineage.walk import short

VERDICTS = "verdicts"
RULES_FILE = "rules.json"
UNNAMED = "documents"
"""Component of documents that name none."""


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """All that a machine needs to know to judge a piece."""

    rules: tuple[Rule, ...]
    wanted: Wanted
    measured: Mapping[Path, Path] | None
    """Shard, as its absolute path -> the `verdicts` that earlier decisions have of it; None to read the text."""


def curate(config: CurateConfig) -> Path:
    """Make the decisions that the config describes, or find them made; returns their directory.

    Raises:
        UsageError: an input is no corpus, two of them hold the same document, or `measured` lacks a rule.
    """
    rules, wanted = config.chosen(), config.wanted()
    _require_readable(wanted)
    draft = Draft(kind="decisions", out=config.out, config=config, inputs=_inputs(config), code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    known = None if config.measured is None else _measured(config.measured, draft, corpora, rules, wanted)
    if draft.finished():
        return config.out
    require_distinct(corpora)
    with draft.build(resume=True) as folder:
        judge = partial(judge_piece, _Judge(rules=rules, wanted=wanted, measured=known))
        schemas = {VERDICTS: verdicts_schema(rules), AGAINST: AGAINST_SCHEMA}
        write_sidecars(corpora, folder, judge, schemas, title="Curating", workers=config.workers, engine=config.engine)
        write_json(folder / RULES_FILE, [described_rule(rule, wanted) for rule in rules])
        draft.counts.update(_counts(folder, corpora))
    return config.out


def _require_readable(wanted: Wanted) -> None:
    """See that lists and models are there and what they should be, before any text is read."""
    for setting in FILES:
        if (path := getattr(wanted, setting)) is not None and not path.exists():
            raise UsageError(f"{setting} is {path}, which does not exist; expected a file; name another one")
    for path in (wanted.allow_domains, wanted.block_domains):
        if path is not None:
            read_domains(path)
    if wanted.block_urls is not None:
        read_urls(wanted.block_urls)
    for setting, kind in (("perplexity_model", "perplexity"), ("classifier", "classifier")):
        path = getattr(wanted, setting)
        if path is not None and path.is_dir():
            made = read_manifest_of(path, "scorer", "a model made by `libertas score-model`").identity.get("kind")
            if made != kind:
                raise UsageError(f"{setting} is {path}, of kind {made!r}; expected {kind}; name another model")


def _inputs(config: CurateConfig) -> dict[str, Sequence[Path]]:
    files = {role: getattr(config, role) for role in (*FILES, "measured")}
    return {"corpus": config.corpora, **{role: (path,) for role, path in files.items() if path is not None}}


def _component(document: Document) -> str:
    """The part of the mixture that a document belongs to."""
    return str(document.meta.get("component", UNNAMED))


def verdicts_schema(rules: Sequence[Rule]) -> pa.Schema:
    """What rows of `verdicts` look like: place, id, component, then the value of each rule."""
    return pa.schema([*ROW, pa.field("component", pa.string()), *(pa.field(r.name, pa.float64()) for r in rules)])


def judge_piece(how: _Judge, piece: Piece) -> Tables:
    """The rows of both tables about one piece of a corpus."""
    verdicts = _recalled(how, piece) if how.measured is not None else _values(how, piece)
    return {VERDICTS: verdicts, AGAINST: _against(how.rules, verdicts)}


def _values(how: _Judge, piece: Piece) -> pa.Table:
    documents = piece.read()
    columns: dict[str, list[Any]] = {
        "number": list(range(piece.first, piece.first + piece.documents)),
        "document_id": [d.id for d in documents],
        "component": [_component(d) for d in documents],
        **{rule.name: [] for rule in how.rules},
    }
    of = {kind: tuple(r for r in how.rules if r.applies in (ANY, kind)) for kind in (CODE, PROSE)}
    others = {kind: tuple(r for r in how.rules if r not in asked) for kind, asked in of.items()}
    for document in documents:
        analysis = Analysis(document, how.wanted)
        kind = CODE if analysis.is_code else PROSE
        for rule in of[kind]:
            columns[rule.name].append(rule.function(analysis))
        for rule in others[kind]:
            columns[rule.name].append(None)
    return table_of(columns, verdicts_schema(how.rules))


def _recalled(how: _Judge, piece: Piece) -> pa.Table:
    assert how.measured is not None, "values are recalled from earlier decisions"
    last = piece.first + piece.documents
    rows = pq.read_table(
        how.measured[piece.path.absolute()],
        columns=verdicts_schema(how.rules).names,
        filters=[("number", ">=", piece.first), ("number", "<", last)],
        partitioning=None,
    )
    assert len(rows) == piece.documents, f"{how.measured[piece.path.absolute()]} lacks a document"
    return rows.cast(verdicts_schema(how.rules))


def _against(rules: Sequence[Rule], verdicts: pa.Table) -> pa.Table:
    """A row for each rule that speaks against a document; by document, then in the order of the rules."""
    spoken: list[tuple[int, int, dict[str, object]]] = []
    for order, rule in enumerate(rules):
        values = np.array(verdicts[rule.name].to_pylist(), dtype=float)  # NaN for null, on neither side of a limit
        low = -np.inf if rule.low is None else rule.low
        high = np.inf if rule.high is None else rule.high
        for row in np.flatnonzero((values < low) | (values > high)).tolist():
            value = float(values[row])
            said = {
                "number": verdicts["number"][row].as_py(),
                "document_id": verdicts["document_id"][row].as_py(),
                "rule": rule.name,
                "reason": rule.reason(value),
                "value": value,
            }
            spoken.append((row, order, said))
    return rows_of(AGAINST_SCHEMA, [said for _, _, said in sorted(spoken, key=lambda s: s[:2])])


def described_rule(rule: Rule, wanted: Wanted) -> dict[str, Any]:
    """A rule as it stands in `rules.json`; `with` is what of the user's settings its values depend on."""
    record: dict[str, Any] = {
        "rule": rule.name,
        "low": rule.low,
        "high": rule.high,
        "unit": rule.unit,
        "about": rule.about,
        "source": rule.source,
        "applies_to": rule.applies,
    }
    if rule.name in NEEDS:
        given = getattr(wanted, NEEDS[rule.name])
        record["with"] = _named(given) if isinstance(given, Path) else list(given)
    return record


def _named(path: Path) -> str:
    return file_digest(path) if path.is_file() else read_manifest(path).content


def read_rules(decisions: Path) -> list[dict[str, Any]]:
    """The rules of some decisions, with limits and sources, in the order in which they were asked.

    Raises:
        UsageError: `decisions` is something else.
    """
    read_manifest_of(decisions, "decisions", "decisions made by `libertas curate`")
    rules: list[dict[str, Any]] = orjson.loads((decisions / RULES_FILE).read_bytes())
    return rules


def _measured(
    earlier: Path, draft: Draft, corpora: Sequence[Corpus], rules: Sequence[Rule], wanted: Wanted
) -> dict[Path, Path]:
    """Where earlier decisions have the values of each shard.

    Raises:
        UsageError: they are about other corpora, or did not measure one of the rules, or measured it with other lists.
    """
    known = {record["rule"]: record.get("with") for record in read_rules(earlier)}
    for rule in rules:
        if rule.name not in known or known[rule.name] != described_rule(rule, wanted).get("with"):
            how = " with the same settings" if rule.name in known else ""
            raise UsageError(
                f"{earlier} did not measure {rule.name}{how}; expected a value of every rule; leave out `measured` once"
            )
    if (code := read_manifest(earlier).code) != draft.code:
        raise UsageError(
            f"{earlier} was measured by another version of the rules ({short(code)}); leave out `measured` once"
        )
    places = places_in(earlier, draft)
    return {
        path.absolute(): sidecar_path(earlier.absolute(), VERDICTS, place, shard)
        for place, corpus in zip(places, corpora, strict=True)
        for shard, path in enumerate(corpus.shards)
    }


def _counts(folder: Path, corpora: Sequence[Corpus]) -> dict[str, Any]:
    """Documents in, out and dropped: in all, by component, by rule and by reason; the first that speaks counts."""
    read: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for number, corpus in enumerate(corpora):
        for shard in range(len(corpus.shards)):
            numbers, components = _columns(sidecar_path(folder, VERDICTS, number, shard), "number", "component")
            read.update(components)
            against = _columns(sidecar_path(folder, AGAINST, number, shard), "number", "rule", "reason")
            last = -1
            for document, rule, reason in zip(*against, strict=True):
                if document != last:
                    dropped[components[document - numbers[0]]] += 1
                    rules[rule] += 1
                    reasons[reason] += 1
                last = document
    total, out = sum(read.values()), sum(read.values()) - sum(dropped.values())
    assert total == sum(map(len, corpora)), "a document vanished"
    assert sum(dropped.values()) == sum(reasons.values()), "a document was dropped twice, or without a reason"
    return {
        "documents": {"in": total, "out": out, "dropped": total - out},
        "dropped": dict(sorted(reasons.items())),
        "dropped_by_rule": dict(sorted(rules.items())),
        "components": {
            name: {"in": n, "out": n - dropped[name], "dropped": dropped[name]} for name, n in sorted(read.items())
        },
    }


def _columns(path: Path, *names: str) -> list[list[Any]]:
    """Columns of a side-car."""
    with pq.ParquetFile(path) as file:
        table = file.read(columns=list(names))
    return [table[name].to_pylist() for name in names]
