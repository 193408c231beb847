"""Put local files into a WARC file of `resource` records: a document can be read again after its file has changed.

A file becomes a record as it lies; a container (a dump, a mailbox, a table) becomes a record for each of its pieces, in
the order of the container and with constant memory. What becomes no record stands in `drops.parquet` with its reason.
"""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from libertas.document import Drop
from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import PLANTED_EXAMS, PLANTED_FACTS, PYTHON_REFERENCE, PYTHON_SOURCE, PackConfig
from libertas.gather.embedded import language_reference, standard_library
from libertas.gather.formats import reader_of
from libertas.gather.formats.code import LICENSE_CHARACTERS, LICENSE_NAME, PYTHON_TYPE, license_of
from libertas.gather.formats.containers import head_of
from libertas.gather.formats.part import Part
from libertas.gather.formats.pieces import RULE, pieces_of
from libertas.gather.formats.recognize import recognized
from libertas.gather.formats.stackexchange import users_beside
from libertas.lineage.artifact import Draft, package_version
from libertas.lineage.fingerprint import digest, file_digest
from libertas.planting import exam_documents, fact_documents
from libertas.terminal import Bar, progress

ARCHIVE = "pack.warc.gz"
DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema([(name, pa.string()) for name in ("uri", "rule", "reason", "value")])
"""One row for each file or piece that became no record; `uri` is that of its file."""
DROPS_AT_ONCE = 10_000
DATE = "1970-01-01T00:00:00Z"
"""WARC-Date of packed records: packing the same files at another time gives the same bytes."""
RECORDS_A_NOTE = 256
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}:\S")
LONGEST_URL = 4096
URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is in an address that a container gives: reserved characters of RFC 3986, and `%`."""
BEYOND = "beyond the megabytes limit"
PLANTED = {PLANTED_FACTS: fact_documents, PLANTED_EXAMS: exam_documents}
"""Documents that are made: name and text."""


@dataclass(frozen=True, kw_only=True)
class _Packed(PackConfig):
    """The config with what the files hold. They are not inputs of the archive: it carries their bytes itself, and stays
    whole when they change; but packing other bytes must not be mistaken for the same work."""

    content: str


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to pack, or a text with its address."""

    uri: str
    place: Path | str
    name: str = ""
    """Path of a file below the folder that was named; empty for what Python carries, which is chosen already."""
    license: str | None = None
    """What the license file next to it, or above it in its tree, says."""
    content_type: str = ""
    """Of a text."""


def pack(config: PackConfig) -> Path:
    """Make the archive that the config describes, or find it made; returns its folder.

    Raises:
        UsageError: a path does not exist, there is nothing to pack, or a library is missing to read a format.
    """
    sources = list(_sources(config))
    if not sources:
        raise UsageError(f"{', '.join(config.paths)} has no file to pack; expected files; check suffixes and exclude")
    packed_config = _Packed(**{f.name: getattr(config, f.name) for f in fields(config)}, content=_content(sources))
    draft = Draft(kind="archive", out=config.out, config=packed_config, inputs={}, code=__name__)
    if draft.finished():
        return config.out
    names = {n: getattr(config, f"{n}_field") for n in ("text", "id", "url", "title", "date")}
    names = {key: name for key, name in names.items() if name}
    files = 0
    with draft.build() as folder:
        with _Archive(folder, config.megabytes) as archive, progress("Packing", len(sources)) as bar:
            for source in sources:
                before = archive.records
                archive.take(source, _pieces(source, names), bar)
                files += archive.records > before
                bar.advance(1, archive.note())
        if archive.records == 0:
            raise UsageError(
                f"{', '.join(config.paths)} has nothing to pack ({archive.why()}); expected UTF-8 text or a "
                "format that `libertas gather pack --help` names; name other files"
            )
        dropped = archive.dropped.total()
        assert archive.pieces == archive.records + dropped, "a piece vanished"
        draft.counts.update(
            files={"in": len(sources), "out": files, "dropped": len(sources) - files},
            pieces={"in": archive.pieces, "out": archive.records, "dropped": dropped},
            dropped=dict(sorted(archive.dropped.items())),
            records=archive.records,
            bytes=archive.bytes,
        )
    return config.out


