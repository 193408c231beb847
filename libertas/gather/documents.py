"""Archives to a corpus: every record becomes a document or a drop with its reason."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.markup import escape

from libertas.corpus import Corpus, CorpusWriter
from libertas.document import Document, Drop, document_id
from libertas.engine import map_ordered
from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import GatherConfig
from libertas.gather.extract import extract
from libertas.gather.language import identify
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import named, read_manifest
from libertas.terminal import printable, progress, say

BATCH_RECORDS = 32
BATCH_BYTES = 4 << 20
"""A batch travels to a worker when it has this many records, or bytes of payload: 4 MiB."""
DOCUMENT_TYPES = frozenset({"response", "resource", "conversion"})
CODE = "code"
"""`meta.language` of program source: names and keywords look like any human language to a detector."""
CODE_TYPES = frozenset({"text/x-python"})
CUT_OFF = "cut off on the way"
LOST_ON_THE_WAY = frozenset({"disconnect", "time"})
"""WARC-Truncated of what ended at a place that nobody chose: the connection broke, or the server took too long. What
a crawler cut at a length it had chosen stays, with `meta.truncated`."""
DAMAGE = frozenset(
    {
        CUT_OFF,
        "truncated record",
        "damaged compression",
        "headers without end",
        "malformed record",
        "no Content-Length",
        "not a WARC record",
    }
)
"""Reasons of drops that say: the archive holds less than was meant to be in it."""
DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("uri", pa.string()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
    ]
)
"""One row for each record that became no document; `offset` is in bytes of the file on disk."""


@dataclass(frozen=True, slots=True)
class _Dropped:
    """A row of `drops.parquet`."""

    record_id: str
    uri: str
    file: str
    offset: int
    drop: Drop

    def row(self) -> dict[str, Any]:
        value = self.drop.value
        return {
            "record_id": self.record_id,
            "uri": self.uri,
            "file": self.file,
            "offset": self.offset,
            "rule": self.drop.rule,
            "reason": self.drop.reason,
            "value": None if value is None else str(value),
        }


def gather(config: GatherConfig) -> Corpus:
    """Make the corpus that the config describes, or find it made.

    Raises:
        UsageError: an archive cannot be read, two have the same name, or no record is a document.
    """
    files = archive_files(config.archives)
    draft = Draft(
        kind="corpus",
        out=config.out,
        config=config,
        inputs={"archive": config.archives},
        code=__name__,
    )
    if draft.finished():
        return Corpus.open(config.out)
    records, languages = 0, Counter[str]()
    drops: list[_Dropped] = []
    seen: set[str] = set()
    with draft.build() as folder:
        with CorpusWriter(folder, config.component) as writer, progress("Gathering", None) as bar:
            batches = _batches(_all_records(files), config.component)
            for results in map_ordered(_documents, batches, config.workers):
                for result in results:
                    records += 1
                    if isinstance(result, Document) and result.id in seen:
                        result = _again(result)
                    if isinstance(result, Document):
                        seen.add(result.id)
                        languages[result.meta["language"]] += 1
                        writer.add(result)
                    else:
                        drops.append(result)
                bar.advance(len(results), f"records, {writer.documents:,} documents")
        reasons = Counter(d.drop.reason for d in drops)
        if writer.documents == 0:
            raise UsageError(_nothing_in(files, records, reasons))
        assert records == writer.documents + len(drops), "a record vanished"
        table = pa.Table.from_pylist([d.row() for d in drops], schema=DROPS_SCHEMA)
        pq.write_table(table, folder / DROPS, compression="zstd")
        draft.counts.update(
            documents={"in": records, "out": writer.documents, "dropped": len(drops)},
            dropped=dict(sorted(reasons.items())),
            text_bytes=writer.text_bytes,
            languages=dict(sorted(languages.items())),
        )
    _tell_of_damage(drops, config.out / DROPS)
    return Corpus.open(config.out)


def archive_files(archives: Iterable[Path]) -> list[Path]:
    """The WARC files of plain paths and of archive artifacts, in order.

    Raises:
        UsageError: a folder is no archive, a name is not UTF-8, or two files share a name, which is how documents
            refer to them.
    """
    files: list[Path] = []
    for path in archives:
        if not path.is_dir():
            files.append(path)
            continue
        manifest = read_manifest(path)
        if manifest.kind != "archive":
            raise UsageError(
                f"{path} is {named(manifest.kind)}; expected an archive made by `libertas gather crawl` or `pack`"
            )
        files += [path / f.path for f in manifest.files if ".warc" in f.path]
    by_name: dict[str, Path] = {}
    for file in files:
        raw = os.fsencode(file)
        if raw.decode("utf-8", "replace").encode() != raw:
            raise UsageError(
                f"{raw.decode('utf-8', 'backslashreplace')} has a name that is not valid UTF-8; expected one that can "
                "stand in a manifest; rename it"
            )
        if file.name in by_name:
            raise UsageError(
                f"{file} and {by_name[file.name]} have the same file name, by which documents refer to their archive; "
                "rename one, or gather them into two corpora"
            )
        by_name[file.name] = file
    return files


def _all_records(files: list[Path]) -> Iterator[warc.Record | warc.Lost]:
    for file in files:
        yield from warc.records(file)


def _batches(
    items: Iterable[warc.Record | warc.Lost], component: str
) -> Iterator[tuple[str, list[warc.Record | warc.Lost]]]:
    batch: list[warc.Record | warc.Lost] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.body) if isinstance(item, warc.Record) else 0
        if len(batch) == BATCH_RECORDS or size >= BATCH_BYTES:
            yield component, batch
            batch, size = [], 0
    if batch:
        yield component, batch


def _documents(batch: tuple[str, list[warc.Record | warc.Lost]]) -> list[Document | _Dropped]:
    """What becomes of a batch of records; runs in a worker."""
    component, items = batch
    return [_document(item, component) for item in items]


def _document(item: warc.Record | warc.Lost, component: str) -> Document | _Dropped:
    if isinstance(item, warc.Lost):
        return _Dropped(item.record_id, item.uri, item.file, item.offset, item.drop)
    ref = item.ref
    drop = _refusal(item)
    found = drop or extract(item.body, item.content_type, item.charset)
    if isinstance(found, Drop):
        return _Dropped(ref.record_id, item.uri, ref.file, ref.offset, found)
    language, score = (CODE, None) if item.content_type in CODE_TYPES else identify(found.text)
    meta: dict[str, Any] = {"url": item.uri, "component": component, "language": language}
    if score is not None:
        meta["language_score"] = score
    optional = {"title": found.title, "date": item.date, "content_type": item.content_type, "truncated": item.truncated}
    meta |= {k: v for k, v in optional.items() if v}
    meta["warc"] = ref.to_json()
    return Document(document_id(ref.record_id, ref.payload_digest), found.text, meta)


def _refusal(record: warc.Record) -> Drop | None:
    """Why a record is not even looked at, or None."""
    if record.type not in DOCUMENT_TYPES:
        return Drop("warc", f"{record.type} record", record.type)
    if record.uri.startswith("metadata:"):
        return Drop("warc", "log of the crawler", record.uri)
    if record.uri.endswith("/robots.txt"):
        return Drop("warc", "robots.txt", record.uri)
    if record.type == "response" and record.status is None:
        return Drop("warc", "not an HTTP response", record.uri)
    if record.type == "response" and record.status != 200:
        return Drop("warc", "HTTP status", str(record.status))
    if record.truncated in LOST_ON_THE_WAY:
        return Drop("warc", CUT_OFF, record.truncated)
    return None


def _tell_of_damage(drops: list[_Dropped], where: Path) -> None:
    """One line for the person where an archive held less than was meant to be in it."""
    damaged = Counter(d.file for d in drops if d.drop.reason in DAMAGE)
    if not damaged:
        return
    n = damaged.total()
    first = next(iter(damaged))
    names = first if len(damaged) == 1 else f"{len(damaged)} archives ({first} first)"
    line = f"{n} record{'s' * (n > 1)} of {names} {'were' if n > 1 else 'was'} truncated or damaged; reasons in {where}"
    say(escape(printable(line)))


def _again(document: Document) -> _Dropped:
    ref = document.warc
    assert ref is not None, f"document {document.id} has no address"
    return _Dropped(
        ref.record_id, document.meta["url"], ref.file, ref.offset, Drop("warc", "same record again", document.id)
    )


def _nothing_in(files: list[Path], records: int, reasons: Counter[str]) -> str:
    why = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(4))
    names = ", ".join(str(f) for f in files)
    return (
        f"{names} has {records} records and no document: {why}; expected text/html responses or text resources; "
        "name an archive that has pages"
    )
