"""Why a document is in or out: everything that artifacts say of it, from the archive it came from to its copies."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.table import Table
from rich.text import Text

from libertas.corpus import SORTED_AT_ONCE, Corpus
from libertas.curate.decide import VERDICTS, read_rules
from libertas.curate.duplicates.clusters import CLUSTERS
from libertas.curate.rules.lists import url_key
from libertas.curate.sidecar import AGAINST, CUTS, SIDECAR_KINDS, require_sidecar, said_of, sidecar_path
from libertas.document import Decision, Document
from libertas.errors import UsageError
from libertas.lineage.manifest import is_artifact
from libertas.lineage.walk import Node, ancestors, artifacts_under, lineage, source_files
from libertas.terminal import printable, progress

DROPS = "drops.parquet"
"""Where a mixture says what is not in it."""
ID = re.compile(r"[0-9a-f]{1,32}")
ID_DIGITS = 32
MOST_DOCUMENTS = 10
"""Documents of one address, or of one beginning of an id, that are told of."""
MOST_ROWS = 20
"""Cuts, or other members of a cluster, that are listed one by one."""

GATHERED = "gathered"
"""What is remarked first: where the document came from."""

Row = dict[str, Any]


def decisions_of(path: Path, document_id: str) -> list[Decision]:
    """Everything that a side-car artifact says of one document: rules in their order, clusters, cuts by rule.

    Raises:
        UsageError: `path` holds no side-cars, or is decisions and says nothing of this document.
    """
    manifest = require_sidecar(path)
    against: list[Row] = said_of(path, AGAINST, document_id)
    if manifest.kind == "decisions":
        values = said_of(path, VERDICTS, document_id)
        if not values:
            raise UsageError(f"{path} has no decisions about document {document_id}; ids have 32 hexadecimal digits")
        reasons = {row["rule"]: row["reason"] for row in against}
        measured: list[tuple[str, Any]] = [(r["rule"], values[0][r["rule"]]) for r in read_rules(path)]
        return [Decision(document_id, rule, reasons.get(rule), v) for rule, v in measured if v is not None]
    found = [Decision(document_id, row["rule"], row["reason"], row["value"]) for row in against]
    clusters: list[Row] = said_of(path, CLUSTERS, document_id)
    found += [Decision(document_id, f"{r['kind']}_duplicate", _duplicate(r), r["similarity"]) for r in clusters]
    cuts = Counter(str(row["rule"]) for row in said_of(path, CUTS, document_id))
    return found + [Decision(document_id, rule, None, float(count)) for rule, count in sorted(cuts.items())]


def _duplicate(row: Row) -> str | None:
    if row["representative"] == row["document_id"]:
        return None
    return f"{row['kind']} duplicate of {row['representative']}"


def sidecars_above(path: Path) -> list[Path]:
    """The side-cars that were applied to the corpora above an artifact, itself included, in the order they were given.

    Decisions from which others took their values were not applied themselves.
    """
    mixed = (node for node in ancestors(lineage(path)) if node.manifest and node.manifest.kind == "corpus")
    found = [p.path for node in mixed for p in node.parents if p.manifest and p.manifest.kind in SIDECAR_KINDS]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that an artifact says of a document."""

    artifact: str
    what: str
    value: str = ""
    limit: str = ""
    verdict: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """All that is said of one document."""

    document: Document
    corpus: Path
    number: int
    """Its place in the corpus."""
    remarks: list[Remark]


def accounts_of(name: str, paths: Sequence[Path]) -> list[Account]:
    """What artifacts say of the documents that a name means.

    Args:
        name: an id, the beginning of one, or an address (`meta.url`).
        paths: side-cars, mixtures, corpora, anything that was made of them, or folders of artifacts.

    Raises:
        UsageError: nothing there says anything of documents, or no document is meant, or too many are.
        BrokenLineage: an artifact was made again with other content since another was made from it.
    """
    nodes = _nodes(paths)
    corpora = [Corpus.open(n.path) for n in nodes if _kind(n) == "corpus" and not _is_mixture(n)]
    if not corpora:
        raise UsageError(f"{' '.join(map(str, paths))} leads to no corpus; expected what `libertas` made of documents")
    found = list(_found(name, corpora))
    if not found:
        raise UsageError(
            f"no document is called {name!r} in {', '.join(str(c.path) for c in corpora)}; expected an id, its "
            "beginning, or an address; see `libertas corpus`"
        )
    return [_account(corpus, number, nodes) for corpus, number in found]