class _Archive:
    """The archive while it is written, and what is left out of it."""

    def __init__(self, folder: Path, megabytes: float | None) -> None:
        self.limit = None if megabytes is None else megabytes * 1e6
        self.pieces = self.records = self.bytes = 0
        self.dropped = Counter[str]()
        self._rows: list[dict[str, Any]] = []
        self._first: Drop | None = None
        self._open = ExitStack()
        self._file = self._open.enter_context((folder / ARCHIVE).open("wb"))
        self._drops = self._open.enter_context(pq.ParquetWriter(folder / DROPS, DROPS_SCHEMA, compression="zstd"))
        self._file.write(warc.warcinfo(DATE, f"libertas/{package_version()}"))

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._write_drops()
        self._open.close()

    def take(self, source: _Source, pieces: Iterator[Part | Drop], bar: Bar) -> None:
        """Write the pieces of one file; behind the first that goes beyond the limit the rest stays unread."""
        empty = True
        for piece in pieces:
            empty = False
            self.pieces += 1
            if isinstance(piece, Drop):
                self._drop(source.uri, piece)
            elif self.limit is not None and self.bytes + len(piece.body) > self.limit:
                self._drop(source.uri, Drop(RULE, BEYOND, f"from {piece.name} on" if piece.name else len(piece.body)))
                return
            else:
                uri = _address(source.uri, piece)
                identifier = warc.record_id("resource", uri, digest(piece.body))
                self._file.write(warc.written("resource", uri, DATE, identifier, piece.content_type, piece.body))
                self.records += 1
                self.bytes += len(piece.body)
                if self.records % RECORDS_A_NOTE == 0:
                    bar.advance(0, self.note())
        if empty:
            self.pieces += 1
            self._drop(source.uri, Drop(RULE, "nothing in it"))

    def note(self) -> str:
        """Where it stands."""
        return f"{self.records:,} records, {self.bytes / 1e6:.1f} MB"

    def why(self) -> str:
        """Why there is no record, for the person."""
        first = self._first.value if self._first else None
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.dropped.most_common(4))
        return reasons + (f"; first: {first}" if isinstance(first, str) else "")

    def _drop(self, uri: str, drop: Drop) -> None:
        self._first = self._first or drop
        self.dropped[drop.reason] += 1
        value = None if drop.value is None else str(drop.value).encode("utf-8", "replace").decode()
        self._rows.append({"uri": uri, "rule": drop.rule, "reason": drop.reason, "value": value})
        if len(self._rows) >= DROPS_AT_ONCE:
            self._write_drops()

    def _write_drops(self) -> None:
        if self._rows:
            self._drops.write_table(pa.Table.from_pylist(self._rows, schema=DROPS_SCHEMA))
            self._rows.clear()


def _pieces(source: _Source, names: dict[str, str]) -> Iterator[Part | Drop]:
    """What a source is made of; a file that is no container is one piece without a name."""
    if isinstance(source.place, str):
        yield Part("", source.content_type, source.place.encode())
    elif not source.name:
        yield from pieces_of(source.place, PYTHON_TYPE, "", None, names)
    else:
        kind = recognized(source.place, head_of(source.place))
        reader_of(kind)  # a library that is missing is told of now, not when the archive is gathered
        yield from pieces_of(source.place, kind, source.name, source.license, names)


def _address(uri: str, piece: Part) -> str:
    """The address of a record: where the piece was published, else its place in the container."""
    if piece.url and len(piece.url) <= LONGEST_URL and URL.match(piece.url):
        return quote(piece.url, safe=URL_CHARACTERS, errors="replace")
    return f"{uri}#{_spelled(piece.name)}"[:LONGEST_URL] if piece.name else uri


def _content(sources: list[_Source]) -> str:
    return digest("\n".join(f"{source.uri} {_source_digest(source)}" for source in sources).encode())


def _source_digest(source: _Source) -> str:
    """Hash of all that a source's records depend on."""
    if isinstance(source.place, str):
        return digest(source.place.encode())
    found = file_digest(source.place) + (f" {source.license}" if source.license else "")
    if source.place.name.startswith("Posts.xml") and (users := users_beside(source.place)) is not None:
        return f"{found} {file_digest(users)}"
    return found


def _sources(config: PackConfig) -> Iterator[_Source]:
    """Everything to pack, in order; names never hold where a folder lies."""
    for name in config.paths:
        path = Path(name)
        if name == PYTHON_SOURCE:
            yield from (_Source(f"urn:python:source:{n}", p) for n, p in standard_library())
        elif name == PYTHON_REFERENCE:
            for topic, text in language_reference():
                yield _Source(f"urn:python:reference:{topic}", text, content_type="text/x-rst")
        elif name in PLANTED:
            for document, text in PLANTED[name]():
                yield _Source(f"urn:planted:{document}", text, content_type="text/plain")
        elif path.is_dir():
            yield from _folder(path, config)
        elif path.is_file():
            yield _Source(f"urn:file:{_spelled(path.name)}", path, path.name)
        else:
            raise UsageError(
                f"{name} does not exist; expected a file, a folder, {PYTHON_SOURCE}, {PYTHON_REFERENCE}, "
                f"{PLANTED_FACTS} or {PLANTED_EXAMS}; check the path"
            )


def _folder(root: Path, config: PackConfig) -> Iterator[_Source]:
    licenses: dict[Path, str | None] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or not path.is_file() or (config.suffixes and path.suffix not in config.suffixes):
            continue
        names = [*name.parts, *(p.as_posix() for p in name.parents), name.as_posix()]
        if not any(fnmatch.fnmatch(n, pattern) for n in names for pattern in config.exclude):
            uri = f"urn:file:{_spelled((Path(root.resolve().name) / name).as_posix())}"
            yield _Source(uri, path, name.as_posix(), _license_above(path.parent, root, licenses))


def _license_above(folder: Path, root: Path, known: dict[Path, str | None]) -> str | None:
    """The license of the nearest folder that has a license file; several apply together."""
    if folder not in known:
        files = sorted(p for p in folder.iterdir() if LICENSE_NAME.match(p.name) and p.is_file())
        found = {license_of(file.read_bytes()[:LICENSE_CHARACTERS].decode("utf-8", "replace")) for file in files} - {
            None
        }
        above = None if folder == root else _license_above(folder.parent, root, known)
        known[folder] = " AND ".join(sorted(filter(None, found))) or above
    return known[folder]


def _spelled(name: str) -> str:
    return "".join(
        c if "!" <= c <= "~" and c not in "%<>" else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogateescape"))
        for c in name
    )
