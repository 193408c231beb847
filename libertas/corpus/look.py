"""Looking at texts on disk: what a corpus, or files of lm_dataformat, hold."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from libertas.corpus.lmd import LmdDrop, lmd_files, read_lmd
from libertas.corpus.shard import Piece, shard_pieces
from libertas.corpus.store import Corpus
from libertas.document import Document
from libertas.engine import map_ordered
from libertas.lineage.manifest import is_artifact
from libertas.terminal import printable, progress

WORTH_A_WORKER = 4
"""Pieces for each process; for fewer it does not pay to start one."""
TOLD_LANGUAGES = 12

Unit = Piece | Path
"""What is read at a time: some frames of a shard, or a whole file that has no tables."""


@dataclass(frozen=True)
class TextFolder:
    """Some files with texts, such as a part of a corpus."""

    name: str
    """Of the part, or empty."""
    files: list[Path]
    units: list[Unit]


@dataclass
class Measure:
    """What there is of one component."""

    documents: int = 0
    bytes: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    """Number of characters -> documents with so many."""
    languages: Counter[str] = field(default_factory=Counter)

    def add(self, document: Document) -> None:
        """Count a document."""
        text, language = document.text, document.meta.get("language")
        self.documents += 1
        self.bytes += len(text) if text.isascii() else len(text.encode())
        self.lengths[len(text)] += 1
        self.languages[language if isinstance(language, str) else "unknown"] += 1

    def merge(self, other: "Measure") -> None:
        """Count what another has counted."""
        self.documents += other.documents
        self.bytes += other.bytes
        self.lengths.update(other.lengths)
        self.languages.update(other.languages)

    @property
    def characters(self) -> int:
        """Of all documents."""
        return sum(length * count for length, count in self.lengths.items())

    @property
    def median(self) -> float:
        """Characters of the document in the middle, or the mean of the two there."""
        ranks, seen, middle = {(self.documents - 1) // 2, self.documents // 2}, 0, []
        for length, count in sorted(self.lengths.items()):
            middle += [length for rank in ranks if seen <= rank < seen + count]
            seen += count
        return sum(middle) / len(middle)


def folders_at(path: Path) -> list[TextFolder]:
    """What can be read at a path: the parts of a corpus, a folder of lm_dataformat files, or one of them.

    Raises:
        UsageError: there is nothing to read.
    """
    if is_artifact(path):
        parts = sorted(p.parent.relative_to(path).as_posix() for p in path.rglob("documents.npy")) or ["."]
        corpora = [Corpus.open(path, part) for part in parts]
        return [
            TextFolder(
                "" if corpus.part == "." else corpus.part,
                corpus.shards,
                [piece for shard in range(len(corpus.shards)) for piece in corpus.pieces(shard)],
            )
            for corpus in corpora
        ]
    files, _ = lmd_files(path)
    return [TextFolder("", files, [unit for file in files for unit in _units_of(file)])]


def _units_of(file: Path) -> list[Unit]:
    pieces = shard_pieces(file) if file.name.endswith(".jsonl.zst") else None
    return [file] if pieces is None else list(pieces)


def documents_at(unit: Unit) -> Iterator[Document | LmdDrop]:
    """What a unit holds, in order; a document of a file of others may have no id."""
    if isinstance(unit, Piece):
        yield from unit
        return
    for item in read_lmd(unit):
        if isinstance(item, LmdDrop):
            yield item
        else:
            yield Document(str(item.meta.pop("id", "")), item.text, item.meta)


def processes_for(units: list[Unit], workers: int) -> int:
    """How many processes it pays to have for reading."""
    return max(1, min(workers, len(units) // WORTH_A_WORKER, sum(isinstance(unit, Piece) for unit in units)))


def component_of(document: Document) -> str:
    """The component that a document says it belongs to."""
    named = (document.meta.get(key) for key in ("component", "pile_set_name"))
    return next((name for name in named if isinstance(name, str)), "unknown")


def corpus_summary(path: Path, workers: int) -> list[RenderableType]:
    """Counts, sizes, components, languages and lengths of what lies at a path; every text is read.

    Raises:
        UsageError: there is nothing to read.
    """
    folders = folders_at(path)
    measures: dict[str, Measure] = {}
    unread: Counter[str] = Counter()
    with progress("Reading", sum(len(folder.units) for folder in folders)) as bar:
        for folder in folders:
            for found, drops in map_ordered(_measured, folder.units, processes_for(folder.units, workers)):
                for component, measure in found.items():
                    name = f"{folder.name}/{component}" if folder.name else component
                    measures.setdefault(name, Measure()).merge(measure)
                unread.update(drops)
                bar.advance(1)
    total = Measure()
    for measure in measures.values():
        total.merge(measure)
    size = sum(file.stat().st_size for folder in folders for file in folder.files)
    shown: list[RenderableType] = [_table(measures, total)]
    shards = sum(len(folder.files) for folder in folders)
    ratio = f", {total.bytes / size:.2f} times smaller than the text" if size else ""
    shown.append(Text(f"{shards:,} file{'s' * (shards != 1)}, {size / 1e6:,.2f} MB compressed{ratio}"))
    languages = [f"{name} {count:,}" for name, count in total.languages.most_common(TOLD_LANGUAGES)]
    more = len(total.languages) - len(languages)
    shown.append(Text(printable(f"languages: {', '.join(languages)}{f' and {more} more' if more else ''}")))
    if unread:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in unread.most_common())
        shown.append(Text(printable(f"not read: {reasons}")))
    return shown


def _measured(unit: Unit) -> tuple[dict[str, Measure], Counter[str]]:
    measures: dict[str, Measure] = {}
    drops: Counter[str] = Counter()
    for item in documents_at(unit):
        if isinstance(item, LmdDrop):
            drops[item.drop.reason] += 1
        else:
            measures.setdefault(component_of(item), Measure()).add(item)
    return measures, drops


def _table(measures: dict[str, Measure], total: Measure) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("component")
    for heading in ("documents", "text MB", "share", "mean characters", "median"):
        table.add_column(heading, justify="right")
    rows = sorted(measures.items(), key=lambda item: (-item[1].bytes, item[0]))
    for name, measure in [*rows, *([("all", total)] if len(rows) > 1 else [])]:
        table.add_row(
            Text(printable(name)),
            f"{measure.documents:,}",
            f"{measure.bytes / 1e6:,.2f}",
            f"{measure.bytes / max(1, total.bytes):.1%}",
            f"{measure.characters / measure.documents:,.1f}",
            f"{measure.median:,.1f}",
        )
    return table


def document_view(document: Document) -> list[RenderableType]:
    """A document with all that is known of it, for the terminal."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in {"id": document.id, **document.meta}.items():
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        table.add_row(Text(printable(key)), Text(printable(shown)))
    return [table, Text(), Text(printable(document.text))]