def _nodes(paths: Sequence[Path]) -> list[Node]:
    """Corpora, side-cars and mixtures that are named or were applied to what is named, in the order of the work."""
    named = [p for path in paths for p in ([path] if is_artifact(path) or not path.is_dir() else artifacts_under(path))]
    nodes: dict[Path, Node] = {}
    for path in named:
        applied = {path.resolve(), *sidecars_above(path)}
        nodes |= {n.path: n for n in ancestors(lineage(path)) if n.path in applied or _kind(n) == "corpus"}
    order = ("corpus", *SIDECAR_KINDS, "mixture")
    kinds = {path: "mixture" if _is_mixture(node) else _kind(node) for path, node in nodes.items()}
    return [nodes[path] for kind in order for path in nodes if kinds[path] == kind]


def _kind(node: Node) -> str:
    return node.manifest.kind if node.manifest else ""


def _is_mixture(node: Node) -> bool:
    return _kind(node) == "corpus" and any(parent.role == "corpus" for parent in node.parents)


def _found(name: str, corpora: Sequence[Corpus]) -> Iterator[tuple[Corpus, int]]:
    """Corpora and numbers of the documents that a name means.

    Raises:
        UsageError: it is the beginning of more than `MOST_DOCUMENTS` ids.
    """
    if ID.fullmatch(name):
        places = [(corpus, i) for corpus in corpora for i in _ids_beginning(name, corpus)]
        if len(places) > MOST_DOCUMENTS:
            some = ", ".join(i for _, i in places[:3])
            raise UsageError(f"{name} begins {len(places):,} ids ({some}, …); expected fewer; give more digits")
        for corpus, identifier in places:
            yield corpus, corpus.numbers_of(identifier)[0]
        return
    wanted, left = url_key(name), MOST_DOCUMENTS
    with progress("Looking for the address", sum(map(len, corpora))) as bar:
        for corpus in corpora:
            for number, document in enumerate(corpus):
                bar.advance()
                if url_key(str(document.meta.get("url", ""))) == wanted:
                    yield corpus, number
                    if (left := left - 1) == 0:
                        return


