"""Put local files into a WARC file of `resource` records: a document can be read again after its file has changed."""

import fnmatch
import mimetypes
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import PYTHON_REFERENCE, PYTHON_SOURCE, PackConfig
from libertas.gather.embedded import language_reference, standard_library
from libertas.lineage.artifact import Draft, package_version
from libertas.lineage.fingerprint import digest
from libertas.terminal import progress

ARCHIVE = "pack.warc.gz"
TYPES = {
    ".py": "text/x-python",
    ".rst": "text/x-rst",
    ".md": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".tex": "text/x-tex",
}
"""Media types by file ending; others come from the standard library's table where that says `text/…`."""
DATE = "1970-01-01T00:00:00Z"
"""WARC-Date of packed records: packing the same files at another time gives the same bytes."""


@dataclass(frozen=True, kw_only=True)
class _Packed(PackConfig):
    """The config with what the files hold. They are not inputs of the archive: it carries their bytes itself, and stays
    whole when they change; but packing other bytes must not be mistaken for the same work."""

    content: str


def pack(config: PackConfig) -> Path:
    """Make the archive that the config describes, or find it made; returns its folder.

    Raises:
        UsageError: a path does not exist, or there is nothing to pack.
    """
    sources = list(_sources(config))
    if not sources:
        raise UsageError(
            f"{', '.join(config.paths)} has no file to pack; expected text files; check suffixes and exclude"
        )
    packed_config = _Packed(**{f.name: getattr(config, f.name) for f in fields(config)}, content=_content(sources))
    draft = Draft(kind="archive", out=config.out, config=packed_config, inputs={}, code=__name__)
    if draft.finished():
        return config.out
    dropped: Counter[str] = Counter()
    with draft.build() as folder:
        with (folder / ARCHIVE).open("wb") as file, progress("Packing", len(sources)) as bar:
            file.write(warc.warcinfo(DATE, f"libertas/{package_version()}"))
            packed, written = 0, 0
            for uri, source in sources:
                data = _bytes(source)
                reason = _refusal(data, written, config.megabytes)
                if reason is None:
                    kind = "text/x-rst" if isinstance(source, str) else _content_type_of(source)
                    identifier = warc.record_id("resource", uri, digest(data))
                    file.write(warc.written("resource", uri, DATE, identifier, kind, data))
                    packed, written = packed + 1, written + len(data)
                else:
                    dropped[reason] += 1
                bar.advance(1, f"{written / 1e6:.1f} MB")
        if packed == 0:
            raise UsageError(f"{', '.join(config.paths)} has no text file ({dict(dropped)}); expected UTF-8 text")
        assert len(sources) == packed + dropped.total(), "a file vanished"
        draft.counts.update(
            files={"in": len(sources), "out": packed, "dropped": dropped.total()},
            dropped=dict(sorted(dropped.items())),
            records=packed,
            bytes=written,
        )
    return config.out


def _bytes(source: Path | str) -> bytes:
    return source.encode() if isinstance(source, str) else source.read_bytes()


def _content(sources: list[tuple[str, Path | str]]) -> str:
    return digest("\n".join(f"{uri} {digest(_bytes(source))}" for uri, source in sources).encode())


def _refusal(data: bytes, written: int, megabytes: float | None) -> str | None:
    if not data.strip():
        return "empty"
    if megabytes is not None and written + len(data) > megabytes * 1e6:
        return "beyond the megabytes limit"
    if b"\0" in data:
        return "not text"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _content_type_of(path: Path) -> str:
    """Media type of a text file by its ending; `text/plain` where nothing better is known."""
    known = TYPES.get(path.suffix.lower()) or mimetypes.MimeTypes().guess_type(path.name)[0] or ""
    return known if known.startswith("text/") else "text/plain"


def _sources(config: PackConfig) -> Iterator[tuple[str, Path | str]]:
    """Address and file (or text) of everything to pack, in order; names never hold where a folder lies."""
    for name in config.paths:
        if name == PYTHON_SOURCE:
            yield from ((f"urn:python:source:{n}", p) for n, p in standard_library())
        elif name == PYTHON_REFERENCE:
            yield from ((f"urn:python:reference:{n}", text) for n, text in language_reference())
        elif Path(name).is_dir():
            yield from _folder(Path(name), config)
        elif Path(name).is_file():
            yield f"urn:file:{_spelled(Path(name).name)}", Path(name)
        else:
            raise UsageError(
                f"{name} does not exist; expected a file, a folder, {PYTHON_SOURCE} or "
                f"{PYTHON_REFERENCE}; check the path"
            )


def _folder(root: Path, config: PackConfig) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or not path.is_file() or (config.suffixes and path.suffix not in config.suffixes):
            continue
        names = [*name.parts, *(p.as_posix() for p in name.parents), name.as_posix()]
        if not any(fnmatch.fnmatch(n, pattern) for n in names for pattern in config.exclude):
            yield f"urn:file:{_spelled((Path(root.resolve().name) / name).as_posix())}", path


def _spelled(name: str) -> str:
    return "".join(
        c if "!" <= c <= "~" and c not in "%<>" else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogateescape"))
        for c in name
    )
