"""Looking at one cluster: who is in it, and what differs."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.table import Table
from rich.text import Text

from libertas.corpus import Corpus
from libertas.curate.duplicates.clusters import CLUSTERS, KINDS
from libertas.curate.duplicates.config import ShowClusterConfig
from libertas.document import Document
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest_of
from libertas.terminal import printable

COMPARED_WORDS = 2000
"""Words from the beginning of two texts that are compared: comparing all of a book would take minutes."""
CONTEXT_WORDS = 4
"""Words shown on both sides of a difference."""
SHOWN_MEMBERS = 50
"""Rows of the table of members."""
SHOWN_DIFFERENCES = 12


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """A document of a cluster."""

    document: Document
    corpus: str
    kind: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Some documents that are duplicates of each other, the representative first."""

    number: int
    documents: int
    """In all; of very large clusters not all are in `members`."""
    members: tuple[ClusterMember, ...]
    compared: int
    """Members whose text is to be compared with the representative's."""


def cluster_of(config: ShowClusterConfig) -> Cluster:
    """The cluster of a document.

    Raises:
        UsageError: no duplicates are there, the id fits none or several of them, or a corpus is gone.
    """
    manifest = read_manifest_of(config.in_, "duplicates", "duplicates found by `libertas dedup`")
    paths = [(config.in_ / given.path).resolve() for given in manifest.inputs if given.role == "corpus"]
    corpora = [Corpus.open(path) for path in paths]
    found = list(_rows(config.in_, pc.starts_with(pc.field("document_id"), config.id)))
    ids = sorted({str(row["document_id"]) for _, row in found})
    if not ids:
        some = any(number for corpus in corpora for number in corpus.numbers_of(config.id))
        said = "has no duplicate" if some else "is in no cluster of duplicates"
        raise UsageError(f"{config.id} {said} in {config.in_}; `libertas show {config.in_}` counts the clusters")
    if len(ids) > 1:
        few = ", ".join(ids[:4])
        raise UsageError(f"{config.id} is the beginning of {len(ids)} ids ({few}); expected one; give more digits")
    number = int(found[0][1]["cluster"])
    rows = sorted(
        _rows(config.in_, pc.field("cluster") == number), key=lambda r: (r[1]["kind"] != KINDS[0], r[0], r[1]["number"])
    )
    chosen = rows[:SHOWN_MEMBERS]
    chosen += [row for row in found if row not in chosen]
    members = tuple(
        ClusterMember(corpora[place].document(row["number"]), paths[place].name, row["kind"], row["similarity"])
        for place, row in chosen
    )
    return Cluster(number, len(rows), members, config.members)


def _rows(folder: Path, wanted: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of the side-cars that a filter lets through, each with the number of its corpus."""
    for path in sorted((folder / CLUSTERS).glob("*.parquet")):
        for row in pq.read_table(path, filters=wanted, partitioning=None).to_pylist():
            yield int(path.stem.partition("-")[0]), row


def cluster_view(cluster: Cluster) -> Iterator[Table | Text]:
    """A table of the members, and for each what differs from the representative, word by word."""
    table = Table(title=f"cluster {cluster.number}: {cluster.documents:,} documents", title_justify="left")
    table.add_column("document", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("similarity", justify="right")
    table.add_column("characters", justify="right")
    table.add_column("component", overflow="fold")
    table.add_column("from", overflow="fold")
    for member in cluster.members:
        document = member.document
        table.add_row(
            document.id,
            member.kind,
            f"{member.similarity:.3f}",
            f"{len(document.text):,}",
            printable(str(document.meta.get("component", ""))),
            printable(str(document.meta.get("url") or member.corpus)),
        )
    yield table
    best, *others = cluster.members
    for member in others[: cluster.compared]:
        yield Text(f"\n{member.document.id} beside {best.document.id}", style="bold")
        yield differences(best.document.text, member.document.text)


def differences(before: str, after: str) -> Text:
    """The words that differ, as `[-gone-] {+come+}`, with a few words around them."""
    left, right = (text.split()[:COMPARED_WORDS] for text in (before, after))
    steps = [s for s in SequenceMatcher(None, left, right, autojunk=False).get_opcodes() if s[0] != "equal"]
    result = Text()
    for _, a, b, c, d in steps[:SHOWN_DIFFERENCES]:
        result.append(printable(" ".join(["…", *left[max(a - CONTEXT_WORDS, 0) : a]])) + " ")
        if b > a:
            result.append(f"[-{printable(' '.join(left[a:b]))}-] ", style="red")
        if d > c:
            result.append(f"{{+{printable(' '.join(right[c:d]))}+}} ", style="green")
        result.append(printable(" ".join([*left[b : b + CONTEXT_WORDS], "…"])) + "\n")
    if not steps:
        same = "the same words" if max(map(len, (left, right))) < COMPARED_WORDS else "the same words at the beginning"
        result.append(same)
    elif len(steps) > SHOWN_DIFFERENCES:
        result.append(f"and {len(steps) - SHOWN_DIFFERENCES} more differences")
    return result