def _ids_beginning(digits: str, corpus: Corpus) -> list[str]:
    if len(digits) == ID_DIGITS:
        return [digits] if corpus.numbers_of(digits) else []
    found: list[str] = []
    for ids in corpus.ids_in_order(-(-len(corpus) // SORTED_AT_ONCE) or 1):
        first, last = np.searchsorted(ids, [digits.encode(), f"{digits}g".encode()])
        found += [i.decode() for i in ids[first:last]]
    return found


def _account(corpus: Corpus, number: int, nodes: Iterable[Node]) -> Account:
    document = corpus.document(number)
    remarks = list(_origin(corpus, document))
    for node in nodes:
        if _is_mixture(node):
            remarks += _mixed(node, document)
        elif _kind(node) in SIDECAR_KINDS:
            remarks += _judged(node, corpus, number)
    return Account(document, corpus.path, number, remarks)


def _origin(corpus: Corpus, document: Document) -> Iterator[Remark]:
    name = corpus.path.name
    if (ref := document.warc) is None:
        yield Remark(name, GATHERED, verdict="from no archive")
        return
    places = source_files(corpus.path).get(ref.file, [])
    yield Remark(
        name,
        GATHERED,
        value=f"bytes {ref.offset:,} to {ref.offset + ref.length:,}",
        verdict=ref.record_id,
        source=" or ".join(str(p) for p in places) or ref.file,
    )


def _judged(node: Node, corpus: Corpus, number: int) -> list[Remark]:
    """What side-cars say of one document; only the row groups that hold its number are read."""
    judged = [p.path for p in node.parents if p.role == "corpus"]
    home = corpus.path.resolve()
    if home not in judged:
        return []
    place, shard, name = judged.index(home), _shard_of(corpus, number), node.path.name

    def said(table: str) -> list[Row]:
        path = sidecar_path(node.path, table, place, shard)
        found: list[Row] = []
        if path.exists():
            found = pq.read_table(path, filters=[("number", "=", number)], partitioning=None).to_pylist()
        return found

    against = said(AGAINST)
    if _kind(node) == "decisions":
        return _measured(node.path, said(VERDICTS)[0], {row["rule"] for row in against})
    remarks = [Remark(name, row["rule"], _number(row["value"]), verdict=row["reason"]) for row in against]
    for row in said(CLUSTERS):
        others = f"with {', '.join(_others(node.path, row)) or 'no other'}"
        verdict = _duplicate(row) or "represents its cluster"
        remarks.append(Remark(name, f"cluster {row['cluster']}", _number(row["similarity"]), "", verdict, others))
    return remarks + _cut(name, said(CUTS)) or [Remark(name, _kind(node), verdict="nothing")]


def _measured(decisions: Path, values: Row, against: set[str]) -> list[Remark]:
    remarks = []
    for rule in read_rules(decisions):
        value, limits = values[rule["rule"]], _limits(rule)
        if value is not None:
            verdict = "against" if rule["rule"] in against else "passes" if limits else "measured"
            remarks.append(Remark(decisions.name, rule["rule"], _number(value), limits, verdict, rule["source"]))
    return remarks


def _cut(name: str, cuts: Sequence[Row]) -> list[Remark]:
    remarks = []
    for row in cuts[:MOST_ROWS]:
        verdict = f"replaced by {row['replacement']!r}" if row["replacement"] else "cut"
        place = f"{row['start']:,} to {row['end']:,}"
        remarks.append(Remark(name, row["rule"], place, "", verdict, row["detail"] or ""))
    if len(cuts) > MOST_ROWS:
        remarks.append(Remark(name, "cuts", f"{len(cuts):,}", verdict=f"the first {MOST_ROWS} are shown"))
    return remarks


def _shard_of(corpus: Corpus, number: int) -> int:
    for shard in range(len(corpus.shards)):
        pieces = corpus.pieces(shard)
        if pieces and number < pieces[-1].first + pieces[-1].documents:
            return shard
    raise AssertionError(f"{corpus.path} has no document {number}")


def _others(sidecar: Path, row: Row) -> list[str]:
    """Other members of a document's cluster, the first `MOST_ROWS`."""
    found: list[str] = []
    for path in sorted((sidecar / CLUSTERS).glob("*.parquet")):
        same = pq.read_table(path, filters=[("cluster", "=", row["cluster"])], partitioning=None)
        found += [other for other in same["document_id"].to_pylist() if other != row["document_id"]]
    return found if len(found) <= MOST_ROWS else [*found[:MOST_ROWS], f"and {len(found) - MOST_ROWS:,} more"]


def _mixed(node: Node, document: Document) -> Iterator[Remark]:
    name = node.path.name
    parts = sorted(p.parent.name for p in node.path.glob("*/documents.npy"))
    copies = {part: len(Corpus.open(node.path, part).numbers_of(document.id)) for part in parts}
    for part, count in copies.items():
        if count:
            yield Remark(name, f"part {part}", f"{count:,} time{'s' if count > 1 else ''}", verdict="in the mixture")
    if any(copies.values()):
        return
    drops: list[Row] = []
    if (node.path / DROPS).exists():
        drops = pq.read_table(node.path / DROPS, filters=[("document_id", "=", document.id)]).to_pylist()
    for row in drops:
        yield Remark(name, row["rule"], _number(row["value"]), verdict=f"left out: {row['reason']}")
    if not drops:
        yield Remark(name, "mixture", verdict="of other corpora")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _limits(rule: Row) -> str:
    low, high = rule["low"], rule["high"]
    if low is not None and high is not None:
        return f"{low:,g} to {high:,g}"
    return "" if low is high else f"at least {low:,g}" if high is None else f"at most {high:,g}"


def account_table(account: Account) -> Table:
    """What is said of a document, as the terminal shows it."""
    document = account.document
    known = ("component", "url", "title", "language", "license", "date")
    facts = [f"{key} {document.meta[key]}" for key in known if document.meta.get(key)]
    origin = [f"{r.what} {r.verdict} {r.value} {r.source}" for r in account.remarks if r.what == GATHERED]
    first = f"{document.id}, document {account.number:,} of {account.corpus}, {len(document.text):,} characters"
    title = "\n".join([first, *facts, *origin])
    table = Table(title=Text(printable(title)), title_justify="left", box=None, pad_edge=False)
    for column in ("", "what", "value", "limit"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("value", "limit") else "left")
    for column in ("verdict", "source"):
        table.add_column(column, overflow="fold")
    before = ""
    for remark in account.remarks:
        if remark.what == GATHERED:
            continue
        artifact = "" if remark.artifact == before else remark.artifact
        before = remark.artifact
        cells = (artifact, remark.what, remark.value, remark.limit, remark.verdict, remark.source)
        style = "" if remark.verdict in ("passes", "measured", "in the mixture", "nothing") else "bold"
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style if remark.limit or remark.value else "")
    return table
